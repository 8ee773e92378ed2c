// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/encode.h"
#include "weir/short_key.h"
#include "weir/stored_key.h"
#include "weir/value.h"

namespace weir {

/// State is asked for in a way that cannot work, or what was restored is not of the type asked for. Ends the worker: no
/// other record would fare better.
class StateError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Where a table finds what it does not hold, as it was after the last flush. Errors: StateError.
class StateOrigin {
 public:
  /// False: there is none. `value` is valid until the next call of any StateOrigin.
  virtual bool find(std::string_view key, BytesView& value) = 0;
  /// The first key behind `after`, or the first of all where that is null.
  virtual bool next(const std::string* after, std::string& key, BytesView& value) = 0;

 protected:
  ~StateOrigin() = default;
};

/// Takes the changes of a table at a commit: the host's state_put and state_erase.
class StateChanges {
 public:
  virtual void put(std::string_view key, std::string_view value) = 0;
  virtual void erase(std::string_view key) = 0;

 protected:
  ~StateChanges() = default;
};

/// What a flush of some tables would hand over.
class PendingState {
 public:
  static constexpr std::uint64_t kUnknown = UINT64_MAX;

  /// About how many bytes of keys and values; kUnknown where values of a type that may grow have changed.
  [[nodiscard]] std::uint64_t bytes() const { return growing_ != 0 ? kUnknown : bytes_; }
  /// More, or less again: bytes where `of_one_size`, else values of which only their encoding will tell how large they
  /// are.
  void add(std::uint64_t amount, bool more, bool of_one_size) {
    std::uint64_t& sum = of_one_size ? bytes_ : growing_;
    sum = more ? sum + amount : sum - amount;
  }

 private:
  std::uint64_t bytes_ = 0;
  std::uint64_t growing_ = 0;
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
  /// From now on counts in `pending`, which must outlive it, what its flush would hand over. REQUIRES: it is empty.
  virtual void count_in(PendingState& pending) = 0;
  /// From now on the table is a cache in front of `origin`, which must outlive it. REQUIRES: it is empty.
  virtual void ask(StateOrigin* origin) = 0;
  /// What the values that it holds take, estimated; and forgets some of them until they take `bytes_max`, such as were
  /// not used since this was last done first. REQUIRES: everything is flushed.
  [[nodiscard]] virtual std::uint64_t held() const = 0;
  virtual void evict(std::uint64_t bytes_max) = 0;
};

/// The values of one (shard, name), by key: a hash table with open addressing over entries that never move, so that a
/// reference to a value holds until its unit of work ends. Remembers which values changed since the last flush, and
/// what each looked like when the unit of work first touched it. With an origin it is a cache: it holds what was asked
/// for lately, also that there is no value, and all that changed since the last flush. [thread of the instance]
template <typename T>
class [[gnu::visibility("hidden")]] StateTable final : public AnyStateTable {
 public:
  StateTable() = default;
  ~StateTable() override { forget_all_pending(); }

  /// The value of `key`, made by T() where there is none; counts as changed. `unit` numbers the unit of work, from 1.
  T& touch(std::string_view key, std::uint64_t unit) {
    Entry& entry = find_or_add(key);
    if (!entry.known) ask_origin(entry);
    change(entry, unit);
    if (!entry.present) {
      entry.value = T();
      entry.present = true;
    }
    return entry.value;
  }

  /// The value of `key` or null; not a change.
  [[nodiscard]] const T* find(std::string_view key) {
    if (origin_ != nullptr) {
      Entry& asked = find_or_add(key);
      if (!asked.known) ask_origin(asked);
      return asked.present ? &asked.value : nullptr;
    }
    if (slots_.empty()) return nullptr;
    const std::uint32_t number = slots_[slot_of(key, short_key::hash(key))].entry;
    if (number == 0) return nullptr;
    const Entry& found = entry(number - 1);
    return found.present ? &found.value : nullptr;
  }

