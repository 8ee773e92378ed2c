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

bool same_bytes(BytesView a, BytesView b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

/// The last change of each entry: a hash table with open addressing.
class Newest {
 public:
  void take(const wire::Change& change) {
    if ((changes_.size() + 1) * 4 > slots_.size() * 3) grow();
    // As a rule all are of one name.
    if (changes_.empty() || change.space != space_ || !same_bytes(change.name, name_)) {
      space_ = change.space;
      name_ = change.name;
      seed_ = XXH3_64bits(name_.data(), name_.size()) + static_cast<std::uint64_t>(space_);
    }
    const auto hash = static_cast<std::uint32_t>(XXH3_64bits_withSeed(change.key.data(), change.key.size(), seed_));
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
      Slot& slot = slots_[at];
      if (slot.change == 0) {
        changes_.push_back(change);
        slot = {static_cast<std::uint32_t>(changes_.size()), hash};
        return;
      }
      if (slot.hash != hash) continue;
      wire::Change& known = changes_[slot.change - 1];
      if (!same_bytes(known.key, change.key) || known.space != space_ || !same_bytes(known.name, name_)) continue;
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
  std::vector<Slot> slots_;                  ///< a power of two, at most three quarters used
  wire::Space space_ = wire::Space::kState;  ///< of the change that was taken last, as its name, ...
  BytesView name_;
  std::uint64_t seed_ = 0;  ///< ... and what both put into the hash
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
