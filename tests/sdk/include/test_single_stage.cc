// SPDX-License-Identifier: Apache-2.0
#include <weir/stage.h>

// Running total per key.
class Sum final : public weir::Stage {
 public:
  void process(const weir::RecordView& in, weir::Context& out) override {
    auto& total = out.state<std::int64_t>();  // this key's state: loaded, tracked and committed by the worker
    total += in.value<std::int64_t>();
    out.emit(in.key(), total);
  }
};
WEIR_STAGE(Sum, "sum");
