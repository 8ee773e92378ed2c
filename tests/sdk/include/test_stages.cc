// SPDX-License-Identifier: Apache-2.0
#include <weir/sink.h>
#include <weir/source.h>
#include <weir/stage.h>

#include <stdexcept>
#include <vector>

namespace {

/// Emits twice and changes two states, then fails for negative values.
class FailsLate final : public weir::Stage {
 public:
  static constexpr bool kKeyPreserving = true;
  static constexpr std::array kInputs{"in", "other"};
  static constexpr std::array kOutputs{"out", "late"};

  void process(const weir::RecordView& in, weir::Context& out) override {
    auto& seen = out.state<std::vector<std::int64_t>>();
    auto& count = out.state<std::uint32_t>("count");
    const auto value = in.value<std::int64_t>();
    seen.push_back(value);
    ++count;
    out.emit(in.key(), seen);
    out.emit_to("late", in.port(), count, {.timestamp = 99, .headers = weir::Headers{{"by", "test"}}});
    if (value < 0) throw std::runtime_error("negative");
    if (value == 13) throw 13;  // NOLINT: what a careless author throws
    if (value == 0) out.erase_state<std::vector<std::int64_t>>();
  }
  void finish(weir::Context& out) override {
    out.drain_state<std::uint32_t>(
        "count", [&](weir::ValueView key, const std::uint32_t& count) { out.emit(key, count, {.timestamp = 1}); });
  }
};

class SwallowsRefusals final : public weir::Stage {
 public:
  static constexpr bool kKeyed = false;
  void process(const weir::RecordView& in, weir::Context& out) override {
    try {
      out.emit(in.value());
    } catch (const std::exception&) {
    }
  }
};

class KeepsStateUndeclared final : public weir::Stage {
 public:
  static constexpr bool kKeyed = false;
  void process(const weir::RecordView&, weir::Context& out) override { ++out.state<int>(); }
  void finish(weir::Context& out) override { out.emit(1); }  // no timestamp
};

class RefusesItsConfig final : public weir::Stage {
 public:
  static constexpr bool kKeyed = false;
  explicit RefusesItsConfig(const weir::Config& config) {
    if (config.get<int>("/size") < 1) throw weir::ConfigError("/size: must be above 0");
  }
  void process(const weir::RecordView&, weir::Context&) override {}
};

class Countdown final : public weir::Source {
 public:
  explicit Countdown(const weir::Config& config) : from_(config.get<std::int64_t>("/from")) {}
  void splits(weir::SplitList& list) override { list.add("all"); }
  weir::Progress read(weir::Split& split, weir::Context& out) override {
    auto done = split.position<std::int64_t>();  // 0 at first
    while (done < from_ && !out.full()) out.emit(from_ - done++);
    split.set_position(done);
    return done < from_ ? weir::Progress::kMore : weir::Progress::kEnd;
  }

 private:
  std::int64_t from_;
};

class Total final : public weir::Sink {
 public:
  static constexpr Sharing kSharing = Sharing::kShard;
  void open(const weir::Target& target) override { total_ = target.position<std::int64_t>(); }
  void write(const weir::RecordView& in) override { total_ += in.value<std::int64_t>(); }
  void flush() override {
    if (total_ > 100) throw std::runtime_error("too much");
    set_position(total_);
  }

 private:
  std::int64_t total_ = 0;
};

}  // namespace

WEIR_LIBRARY(weir::stage<FailsLate>("fails_late"), weir::stage<SwallowsRefusals>("swallows_refusals"),
             weir::stage<KeepsStateUndeclared>("keeps_state_undeclared"),
             weir::stage<RefusesItsConfig>("refuses_its_config"), weir::stage<Countdown>("countdown"),
             weir::stage<Total>("total"));
