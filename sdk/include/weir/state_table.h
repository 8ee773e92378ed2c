// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/encode.h"
#include "weir/value.h"

namespace weir {

/// Takes the changes of a table at a commit: the host's state_put and state_erase.
class StateChanges {
 public:
  virtual void put(std::string_view key, std::string_view value) = 0;
  virtual void erase(std::string_view key) = 0;

 protected:
  ~StateChanges() = default;
};

/// The part of a StateTable that does not depend on the type of its values.
class AnyStateTable {
 public:
  AnyStateTable() = default;
  AnyStateTable(const AnyStateTable&) = delete;
  AnyStateTable& operator=(const AnyStateTable&) = delete;
  virtual ~AnyStateTable() = default;

  /// Enters a restored value: not a change. Errors: DecodeError.
  virtual void load(std::string_view key, BytesView value) = 0;
  /// Hands over every change since the last flush. Errors: what `changes` and the values' packing throw.
  virtual void flush(StateChanges& changes) = 0;
  /// Says that `key` will be asked for in a moment: what the processor needs for it is fetched meanwhile. No effect.
  virtual void expect(std::string_view key) noexcept = 0;
  /// The unit of work, a record or a call of finish, is done: its changes stay. Or it failed: they are undone.
  virtual void keep() noexcept = 0;
  virtual void undo() noexcept = 0;
  /// An empty table of the same type.
  [[nodiscard]] virtual std::unique_ptr<AnyStateTable> like() const = 0;
  /// Tells tables of different value types apart.
  [[nodiscard]] virtual const void* type() const = 0;
  /// Memory taken, estimated.
  [[nodiscard]] virtual std::uint64_t bytes() const = 0;
};

/// The values of one (shard, name), by key: a hash table with open addressing over entries that never move, so that a
/// reference to a value holds until its unit of work ends. Remembers which values changed since the last flush, and
/// what each looked like when the unit of work first touched it. [thread of the instance]
template <typename T>
class [[gnu::visibility("hidden")]] StateTable final : public AnyStateTable {
 public:
  /// The value of `key`, made by T() where there is none; counts as changed. `unit` numbers the unit of work, from 1.
  T& touch(std::string_view key, std::uint64_t unit) {
    Entry& entry = find_or_add(key);
    change(entry, unit);
    if (!entry.present) {
      entry.value = T();
      entry.present = true;
    }
    return entry.value;
  }

  /// The value of `key` or null; not a change.
  [[nodiscard]] const T* find(std::string_view key) const {
    if (slots_.empty()) return nullptr;
    const std::uint32_t number = slots_[slot_of(key, hash(key))].entry;
    if (number == 0) return nullptr;
    const Entry& found = entry(number - 1);
    return found.present ? &found.value : nullptr;
  }

  void erase(std::string_view key, std::uint64_t unit) {
    if (slots_.empty()) return;
    const std::uint32_t number = slots_[slot_of(key, hash(key))].entry;
    if (number != 0) erase(entry(number - 1), unit);
  }

  /// Calls `visit(ValueView key, const T& value)` for each value, in no order, until `full()`, but at least once. Where
  /// it answers true the value is erased. False: cut short; the next call goes on behind it.
  template <typename Visit, typename Full>
  bool drain(std::uint64_t unit, Visit visit, Full full) {
    while (drained_ < entries_) {
      Entry& candidate = entry(drained_++);
      if (!candidate.present) continue;
      if (visit(key_of(candidate), std::as_const(candidate.value))) erase(candidate, unit);
      if (full()) return false;
    }
    drained_ = 0;
    return true;
  }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (std::uint32_t i = 0; i < entries_; ++i) {
      const Entry& candidate = entry(i);
      if (candidate.present) visit(key_of(candidate), candidate.value);
    }
  }

  void load(std::string_view key, BytesView value) override {
    Entry& loaded = find_or_add(key);
    loaded.value = ValueView(value).as<T>();
    loaded.present = true;
    measure(loaded, value.size());
  }

  void flush(StateChanges& changes) override {
    constexpr std::size_t kAhead = 8;
    for (std::size_t i = 0; i < changed_.size(); ++i) {
      if (i + kAhead < changed_.size()) fetch(this->entry(changed_[i + kAhead]));
      const std::uint32_t number = changed_[i];
      Entry& entry = this->entry(number);
      entry.changed = false;
      if (entry.present) {
        buffer_.clear();
        encode(buffer_, entry.value);
        changes.put(entry.key, buffer_);
        measure(entry, buffer_.size());
      } else {
        changes.erase(entry.key);
        release(number);
      }
    }
    changed_.clear();
  }

  void expect(std::string_view key) noexcept override {
    if (slots_.empty()) return;
    const std::size_t mask = slots_.size() - 1;
    std::uint32_t& expected = expected_[expected_next_++ % expected_.size()];
    // The slot of an earlier key has come by now, and says where its entry is.
    const Slot& slot = slots_[expected & mask];
    if (slot.entry != 0 && slot.hash == expected) fetch(entry(slot.entry - 1));
    expected = hash(key);
    __builtin_prefetch(&slots_[expected & mask]);
  }

  void keep() noexcept override { before_.clear(); }

  void undo() noexcept override {
    while (!before_.empty()) {
      Before& before = before_.back();
      Entry& entry = this->entry(before.entry);
      entry.present = before.present;
      entry.value = std::move(before.value);
      entry.unit = 0;
      if (entry.changed && !before.changed) {
        entry.changed = false;
        changed_.pop_back();  // entries were appended in the order of before_
        if (!entry.present) release(before.entry);
      }
      before_.pop_back();
    }
    drained_ = 0;
  }

