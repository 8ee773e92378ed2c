// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "stages/bench/record_number.h"
#include "weir/stage.h"

namespace weir::bench {

/// bench.number: emits each record's number under its key: what a running total does, but for the state.
class Number final : public Stage {
 public:
  static constexpr bool kKeyed = false;
  static constexpr bool kKeyPreserving = true;

  void process(const RecordView& in, Context& out) override { out.emit(in.key(), number_of(in.value_bytes())); }
};

}  // namespace weir::bench
