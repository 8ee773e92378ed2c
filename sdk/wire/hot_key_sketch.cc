// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/hot_key_sketch.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace weir::wire {

// With fewer counters than eight times the keys that may be hot, what is counted wrongly would come near to what makes
// a key hot; there are at most `shares_` keys that have one record in so many, twice as many until they are cold again.
HotKeySketch::HotKeySketch(std::uint32_t shards)
    : shares_(2 * std::clamp(shards, 16U, 128U)),
      counters_max_(std::size_t{shares_} * 4),
      hot_(std::bit_ceil(std::size_t{shares_} * 8)),
      hot_mask_(hot_.size() - 1) {
  counters_.reserve(counters_max_);
  places_.reserve(counters_max_);
}

void HotKeySketch::count(std::uint64_t hash, BytesView key) {
  if (records_ >= kAgeAt) age();
  ++records_;
  if (const auto known = places_.find(hash); known != places_.end()) return raise(known->second, key);
  if (counters_.size() < counters_max_) {
    places_.emplace(hash, static_cast<std::uint32_t>(counters_.size()));
    counters_.emplace_back().hash = hash;
    return raise(counters_.size() - 1, key);
  }
  // It takes the place of the least, and its count: a key that is frequent is never missed.
  Counter& least = counters_.back();
  if (least.hot) return;  // it goes when it has aged
  auto place = places_.extract(least.hash);
  place.key() = hash;
  places_.insert(std::move(place));
  least.hash = hash;
  least.error = least.count;
  raise(counters_.size() - 1, key);
}

void HotKeySketch::raise(std::size_t index, BytesView key) {
  // To the first of those that have as many, so that the order stays.
  const auto first = std::partition_point(counters_.begin(), counters_.end(), [&](const Counter& counter) {
    return counter.count > counters_[index].count;
  });
  const auto to = static_cast<std::size_t>(first - counters_.begin());
  if (to != index) swap(to, index);
  Counter& counter = counters_[to];
  ++counter.count;
  const std::uint32_t sure = counter.count - counter.error;
  if (counter.hot || sure < kHotMin || std::uint64_t{sure} * shares_ < records_) return;
  counter.hot = true;
  if (key.size() <= kKeyBytesMax) counter.key.assign(key.begin(), key.end());
  enter(counter.hash);
}

void HotKeySketch::swap(std::size_t a, std::size_t b) {
  std::swap(counters_[a], counters_[b]);
  places_[counters_[a].hash] = static_cast<std::uint32_t>(a);
  places_[counters_[b].hash] = static_cast<std::uint32_t>(b);
}

void HotKeySketch::enter(std::uint64_t hash) {
  std::size_t slot = hash & hot_mask_;
  while (hot_[slot] != 0) slot = (slot + 1) & hot_mask_;
  hot_[slot] = hash;
}

void HotKeySketch::age() {
  records_ /= 2;
  std::fill(hot_.begin(), hot_.end(), 0);
  for (Counter& counter : counters_) {
    counter.count /= 2;
    counter.error = std::min(counter.error / 2, counter.count);
    const std::uint32_t sure = counter.count - counter.error;
    if (counter.hot && std::uint64_t{sure} * shares_ * 2 < records_) {
      counter.hot = false;
      counter.key = {};
    }
    if (counter.hot) enter(counter.hash);
  }
}

HotKeysSeen HotKeySketch::seen() const {
  HotKeysSeen seen;
  seen.records = records_;
  for (const Counter& counter : counters_) {
    if (counter.hot) seen.keys.push_back({counter.key, counter.count - counter.error});
  }
  return seen;
}

}  // namespace weir::wire
