// SPDX-License-Identifier: Apache-2.0
#include "stages/bench/records.h"

#include <algorithm>

#include "stages/bench/clock.h"
#include "stages/bench/start_file.h"

namespace weir::bench {
Records::Records(const Config& config)
    : records_(config.get<std::uint64_t>("/records")),
      maker_(config.get<std::uint64_t>("/keys"), config.get<std::size_t>("/pad")),
      started_(config.get<std::string>("/started")) {
  if (config.contains("/rate")) rate_ = config.get<double>("/rate");
}

void Records::splits(SplitList& list) { list.add("records"); }

Progress Records::read(Split& split, Context& out) {
  const auto begin = split.position<std::uint64_t>();
  if (split.fresh() && start_ns_ == 0) start_ns_ = write_start(started_);
  if (rate_) return read_paced(begin, split, out);
  const std::uint64_t end = std::min(records_, begin + RecordMaker::kAtOnce);
  const Timestamp now = wall_us();
  std::uint64_t index = begin;
  for (; index < end && !out.full(); ++index) {
    maker_.make(index);
    out.emit(maker_.key(), maker_.value(), {.timestamp = now});
  }
  split.set_position(index);
  return index == records_ ? Progress::kEnd : Progress::kMore;
}

/// REQUIRES: no restart amid the records, since the moments count from this instance's first read.
Progress Records::read_paced(std::uint64_t begin, Split& split, Context& out) {
  const auto due_ns = [this](std::uint64_t index) {
    return start_ns_ + static_cast<std::uint64_t>(static_cast<double>(index) * 1e9 / *rate_);
  };
  const std::uint64_t now = now_ns();
  const Timestamp timestamp = wall_us();
  std::uint64_t index = begin;
  for (; index < records_ && due_ns(index) <= now && !out.full(); ++index) {
    maker_.make(index, due_ns(index));
    out.emit(maker_.key(), maker_.value(), {.timestamp = timestamp});
  }
  if (index == begin) return Progress::kEmpty;
  split.set_position(index);
  return index == records_ ? Progress::kEnd : Progress::kMore;
}

}  // namespace weir::bench
