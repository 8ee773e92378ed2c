// SPDX-License-Identifier: Apache-2.0
#include "stages/bench/spread.h"

#include <algorithm>

#include "stages/bench/clock.h"
#include "stages/bench/start_file.h"

namespace weir::bench {

Spread::Spread(const Config& config)
    : records_(config.get<std::uint64_t>("/records")),
      maker_(config.get<std::uint64_t>("/keys"), config.get<std::size_t>("/pad")),
      started_(config.get<std::string>("/started")) {}

void Spread::splits(SplitList& list) { list.add("records"); }

Progress Spread::read(Split& split, Context& out) {
  auto index = split.position<std::uint64_t>();
  if (split.fresh() && index == 0) write_start(started_);
  const std::uint64_t end = std::min(records_, index + RecordMaker::kAtOnce);
  const Timestamp now = wall_us();
  for (; index < end && !out.full(); ++index) {
    maker_.make(index);
    out.emit_to(kOutputs[index % kOutputs.size()], maker_.key(), maker_.value(), {.timestamp = now});
  }
  split.set_position(index);
  return index == records_ ? Progress::kEnd : Progress::kMore;
}

}  // namespace weir::bench
