// SPDX-License-Identifier: Apache-2.0
#include "broker/core/changelog.h"

#include <algorithm>

namespace weir::core {

void Changelog::append(ChangesPlace changes) {
  use_.add(changes.place.segment);
  tail_bytes_ += changes.place.size;
  tail_.push_back(changes);
}

void Changelog::snapshot(const SnapshotTaken& taken) {
  newest_ = taken;
  while (!tail_.empty() && tail_.front().sequence.value() < taken.through) {
    use_.remove(tail_.front().place.segment);
    tail_bytes_ -= tail_.front().place.size;
    tail_.pop_front();
  }
}

void Changelog::place(ChangesPlace& changes, const Place& place) {
  use_.remove(changes.place.segment);
  changes.place = place;
  use_.add(place.segment);
}

void Changelog::place(Sequence sequence, std::uint64_t segment, std::uint32_t offset) {
  for (auto it = tail_.rbegin(); it != tail_.rend() && it->sequence >= sequence; ++it) {
    if (it->sequence == sequence) place(*it, {segment, offset, it->place.at, it->place.size});
  }
}

std::size_t Changelog::index_of(Sequence sequence, std::uint32_t lane) const {
  const auto first = std::lower_bound(tail_.begin(), tail_.end(), sequence,
                                      [](const ChangesPlace& changes, Sequence at) { return changes.sequence < at; });
  for (auto at = first; at != tail_.end() && at->sequence == sequence; ++at) {
    if (at->lane == lane) return static_cast<std::size_t>(at - tail_.begin());
  }
  return tail_.size();
}

const ChangesPlace* Changelog::find(Sequence sequence, std::uint32_t lane) const {
  const std::size_t index = index_of(sequence, lane);
  return index == tail_.size() ? nullptr : &tail_[index];
}

void Changelog::place(Sequence sequence, std::uint32_t lane, const Place& place) {
  if (const std::size_t index = index_of(sequence, lane); index != tail_.size()) this->place(tail_[index], place);
}

}  // namespace weir::core
