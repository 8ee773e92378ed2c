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
  if (says_each(emission_, out)) out.emit(in.key(), counted.records);
}

void Count::merge(const PartialView& partial, Context& out) {
  const auto part = partial.state<Counted>();
  if (!part) return;
  auto& counted = out.state<Counted>();
  counted.records += part->records;
  counted.latest = std::max(counted.latest, part->latest);
  if (says_each(emission_, out)) out.emit(partial.key(), counted.records);
}

void Count::finish(Context& out) {
  if (emission_ == Emission::kFinal) emit_all<Counted>(out);
}

}  // namespace weir::keyed