  void erase(std::string_view key, std::uint64_t unit) {
    if (origin_ != nullptr) {
      Entry& asked = find_or_add(key);
      if (!asked.known) ask_origin(asked);
      return erase(asked, unit);
    }
    if (slots_.empty()) return;
    const std::uint32_t number = slots_[slot_of(key, short_key::hash(key))].entry;
    if (number != 0) erase(entry(number - 1), unit);
  }

  /// Calls `visit(ValueView key, const T& value)` for each value, in no order, until `full()`, but at least once. Where
  /// it answers true the value is erased. False: cut short; the next call goes on behind it.
  template <typename Visit, typename Full>
  bool drain(std::uint64_t unit, Visit visit, Full full) {
    if (origin_ != nullptr) return drain_origin(unit, visit, full);
    while (drained_ < entries_) {
      Entry& candidate = entry(drained_++);
      if (!candidate.present) continue;
      if (visit(key_of(candidate), std::as_const(candidate.value))) erase(candidate, unit);
      if (full() || changed_.size() >= kPortion) return false;
    }
    drained_ = 0;
    return true;
  }

  template <typename Visit>
  void for_each(Visit visit) {
    if (origin_ != nullptr) return for_each_of_origin(visit);
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
      entry.unit = 0;
      if (entry.present) {
        buffer_.clear();
        encode(buffer_, entry.value);
        changes.put(entry.key.view(), buffer_);
        measure(entry, buffer_.size());
      } else {
        changes.erase(entry.key.view());
        release(number);
      }
    }
    changed_.clear();
    forget_all_pending();
  }

