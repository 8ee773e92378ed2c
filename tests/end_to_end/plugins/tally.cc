// SPDX-License-Identifier: Apache-2.0
// One stage in several versions, a library each (TALLY_VERSION), for the test of upgrades: a running total of each key.
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "weir/stage.h"

namespace {

#define TALLY_SAME 1        // what runs first
#define TALLY_NEXT 2        // the same, and says so in what it emits
#define TALLY_TEXT 3        // keeps its totals as text, which they are not
#define TALLY_DIES 4        // no record that it survives
#define TALLY_PICKY 5       // cannot start
#define TALLY_DEMANDS 6     // has to be told more than the topology tells it
#define TALLY_KEYLESS 7     // keeps no state
#define TALLY_DECLARES 8    // reads whole totals and halves, and says so
#define TALLY_GIVES_UP 9    // ends its worker with a sentence
#define TALLY_WEARS_OUT 10  // every record but each 3,001st of a process

class Tally final : public weir::Stage {
 public:
#if TALLY_VERSION == TALLY_DEMANDS
  static constexpr std::string_view kSchema =
      R"({"type": "object", "properties": {"unit": {"type": "string"}}, "required": ["unit"]})";
#else
  static constexpr std::string_view kSchema = R"({"type": "object", "properties": {"unit": {"type": "string"}}})";
#endif
#if TALLY_VERSION == TALLY_KEYLESS
  static constexpr bool kKeyed = false;
#endif
#if TALLY_VERSION == TALLY_TEXT
  using Total = std::string;
#elif TALLY_VERSION == TALLY_DECLARES
  using Total = double;
  using States = weir::States<weir::State<double>>;
#else
  using Total = std::int64_t;
#endif

  explicit Tally(const weir::Config&) {
    if (TALLY_VERSION == TALLY_PICKY) throw std::runtime_error("this one does not like its config");
  }

  void process(const weir::RecordView& in, weir::Context& out) override {
    static int processed = 0;
    if (TALLY_VERSION == TALLY_DIES || (TALLY_VERSION == TALLY_WEARS_OUT && ++processed > 3000)) std::abort();
    if (TALLY_VERSION == TALLY_GIVES_UP) throw weir::Fatal("this one has had enough");
#if TALLY_VERSION == TALLY_KEYLESS
    out.emit(in.key(), in.value());
#elif TALLY_VERSION == TALLY_TEXT
    out.state<Total>() += "x";
    out.emit(in.key(), in.value());
#else
    auto& total = out.state<Total>();
    total += static_cast<Total>(in.value<std::int64_t>());
    out.emit(in.key(), std::vector<std::int64_t>{TALLY_VERSION, static_cast<std::int64_t>(total)});
#endif
  }
};

}  // namespace

WEIR_STAGE(Tally, "test.tally");