  [[nodiscard]] std::unique_ptr<AnyStateTable> like() const override { return std::make_unique<StateTable>(); }
  [[nodiscard]] const void* type() const override { return type_of(); }
  [[nodiscard]] std::uint64_t bytes() const override {
    return entries_ * sizeof(Entry) + slots_.size() * sizeof(Slot) + encoded_bytes_;
  }

  static const void* type_of() {
    static const char mark = 0;
    return &mark;
  }

 private:
  struct Entry {
    std::string key;
    T value{};
    std::uint64_t unit = 0;    ///< the last unit of work that changed it
    std::uint32_t number = 0;  ///< its own
    std::uint32_t hash = 0;
    std::uint32_t encoded_bytes = 0;
    bool present = false;  ///< false: erased, until the next flush has said so
    bool changed = false;  ///< since the last flush: its number is in changed_
  };
  struct Slot {
    std::uint32_t entry = 0;  ///< number + 1; 0: free
    std::uint32_t hash = 0;
  };
  struct Before {
    std::uint32_t entry = 0;
    bool present = false;
    bool changed = false;
    T value{};
  };
  static constexpr std::uint32_t kChunk = 64;

  Entry& entry(std::uint32_t number) { return chunks_[number / kChunk][number % kChunk]; }
  const Entry& entry(std::uint32_t number) const { return chunks_[number / kChunk][number % kChunk]; }
  static void fetch(const Entry& entry) {
    constexpr std::size_t kLine = 64;
    const auto* at = reinterpret_cast<const char*>(&entry);
    for (std::size_t i = 0; i < sizeof(Entry); i += kLine) __builtin_prefetch(at + i, 1);
    __builtin_prefetch(at + sizeof(Entry) - 1, 1);
  }
  static ValueView key_of(const Entry& entry) { return ValueView(std::as_bytes(std::span(entry.key))); }

  static std::uint32_t hash(std::string_view key) {
    const std::uint64_t hash = std::hash<std::string_view>()(key);
    return static_cast<std::uint32_t>(hash ^ (hash >> 32));
  }

  /// The slot that holds `key`, or the free one where it belongs. REQUIRES: slots_ is not empty.
  [[nodiscard]] std::size_t slot_of(std::string_view key, std::uint32_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    while (slots_[at].entry != 0 && (slots_[at].hash != hash || entry(slots_[at].entry - 1).key != key)) {
      at = (at + 1) & mask;
    }
    return at;
  }

  Entry& find_or_add(std::string_view key) {
    const std::uint32_t hash = StateTable::hash(key);
    if (slots_.empty()) slots_.resize(kChunk);
    std::size_t at = slot_of(key, hash);
    if (slots_[at].entry != 0) return entry(slots_[at].entry - 1);
    if ((used_ + 1) * 4 > slots_.size() * 3) {
      grow();
      at = slot_of(key, hash);
    }
    const std::uint32_t number = fresh();
    Entry& added = entry(number);
    added.key.assign(key);
    added.number = number;
    added.hash = hash;
    slots_[at] = {number + 1, hash};
    ++used_;
    drained_ = 0;
    return added;
  }

  std::uint32_t fresh() {
    if (!free_.empty()) {
      const std::uint32_t number = free_.back();
      free_.pop_back();
      return number;
    }
    if (entries_ % kChunk == 0) chunks_.push_back(std::make_unique<Entry[]>(kChunk));
    return entries_++;
  }

  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    const std::size_t mask = slots_.size() - 1;
    for (const Slot& slot : old) {
      if (slot.entry == 0) continue;
      std::size_t at = slot.hash & mask;
      while (slots_[at].entry != 0) at = (at + 1) & mask;
      slots_[at] = slot;
    }
  }

  /// Before a change: remembers what the unit of work may have to go back to.
  void change(Entry& entry, std::uint64_t unit) {
    if (entry.unit == unit) return;
    if (entry.present) {
      before_.push_back({entry.number, true, entry.changed, entry.value});
    } else {
      before_.push_back({entry.number, false, entry.changed, T()});
    }
    entry.unit = unit;
    if (!entry.changed) {
      entry.changed = true;
      changed_.push_back(entry.number);
    }
  }

  void erase(Entry& entry, std::uint64_t unit) {
    if (!entry.present) return;
    change(entry, unit);
    entry.present = false;
  }

  /// Takes an entry out of the table, closing the gap in its row of slots (Knuth, volume 3, section 6.4, algorithm R).
  void release(std::uint32_t number) {
    Entry& released = entry(number);
    const std::size_t mask = slots_.size() - 1;
    std::size_t gap = slot_of(released.key, released.hash);
    for (std::size_t at = (gap + 1) & mask; slots_[at].entry != 0; at = (at + 1) & mask) {
      const std::size_t home = slots_[at].hash & mask;
      if (((at - home) & mask) >= ((at - gap) & mask)) {
        slots_[gap] = slots_[at];
        gap = at;
      }
    }
    slots_[gap] = {};
    --used_;
    measure(released, 0);
    released.key.clear();
    released.value = T();
    released.unit = 0;
    free_.push_back(number);
  }

  void measure(Entry& entry, std::size_t size) {
    encoded_bytes_ -= entry.encoded_bytes;
    entry.encoded_bytes = static_cast<std::uint32_t>(size);
    encoded_bytes_ += size;
  }

  std::vector<std::unique_ptr<Entry[]>> chunks_;
  std::vector<Slot> slots_;  ///< a power of two, at most three quarters used
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> changed_;
  std::vector<Before> before_;
  std::string buffer_;
  std::size_t used_ = 0;
  std::uint32_t entries_ = 0;
  std::uint32_t drained_ = 0;
  std::array<std::uint32_t, 4> expected_{};  ///< hashes of what expect() was told last
  std::uint32_t expected_next_ = 0;
  std::uint64_t encoded_bytes_ = 0;
};

}  // namespace weir
