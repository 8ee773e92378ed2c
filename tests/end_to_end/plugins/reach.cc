// SPDX-License-Identifier: Apache-2.0
// What can be reached in a graph, as a loop: a node that is visited for the first time says so, and visits its
// neighbours. Two input ports and two output ports.
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "weir/stage.h"

namespace {

class Reach final : public weir::Stage {
 public:
  static constexpr std::array kInputs{"edges", "visits"};
  static constexpr std::array kOutputs{"reached", "visit"};

  void process(const weir::RecordView& in, weir::Context& out) override {
    auto& neighbours = out.state<std::vector<std::int64_t>>("neighbours");
    auto& reached = out.state<bool>("reached");
    if (in.port() == "edges") {
      const auto to = in.value<std::int64_t>();
      neighbours.push_back(to);
      if (reached) out.emit_to("visit", to, to);
      return;
    }
    if (reached) return;
    reached = true;
    out.emit_to("reached", in.key(), true);
    for (const std::int64_t to : neighbours) out.emit_to("visit", to, to);
  }
};

/// Lets everything out of its loop, and at its end sends something round, which is too late.
class Stubborn final : public weir::Stage {
 public:
  static constexpr bool kKeyed = false;
  static constexpr std::array kOutputs{"out", "again"};

  void process(const weir::RecordView& in, weir::Context& out) override { out.emit(in.key(), 1); }
  void finish(weir::Context& out) override { out.emit_to("again", 0, 2, {.timestamp = 0}); }
};

}  // namespace

WEIR_LIBRARY(weir::stage<Reach>("test.reach"), weir::stage<Stubborn>("test.stubborn"));