  void expect(std::string_view key) noexcept override {
    if (slots_.empty()) return;
    const std::size_t mask = slots_.size() - 1;
    std::uint32_t& expected = expected_[expected_next_++ % expected_.size()];
    // The slots of an earlier key have come by now, and say where its entry is: as a rule in one of the first.
    for (std::size_t at = expected & mask, looked_at = 0; slots_[at].entry != 0 && looked_at < kLookedAt; ++looked_at) {
      if (slots_[at].hash == expected) {
        fetch(entry(slots_[at].entry - 1));
        break;
      }
      at = (at + 1) & mask;
    }
    expected = short_key::hash(key);
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
        forget_pending(entry);
        changed_.pop_back();  // entries were appended in the order of before_
        if (!entry.present) release(before.entry);
      }
      before_.pop_back();
    }
    drained_ = 0;
    drain_at_.reset();
  }

  [[nodiscard]] std::unique_ptr<AnyStateTable> like() const override { return std::make_unique<StateTable>(); }
  [[nodiscard]] const void* type() const override { return type_of(); }
  [[nodiscard]] std::uint64_t bytes() const override {
    return entries_ * sizeof(Entry) + slots_.size() * sizeof(Slot) + encoded_bytes_;
  }

  void count_in(PendingState& pending) override { total_pending_ = &pending; }
  void ask(StateOrigin* origin) override { origin_ = origin; }
  [[nodiscard]] std::uint64_t held() const override { return used_ * kHeldBytes + encoded_bytes_; }
  void evict(std::uint64_t bytes_max) override {
    // The hand of a clock: who was used since it last came by is spared once.
    for (std::uint64_t looked_at = 0; held() > bytes_max && looked_at < 2 * std::uint64_t{entries_}; ++looked_at) {
      if (hand_ >= entries_) hand_ = 0;
      Entry& candidate = entry(hand_++);
      if (!candidate.held || candidate.changed) continue;
      if (!candidate.recent) release(candidate.number);
      candidate.recent = false;
    }
  }

  static const void* type_of() {
    static const char mark = 0;
    return &mark;
  }

 private:
  static constexpr std::size_t kLine = 64;  ///< of the cache
  struct Fields {
    StoredKey key;
    T value{};
    std::uint32_t unit = 0;    ///< the last unit of work that changed it since the last flush, as unit_mark says it
    std::uint32_t number = 0;  ///< its own
    std::uint32_t encoded_bytes = 0;
    bool present : 1 = false;  ///< false: erased, until the next flush has said so
    bool changed : 1 = false;  ///< since the last flush: its number is in changed_
    bool held : 1 = false;     ///< the entry is in the table
    bool known : 1 = false;    ///< whether there is a value, and which
    bool recent : 1 = false;   ///< it was asked for since the last evict
  };
  /// One that is no larger than a line lies in one: to look a key up is to wait for its slot and for its entry.
  struct alignas(sizeof(Fields) <= kLine ? kLine : alignof(Fields)) Entry : Fields {};
  struct Slot {
    std::uint32_t entry = 0;  ///< number + 1; 0: free
    std::uint32_t hash = 0;
  };
  struct Before {
    explicit Before(const Entry& now)
        : entry(now.number), present(now.present), changed(now.changed), value(now.present ? T(now.value) : T()) {}

    std::uint32_t entry;
    bool present;
    bool changed;
    T value;
  };
  /// Such values are encoded in about as many bytes each, whatever becomes of them.
  static constexpr bool kOfOneSize = std::is_trivially_copyable_v<T>;
  static constexpr std::uint32_t kChunk = 64;
  static constexpr std::size_t kLookedAt = 8;  ///< slots that expect() looks at: a line of the cache
  static constexpr std::size_t kPortion = 1 << 14;
  static constexpr std::uint64_t kHeldBytes = sizeof(Entry) + 2 * sizeof(Slot);

  Entry& entry(std::uint32_t number) { return chunks_[number / kChunk][number % kChunk]; }
  const Entry& entry(std::uint32_t number) const { return chunks_[number / kChunk][number % kChunk]; }
  static void fetch(const Entry& entry) {
    const auto* at = reinterpret_cast<const char*>(&entry);
    for (std::size_t i = 0; i < sizeof(Entry); i += kLine) __builtin_prefetch(at + i, 1);
    if constexpr (alignof(Entry) < kLine) __builtin_prefetch(at + sizeof(Entry) - 1, 1);
  }
  static ValueView key_of(const Entry& entry) { return ValueView(std::as_bytes(std::span(entry.key.view()))); }
  /// Never 0, and different for units of work between two flushes, of which there are fewer than 2^31.
  static std::uint32_t unit_mark(std::uint64_t unit) { return static_cast<std::uint32_t>(unit) | 1U << 31; }

  /// The slot that holds `key`, or the free one where it belongs. REQUIRES: slots_ is not empty.
  [[nodiscard]] std::size_t slot_of(std::string_view key, std::uint32_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    while (slots_[at].entry != 0 &&
           (slots_[at].hash != hash || !short_key::same(entry(slots_[at].entry - 1).key.view(), key))) {
      at = (at + 1) & mask;
    }
    return at;
  }

  Entry& find_or_add(std::string_view key) {
    const std::uint32_t hash = short_key::hash(key);
    if (slots_.empty()) slots_.resize(kChunk);
    std::size_t at = slot_of(key, hash);
    if (slots_[at].entry != 0) {
      Entry& found = entry(slots_[at].entry - 1);
      found.recent = true;
      return found;
    }
    if ((used_ + 1) * 4 > slots_.size() * 3) {
      grow();
      at = slot_of(key, hash);
    }
    const std::uint32_t number = fresh();
    Entry& added = entry(number);
    added.key.assign(key);
    added.number = number;
    added.held = added.recent = true;
    added.known = origin_ == nullptr;
    slots_[at] = {number + 1, hash};
    ++used_;
    drained_ = 0;
    return added;
  }

  /// Asks the origin what it is.
  void ask_origin(Entry& entry) {
    BytesView value;
    if (origin_->find(entry.key.view(), value)) {
      entry.value = decoded(value);
      entry.present = true;
      measure(entry, value.size());
    }
    entry.known = true;
  }
  static T decoded(BytesView value) {
    try {
      return ValueView(value).as<T>();
    } catch (const DecodeError& error) {
      throw StateError(std::string("stored state is not of the type that the stage keeps now: ") + error.what());
    }
  }

  /// As drain: in the order of the keys, whatever is held.
  template <typename Visit, typename Full>
  bool drain_origin(std::uint64_t unit, Visit visit, Full full) {
    if (!drain_at_) {
      // What has changed is not with the origin yet: the next call finds it there.
      if (!changed_.empty()) return false;
      drain_at_.emplace();
    }
    std::string key;
    BytesView value;
    while (origin_->next(drain_at_->has_value() ? &**drain_at_ : nullptr, key, value)) {
      *drain_at_ = key;
      const Entry* held = look_up(key);
      if (held != nullptr && held->changed && !held->present) continue;
      const T visited = held != nullptr && held->present ? held->value : decoded(value);
      if (visit(ValueView(std::as_bytes(std::span(key))), visited)) {
        Entry& erased = find_or_add(key);
        if (!erased.known) {
          erased.value = visited;
          erased.known = erased.present = true;
        }
        erase(erased, unit);
      }
      // What changes is held until it is flushed, also where nothing is emitted that would fill the transaction.
      if (full() || changed_.size() >= kPortion) return false;
    }
    drain_at_.reset();
    return true;
  }

  template <typename Visit>
  void for_each_of_origin(Visit visit) {
    std::string key;
    std::string after;
    BytesView value;
    for (bool first = true; origin_->next(first ? nullptr : &after, key, value); first = false, after = key) {
      const Entry* held = look_up(key);
      if (held != nullptr && held->changed) continue;
      visit(ValueView(std::as_bytes(std::span(key))), held != nullptr && held->present ? held->value : decoded(value));
    }
    for (const std::uint32_t number : changed_) {
      const Entry& candidate = entry(number);
      if (candidate.present) visit(key_of(candidate), candidate.value);
    }
  }

  [[nodiscard]] const Entry* look_up(std::string_view key) const {
    if (slots_.empty()) return nullptr;
    const std::uint32_t number = slots_[slot_of(key, short_key::hash(key))].entry;
    return number == 0 ? nullptr : &entry(number - 1);
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
    if (entry.unit == unit_mark(unit)) return;
    // Each step that may throw leaves what undo() does without it. Made in its place: to copy what was just written, in
    // pieces of another size, has to wait for the writes.
    before_.emplace_back(entry);
    if (!entry.changed) {
      changed_.push_back(entry.number);
      entry.changed = true;
      pend(entry);
    }
    entry.unit = unit_mark(unit);
  }

  /// `entry` is to be flushed, as the last of changed_.
  void pend(const Entry& entry) {
    // Until the next flush all are counted alike: as the largest so far, but small numbers may become large ones.
    if (changed_.size() == 1 && value_bytes_max_ != 0) value_bytes_ = std::max(value_bytes_max_, sizeof(T) + 1);
    count_pending(kOfOneSize ? entry.key.view().size() + value_bytes_ : 1, true);
  }
  void forget_pending(const Entry& entry) {
    count_pending(kOfOneSize ? entry.key.view().size() + value_bytes_ : 1, false);
  }
  void forget_all_pending() { count_pending(pending_, false); }
  void count_pending(std::uint64_t amount, bool more) {
    pending_ = more ? pending_ + amount : pending_ - amount;
    if (total_pending_ != nullptr) total_pending_->add(amount, more, kOfOneSize);
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
    std::size_t gap = slot_of(released.key.view(), short_key::hash(released.key.view()));
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
    released.present = released.held = released.known = false;
    free_.push_back(number);
  }

  void measure(Entry& entry, std::size_t size) {
    encoded_bytes_ -= entry.encoded_bytes;
    entry.encoded_bytes = static_cast<std::uint32_t>(size);
    encoded_bytes_ += size;
    value_bytes_max_ = std::max(value_bytes_max_, size);
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
  std::size_t value_bytes_max_ = 0;                ///< that any value has taken so far
  std::uint64_t value_bytes_ = 2 * sizeof(T) + 8;  ///< that each value which has changed counts for
  std::uint64_t pending_ = 0;                      ///< the part of this table in total_pending_
  PendingState* total_pending_ = nullptr;
  StateOrigin* origin_ = nullptr;
  /// A drain of the origin is under way, and the key that it has come to.
  std::optional<std::optional<std::string>> drain_at_;
  std::uint32_t hand_ = 0;
};

}  // namespace weir
