// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "weir/abi.h"
#include "weir/state_table.h"

namespace weir {

/// The state of one name as the host keeps it, for the shard of the call that is under way.
class [[gnu::visibility("hidden")]] HostState final : public StateOrigin {
 public:
  HostState(weir_context* const& raw, const std::string& name) : raw_(raw), name_(name) {}

  bool find(std::string_view key, BytesView& value) override {
    weir_bytes found{};
    const int answer = raw_->host->state_get(raw_, bytes(name_), bytes(key), &found);
    if (answer == WEIR_OK) value = view(found);
    return judged(answer);
  }
  bool next(const std::string* after, std::string& key, BytesView& value) override {
    weir_bytes found_key{};
    weir_bytes found{};
    const weir_bytes behind = after == nullptr ? weir_bytes{} : bytes(*after);
    const int answer = raw_->host->state_next(raw_, bytes(name_), behind, &found_key, &found);
    if (answer == WEIR_OK) {
      key.assign(reinterpret_cast<const char*>(found_key.data), found_key.size);
      value = view(found);
    }
    return judged(answer);
  }

 private:
  static weir_bytes bytes(std::string_view text) {
    // An empty text has a place too: no pointer would mean that there is no key.
    return {reinterpret_cast<const std::uint8_t*>(text.empty() ? "" : text.data()), text.size()};
  }
  static BytesView view(weir_bytes bytes) { return {reinterpret_cast<const std::byte*>(bytes.data), bytes.size}; }
  static bool judged(int answer) {
    if (answer != WEIR_OK && answer != WEIR_EMPTY) throw StateError("the worker cannot read the state that it keeps");
    return answer == WEIR_OK;
  }

  weir_context* const& raw_;
  const std::string& name_;
};

/// All typed state of one instance: a table per shard and name. What is restored before the stage has said its type
/// waits as bytes. On demand nothing is restored: tables ask the host for what they do not hold.
/// [thread of the instance]
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
      place.table->count_in(pending_);
      learn(place);
      if (on_demand_) {
        place.origin = std::make_unique<HostState>(raw_, place.name);
        place.table->ask(place.origin.get());
      }
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
        place.table->count_in(pending_);
        place.type = kind.table->type();
        restore(place);  // what came before the type was known
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

  /// State is larger than memory: the host is asked for it.
  void on_demand() { on_demand_ = true; }
  /// A call of the host begins: what is asked is asked through it.
  void enter(weir_context* raw) { raw_ = raw; }
  /// Forgets values that were not used lately until the rest takes `bytes_max`. REQUIRES: everything is flushed.
  void evict(std::uint64_t bytes_max) {
    std::uint64_t held = 0;
    for (const auto& [shard, places] : places_)
      for (const auto& place : places) held += place->table != nullptr ? place->table->held() : 0;
    if (held <= bytes_max) return;
    // To well below, so that not every call has something to do; of each table its share.
    const double share = static_cast<double>(bytes_max) * 0.75 / static_cast<double>(held);
    begin();
    for (const auto& [shard, places] : places_) {
      for (const auto& place : places) {
        if (place->table == nullptr || place->changed) continue;
        place->table->evict(static_cast<std::uint64_t>(static_cast<double>(place->table->held()) * share));
      }
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

  /// What flush would hand over, of all shards.
  [[nodiscard]] const PendingState& pending() const { return pending_; }

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
    std::unique_ptr<HostState> origin;
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

  PendingState pending_;  ///< outlives the tables, which count in it
  std::unordered_map<std::uint32_t, std::vector<std::unique_ptr<Place>>> places_;  ///< by shard, a few names each
  std::vector<Kind> kinds_;
  std::vector<AnyStateTable*> touched_;
  Place* last_ = nullptr;  ///< that was asked for last
  std::uint64_t unit_ = 1;
  weir_context* raw_ = nullptr;  ///< of the call that is under way
  bool on_demand_ = false;
};

}  // namespace weir
