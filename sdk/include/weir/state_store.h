// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
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
    Place& place = *places_[last_];
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
      for (const auto& other : places_) {
        if (other->name == name && other->table != nullptr) {
          place.table = other->table->like();
          place.type = other->type;
          break;
        }
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
    for (const auto& place : places_) {
      if (place->shard != shard || !place->changed) continue;
      place->changed = false;
      auto changes = changes_of(std::string_view(place->name));
      place->table->flush(changes);
    }
  }

  void drop(std::uint32_t shard) {
    begin();
    std::erase_if(places_, [&](const auto& place) { return place->shard == shard; });
    last_ = 0;
  }

  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const auto& place : places_) {
      if (place->table != nullptr) sum += place->table->bytes();
      for (const auto& [key, value] : place->waiting) sum += key.size() + value.size() + 2 * sizeof(std::string);
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

  Place& find_or_add(std::uint32_t shard, std::string_view name) {
    if (last_ < places_.size() && places_[last_]->shard == shard && places_[last_]->name == name)
      return *places_[last_];
    for (last_ = 0; last_ < places_.size(); ++last_) {
      if (places_[last_]->shard == shard && places_[last_]->name == name) return *places_[last_];
    }
    places_.push_back(std::make_unique<Place>());
    places_.back()->shard = shard;
    places_.back()->name = name;
    return *places_.back();
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

  std::vector<std::unique_ptr<Place>> places_;  ///< few: names times shards of this worker
  std::vector<AnyStateTable*> touched_;
  std::size_t last_ = 0;
  std::uint64_t unit_ = 1;
};

}  // namespace weir
