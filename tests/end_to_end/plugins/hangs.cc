// SPDX-License-Identifier: Apache-2.0
// A source, a stage and a sink that come to a stop in the call that the environment names (HANGS_IN).
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "weir/library.h"
#include "weir/sink.h"
#include "weir/source.h"
#include "weir/stage.h"

namespace {

void maybe_hang(std::string_view call) {
  const char* named = std::getenv("HANGS_IN");
  while (named != nullptr && call == named) std::this_thread::sleep_for(std::chrono::hours(1));
}

/// Numbers from 0 on, a few at a time; the input ends behind `numbers` of them, or without that never, with few there.
class Numbers final : public weir::Source {
 public:
  static constexpr std::string_view kSchema =
      R"({"type": "object", "properties": {"numbers": {"type": "integer", "minimum": 1}}})";

  explicit Numbers(const weir::Config& config) : numbers_(config.get<std::int64_t>("/numbers", 0)) {
    maybe_hang("create");
  }
  void splits(weir::SplitList& list) override {
    maybe_hang("splits");
    list.add("all");
  }
  weir::Progress read(weir::Split& split, weir::Context& out) override {
    maybe_hang("read");
    if (!told_) return weir::Progress::kEmpty;  // one step a life where on_durable hangs
    auto next = split.position<std::int64_t>();
    const std::int64_t end = numbers_ != 0 ? numbers_ : 100;
    if (next == end) return weir::Progress::kEmpty;
    for (int i = 0; i < 10 && next < end; ++i, ++next) out.emit(next % 7, next);
    split.set_position(next);
    told_ = false;
    return next == numbers_ ? weir::Progress::kEnd : weir::Progress::kEmpty;
  }
  void on_durable(weir::Split&) override {
    maybe_hang("on_durable");
    told_ = true;
  }

 private:
  std::int64_t numbers_;
  bool told_ = true;  ///< that the last position is durable
};

class Totals final : public weir::Stage {
 public:
  ~Totals() override { maybe_hang("destroy"); }
  void process(const weir::RecordView& in, weir::Context& out) override {
    auto& total = out.state<std::int64_t>();
    total += in.value<std::int64_t>();
    out.emit(in.key(), total);
  }
};

/// Totals, loaded by a plugin of another language, say: in C++ nothing of the plugin's is called for it.
weir_descriptor with_a_load_of_its_own(weir_descriptor described) {
  static const auto load = described.state_load;
  described.state_load = [](void* self, weir_context* context, weir_bytes name, weir_bytes key, weir_bytes value) {
    maybe_hang("state_load");
    return load(self, context, name, key, value);
  };
  return described;
}

class Nowhere final : public weir::Sink {
 public:
  void open(const weir::Target&) override { maybe_hang("open"); }
  void write(const weir::RecordView&) override {}
  void flush() override { maybe_hang("flush"); }
  void close(std::uint32_t) override { maybe_hang("close"); }
};

}  // namespace

WEIR_LIBRARY(weir::stage<Numbers>("test.hangs.source"), with_a_load_of_its_own(weir::stage<Totals>("test.hangs.stage")),
             weir::stage<Nowhere>("test.hangs.sink"));
