// SPDX-License-Identifier: Apache-2.0
#include "broker/server/lane_tail.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace weir::server {
namespace {

int compare_bytes(BytesView a, BytesView b) { return as_text(a).compare(as_text(b)); }

/// The last change of each entry: a hash table with open addressing.
class Newest {
 public:
  void take(const wire::Change& change) {
    if ((changes_.size() + 1) * 4 > slots_.size() * 3) grow();
    const std::uint64_t whole = XXH3_64bits_withSeed(
        change.key.data(), change.key.size(),
        XXH3_64bits(change.name.data(), change.name.size()) + static_cast<std::uint64_t>(change.space));
    const auto hash = static_cast<std::uint32_t>(whole);
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
      Slot& slot = slots_[at];
      if (slot.change == 0) {
        changes_.push_back(change);
        slot = {static_cast<std::uint32_t>(changes_.size()), hash};
        return;
      }
      wire::Change& known = changes_[slot.change - 1];
      if (slot.hash != hash || compare_places(known, change) != 0) continue;
      known = change;
      return;
    }
  }
  [[nodiscard]] const std::vector<wire::Change>& changes() const { return changes_; }

 private:
  struct Slot {
    std::uint32_t change = 0;  ///< its place in changes_, from 1; 0: free
    std::uint32_t hash = 0;
  };

  void grow() {
    std::vector<Slot> old(std::max<std::size_t>(slots_.size() * 2, 64));
    old.swap(slots_);
    const std::size_t mask = slots_.size() - 1;
    for (const Slot& slot : old) {
      if (slot.change == 0) continue;
      std::size_t at = slot.hash & mask;
      while (slots_[at].change != 0) at = (at + 1) & mask;
      slots_[at] = slot;
    }
  }

  std::vector<wire::Change> changes_;
  std::vector<Slot> slots_;  ///< a power of two, at most three quarters used
};

/// The first bytes of a key as a number that orders as they do; a key that ends sooner comes first.
std::uint64_t beginning_of(BytesView key) {
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, key.data(), std::min(key.size(), sizeof(bytes)));
  return __builtin_bswap64(bytes);
}

std::vector<wire::Change> in_order(const std::vector<wire::Change>& changes) {
  struct Item {
    std::uint64_t beginning;
    std::uint32_t change;
  };
  // As a rule they differ in their keys only, and there in the first bytes.
  const bool of_one_name = std::all_of(changes.begin(), changes.end(), [&](const wire::Change& change) {
    return change.space == changes.front().space && std::ranges::equal(change.name, changes.front().name);
  });
  std::vector<Item> items;
  items.reserve(changes.size());
  for (const wire::Change& change : changes) {
    items.push_back({of_one_name ? beginning_of(change.key) : 0, static_cast<std::uint32_t>(items.size())});
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
  for (const auto& [bytes, reset] : added_) {
    wire::ChangesReader reader(bytes);
    while (const auto change = reader.next()) {
      if (change->space == wire::Space::kPosition || change->space == wire::Space::kRequeued) continue;
      if (reset && change->space == wire::Space::kState) continue;
      newest.take(*change);
    }
    if (!reader.ok()) return {Code::kCorrupt, "malformed state changes in the journal"};
  }
  return in_order(newest.changes());
}

}  // namespace weir::server
