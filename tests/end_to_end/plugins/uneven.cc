// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <string_view>
#include <thread>

#include "weir/stage.h"

namespace {

/// Takes its time for every record, worker 0 ten times as long as the others, and emits the number of its worker.
class Uneven final : public weir::Stage {
 public:
  static constexpr std::string_view kSchema =
      R"({"type": "object", "properties": {"us": {"type": "integer", "minimum": 1}}, "required": ["us"]})";
  static constexpr bool kKeyed = false;

  explicit Uneven(const weir::Config& config) : quick_(config.get<std::int64_t>("/us")) {}

  void process(const weir::RecordView& in, weir::Context& out) override {
    std::this_thread::sleep_for(out.worker() == 0 ? 10 * quick_ : quick_);
    out.emit(in.key(), out.worker());
  }

 private:
  const std::chrono::microseconds quick_;
};

}  // namespace

WEIR_STAGE(Uneven, "test.uneven");
