// SPDX-License-Identifier: Apache-2.0
#include "broker/server/lane_tail.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace weir::server {
namespace {

int compare_bytes(BytesView a, BytesView b) { return as_text(a).compare(as_text(b)); }

bool same_bytes(BytesView a, BytesView b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

/// The last change of each entry: a hash table with open addressing. It is given changes by blocks, the newest block
/// first, so that what has become of most of them, an older word on an entry that is known, writes nothing.
class Newest {
 public:
  /// `change` is encoded, and behind what was taken before of its block. REQUIRES: it outlives this object.
  void take(const std::byte* change, std::size_t block) {
    if ((entries_.size() + 1) * 4 > slots_.size() * 3) grow();
    const auto hash = static_cast<std::uint32_t>(wire::hash_of_entry(change));
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
      Slot& slot = slots_[at];
      if (slot.entry == 0) {
        entries_.push_back({change, block});
        slot = {static_cast<std::uint32_t>(entries_.size()), hash};
        return;
      }
      if (slot.hash != hash) continue;
      Entry& known = entries_[slot.entry - 1];
      if (!wire::of_same_entry(known.change, change)) continue;
      if (known.block == block) known.change = change;
      return;
    }
  }
  [[nodiscard]] std::vector<wire::Change> changes() const {
    std::vector<wire::Change> changes;
    changes.reserve(entries_.size());
    for (const Entry& entry : entries_) changes.push_back(wire::decoded_change(entry.change));
    return changes;
  }

 private:
  struct Entry {
    const std::byte* change = nullptr;
    std::size_t block = 0;
  };
  struct Slot {
    std::uint32_t entry = 0;  ///< its place in entries_, from 1; 0: free
    std::uint32_t hash = 0;
  };

  void grow() {
    std::vector<Slot> old(std::max<std::size_t>(slots_.size() * 2, 64));
    old.swap(slots_);
    const std::size_t mask = slots_.size() - 1;
    for (const Slot& slot : old) {
      if (slot.entry == 0) continue;
      std::size_t at = slot.hash & mask;
      while (slots_[at].entry != 0) at = (at + 1) & mask;
      slots_[at] = slot;
    }
  }

  std::vector<Entry> entries_;
  std::vector<Slot> slots_;  ///< a power of two, at most three quarters used
};

/// The first bytes of a key as a number that orders as they do; a key that ends sooner comes first.
std::uint64_t beginning_of(BytesView key) {
  std::uint64_t bytes = 0;
  if (!key.empty()) std::memcpy(&bytes, key.data(), std::min(key.size(), sizeof(bytes)));
  return __builtin_bswap64(bytes);
}

/// With how many bytes all keys begin alike, as far as it is worth looking.
std::size_t common_beginning(const std::vector<wire::Change>& changes) {
  constexpr std::size_t kLookedAt = 64;
  BytesView alike = changes.front().key;
  alike = alike.first(std::min(alike.size(), kLookedAt));
  for (const wire::Change& change : changes) {
    const auto differs = std::mismatch(alike.begin(), alike.end(), change.key.begin(), change.key.end()).first;
    alike = {alike.begin(), differs};
  }
  return alike.size();
}

std::vector<wire::Change> in_order(const std::vector<wire::Change>& changes) {
  struct Item {
    std::uint64_t beginning;
    std::uint32_t change;
  };
  if (changes.empty()) return {};
  // As a rule they differ in their keys only, and there in the first bytes behind those in which none differs.
  const bool of_one_name = std::all_of(changes.begin(), changes.end(), [&](const wire::Change& change) {
    return change.space == changes.front().space && same_bytes(change.name, changes.front().name);
  });
  const std::size_t alike = of_one_name ? common_beginning(changes) : 0;
  std::vector<Item> items;
  items.reserve(changes.size());
  for (const wire::Change& change : changes) {
    items.push_back(
        {of_one_name ? beginning_of(change.key.subspan(alike)) : 0, static_cast<std::uint32_t>(items.size())});
  }
  std::sort(items.begin(), items.end(), [&](const Item& a, const Item& b) {
    if (a.beginning != b.beginning) return a.beginning < b.beginning;
    return compare_places(changes[a.change], changes[b.change]) < 0;
  });
  std::vector<wire::Change> sorted;
  sorted.reserve(items.size());
  for (const Item& item : items) sorted.push_back(changes[item.change]);
  return sorted;
}

}  // namespace

int compare_places(const wire::Change& a, const wire::Change& b) {
  if (a.space != b.space) return a.space < b.space ? -1 : 1;
  if (a.name.size() != b.name.size()) return a.name.size() < b.name.size() ? -1 : 1;
  if (const int names = compare_bytes(a.name, b.name); names != 0) return names;
  return compare_bytes(a.key, b.key);
}

Result<std::vector<wire::Change>> LaneTail::sorted() const {
  Newest newest;
  for (std::size_t block = added_.size(); block-- > 0;) {
    const auto& [bytes, reset] = added_[block];
    wire::ChangesReader reader(bytes);
    while (true) {
      const std::byte* const encoded = reader.position();
      const auto change = reader.next();
      if (!change) break;
      if (change->space == wire::Space::kPosition || change->space == wire::Space::kRequeued) continue;
      if (reset && change->space == wire::Space::kState) continue;
      newest.take(encoded, block);
    }
    if (!reader.ok()) return {Code::kCorrupt, "malformed state changes in the journal"};
  }
  return in_order(newest.changes());
}

}  // namespace weir::server
