// SPDX-License-Identifier: Apache-2.0
#include "stages/keyed/count.h"

#include <algorithm>

namespace weir::keyed {
namespace {

struct Counted {
  std::uint64_t records = 0;
  Timestamp latest = WEIR_TIME_MIN;
  MSGPACK_DEFINE(records, latest)

  [[nodiscard]] std::uint64_t result() const { return records; }
};

}  // namespace

void Count::process(const RecordView& in, Context& out) {
  auto& counted = out.state<Counted>();
  ++counted.records;
  counted.latest = std::max(counted.latest, in.timestamp());
  if (emission_ == Emission::kEvery) out.emit(in.key(), counted.records);
}

void Count::finish(Context& out) {
  if (emission_ == Emission::kFinal) emit_all<Counted>(out);
}

}  // namespace weir::keyed
