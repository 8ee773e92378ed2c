// SPDX-License-Identifier: Apache-2.0
#include "broker/core/changelog.h"

namespace weir::core {

void Changelog::append(ChangesPlace changes) {
  tail_bytes_ += changes.place.size;
  tail_.push_back(changes);
}

void Changelog::snapshot(const SnapshotTaken& taken) {
  newest_ = taken;
  while (!tail_.empty() && tail_.front().sequence.value() < taken.through) {
    tail_bytes_ -= tail_.front().place.size;
    tail_.pop_front();
  }
}

}  // namespace weir::core
