// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>
#include <string>

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

/// How many bytes the values of a key had; emits nothing.
class Measures final : public weir::Stage {
 public:
  static constexpr bool kKeyed = true;
  void process(const weir::RecordView& in, weir::Context& out) override {
    out.state<std::uint64_t>() += in.value_bytes().size();
  }
};

/// The values of a key, one behind the other; emits nothing.
class Gathers final : public weir::Stage {
 public:
  static constexpr bool kKeyed = true;
  void process(const weir::RecordView& in, weir::Context& out) override {
    out.state<std::string>() += in.value<std::string_view>();
  }
};

/// Emits three numbers, and then says its position again whenever it is asked, for ever.
class Waits final : public weir::Source {
 public:
  void splits(weir::SplitList& list) override { list.add("only"); }
  weir::Progress read(weir::Split& split, weir::Context& out) override {
    auto at = split.position<std::int64_t>();
    const bool emits = at < 3;
    if (emits) out.emit(nullptr, at++);
    split.set_position(at);
    return emits ? weir::Progress::kMore : weir::Progress::kEmpty;
  }
};

/// Has much to say of each record.
class Rants final : public weir::Stage {
 public:
  static constexpr bool kKeyed = false;
  void process(const weir::RecordView&, weir::Context&) override {
    std::string reason = "no";
    for (int i = 0; i < 1'000'000; ++i) reason += "\xc3\xa4";
    throw std::runtime_error(reason + "!");
  }
};

class Throws final : public weir::Stage {
 public:
  static constexpr bool kKeyed = false;
  Throws() { throw std::runtime_error("never in the mood"); }
  void process(const weir::RecordView&, weir::Context&) override {}
};

}  // namespace

WEIR_LIBRARY(weir::stage<Total>("typed.total"), weir::stage<Throws>("typed.throws"), weir::stage<Rants>("typed.rants"),
             weir::stage<Waits>("typed.waits"), weir::stage<Measures>("typed.measures"),
             weir::stage<Gathers>("typed.gathers"));
