// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "weir/sink.h"
#include "weir/source.h"
#include "weir/stage.h"

namespace {

/// A running total by key; 13 fails behind the change; what is left at the end is emitted and erased.
class Total final : public weir::Stage {
 public:
  static constexpr bool kKeyed = true;
  void process(const weir::RecordView& in, weir::Context& out) override {
    auto& total = out.state<std::int64_t>();
    total += in.value<std::int64_t>();
    out.emit(in.key(), total);
    if (in.value<std::int64_t>() == 13) throw std::runtime_error("thirteen");
  }
  void finish(weir::Context& out) override {
    out.drain_state<std::int64_t>(
        [&](weir::ValueView key, std::int64_t total) { out.emit(key, total, {.timestamp = 99}); });
  }
};

class Throws final : public weir::Stage {
 public:
  static constexpr bool kKeyed = false;
  Throws() { throw std::runtime_error("never in the mood"); }
  void process(const weir::RecordView&, weir::Context&) override {}
};

}  // namespace

WEIR_LIBRARY(weir::stage<Total>("typed.total"), weir::stage<Throws>("typed.throws"));
