// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "weir/state_table.h"

namespace weir {

/// State is asked for in a way that cannot work, or what was restored is not of the type asked for. Ends the worker: no
/// other record would fare better.
class StateError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// All typed state of one instance: a table per shard and name. What is restored before the stage has said its type
/// waits as bytes. [thread of the instance]
class StateStore {
 public:
  /// A unit of work begins, a record or one call of on_watermark or finish: what changes from here on can be undone.
  void begin() {
    for (AnyStateTable* table : touched_) table->keep();
    touched_.clear();
    ++unit_;
  }
  /// Undoes what changed since begin().
  void undo() noexcept {
    for (AnyStateTable* table : touched_) table->undo();
    touched_.clear();
  }

  [[nodiscard]] std::uint64_t unit() const { return unit_; }

  /// The table for reading; changes() first for a change. Errors: StateError.
  template <typename T>
  StateTable<T>& table(std::uint32_t shard, std::string_view name) {
    Place& place = find_or_add(shard, name);
    if (place.table == nullptr) {
      place.table = std::make_unique<StateTable<T>>();
      place.type = StateTable<T>::type_of();
      learn(place);
      restore(place);
    } else if (place.type != StateTable<T>::type_of()) {
      throw StateError("state \"" + place.name + "\" is asked for as two different types");
    }
    return static_cast<StateTable<T>&>(*place.table);
  }

  /// The table for changing: what the unit of work does to it can be undone.
  template <typename T>
  StateTable<T>& changing(std::uint32_t shard, std::string_view name) {
    StateTable<T>& table = this->table<T>(shard, name);
    Place& place = *last_;
    if (place.unit != unit_) {
      place.unit = unit_;
      place.changed = true;
      touched_.push_back(&table);
    }
    return table;
  }

  void load(std::uint32_t shard, std::string_view name, std::string_view key, BytesView value) {
    Place& place = find_or_add(shard, name);
    if (place.table == nullptr) {
      for (const Kind& kind : kinds_) {
        if (kind.name != name) continue;
        place.table = kind.table->like();
        place.type = kind.table->type();
      }
    }
    if (place.table != nullptr) {
      place.table->load(key, value);
    } else {
      place.waiting.emplace_back(key, std::string(reinterpret_cast<const char*>(value.data()), value.size()));
    }
  }

  /// `changes_of(name)` gives the StateChanges that takes the changes of the state of that name.
  template <typename ChangesOf>
  void flush(std::uint32_t shard, ChangesOf changes_of) {
    begin();
    const auto found = places_.find(shard);
    if (found == places_.end()) return;
    for (const auto& place : found->second) {
      if (!place->changed) continue;
      place->changed = false;
      auto changes = changes_of(std::string_view(place->name));
      place->table->flush(changes);
    }
  }

  void drop(std::uint32_t shard) {
    begin();
    places_.erase(shard);
    last_ = nullptr;
  }

  /// The table that was asked for last, if it is of `shard`: the next record will ask for it as a rule. Or null.
  [[nodiscard]] AnyStateTable* likely(std::uint32_t shard) const {
    return last_ != nullptr && last_->shard == shard ? last_->table.get() : nullptr;
  }

  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const auto& [shard, places] : places_) {
      for (const auto& place : places) {
        if (place->table != nullptr) sum += place->table->bytes();
        for (const auto& [key, value] : place->waiting) sum += key.size() + value.size() + 2 * sizeof(std::string);
      }
    }
    return sum;
  }

 private:
  struct Place {
    std::uint32_t shard = 0;
    std::string name;
    std::unique_ptr<AnyStateTable> table;  ///< null until the type is known
    const void* type = nullptr;
    std::uint64_t unit = 0;  ///< the last unit of work that changed it
    bool changed = false;    ///< since the last flush
    std::vector<std::pair<std::string, std::string>> waiting;
  };

  struct Kind {
    std::string name;
    std::unique_ptr<AnyStateTable> table;  ///< empty, to make others like it
  };

  Place& find_or_add(std::uint32_t shard, std::string_view name) {
    if (last_ != nullptr && last_->shard == shard && last_->name == name) return *last_;
    auto& places = places_[shard];
    for (const auto& place : places) {
      last_ = place.get();
      if (last_->name == name) return *last_;
    }
    last_ = places.emplace_back(std::make_unique<Place>()).get();
    last_->shard = shard;
    last_->name = name;
    return *last_;
  }

  /// Remembers what type the states of this name are.
  void learn(const Place& place) {
    for (const Kind& kind : kinds_) {
      if (kind.name == place.name && kind.table->type() == place.type) return;
    }
    kinds_.push_back({place.name, place.table->like()});
  }

  static void restore(Place& place) {
    for (const auto& [key, value] : place.waiting) {
      try {
        place.table->load(key, std::as_bytes(std::span(value)));
      } catch (const DecodeError& error) {
        throw StateError("stored state \"" + place.name +
                         "\" is not of the type that the stage keeps now: " + error.what());
      }
    }
    place.waiting = {};
  }

  std::unordered_map<std::uint32_t, std::vector<std::unique_ptr<Place>>> places_;  ///< by shard, a few names each
  std::vector<Kind> kinds_;
  std::vector<AnyStateTable*> touched_;
  Place* last_ = nullptr;  ///< that was asked for last
  std::uint64_t unit_ = 1;
};

}  // namespace weir
