// SPDX-License-Identifier: Apache-2.0
// Stages that cannot be made.
#include <stdexcept>

#include "weir/library.h"
#include "weir/stage.h"

namespace {

class Throws final : public weir::Stage {
 public:
  static constexpr bool kKeyed = false;
  Throws() { throw std::runtime_error("never in the mood"); }
  void process(const weir::RecordView&, weir::Context&) override {}
};

/// What it throws has no sentence.
class ThrowsNumber final : public weir::Stage {
 public:
  static constexpr bool kKeyed = false;
  ThrowsNumber() { throw 13; }
  void process(const weir::RecordView&, weir::Context&) override {}
};

}  // namespace

WEIR_LIBRARY(weir::stage<Throws>("test.throws"), weir::stage<ThrowsNumber>("test.throws_number"));
