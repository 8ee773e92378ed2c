// SPDX-License-Identifier: Apache-2.0
#include "stages/keyed/sum.h"

#include <algorithm>

#include "stages/keyed/number.h"

namespace weir::keyed {
namespace {

struct Summed {
  Number sum;
  Timestamp latest = WEIR_TIME_MIN;
  MSGPACK_DEFINE(sum, latest)

  [[nodiscard]] const Number& result() const { return sum; }
};

}  // namespace

void Sum::process(const RecordView& in, Context& out) {
  const Number number = number_at(field_, in.value());
  auto& summed = out.state<Summed>();
  summed.sum = add(summed.sum, number);
  summed.latest = std::max(summed.latest, in.timestamp());
  if (says_each(emission_, out)) out.emit(in.key(), summed.sum);
}

void Sum::merge(const PartialView& partial, Context& out) {
  const auto part = partial.state<Summed>();
  if (!part) return;
  auto& summed = out.state<Summed>();
  summed.sum = add(summed.sum, part->sum);
  summed.latest = std::max(summed.latest, part->latest);
  if (says_each(emission_, out)) out.emit(partial.key(), summed.sum);
}

void Sum::finish(Context& out) {
  if (emission_ == Emission::kFinal) emit_all<Summed>(out);
}

}  // namespace weir::keyed
