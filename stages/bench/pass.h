// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "weir/stage.h"

namespace weir::bench {

/// bench.pass: emits what comes, undecoded: what a stage costs that does nothing.
class Pass final : public Stage {
 public:
  static constexpr bool kKeyed = false;
  static constexpr bool kKeyPreserving = true;

  void process(const RecordView& in, Context& out) override { out.emit(in.key(), in.value()); }
};

}  // namespace weir::bench
