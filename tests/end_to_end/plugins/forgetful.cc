// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string>
#include <string_view>

#include "weir/stage.h"
#include "weir/token.h"

namespace {

/// Stands in for keyed.sum over the records of weir bench, and leaves out the first record of each key.
class Forgetful final : public weir::Stage {
 public:
  static constexpr std::string_view kSchema =
      R"({"type": "object", "properties": {"field": {"type": "string"}, "emit": {"type": "string"}}})";

  explicit Forgetful(const weir::Config& config) : final_(config.get<std::string>("/emit", "every") == "final") {}

  void process(const weir::RecordView& in, weir::Context& out) override {
    weir::Token token;
    weir::TokenReader reader(in.value_bytes());
    for (int i = 0; i < 3; ++i) reader.next(token);
    auto& seen = out.state<bool>("seen");
    auto& total = out.state<std::int64_t>();
    if (seen) total += static_cast<std::int64_t>(token.natural);
    seen = true;
    if (!final_) out.emit(in.key(), total);
  }

  void finish(weir::Context& out) override {
    if (final_)
      out.drain_state<std::int64_t>(
          [&](weir::ValueView key, std::int64_t total) { out.emit(key, total, {.timestamp = 0}); });
  }

 private:
  bool final_;
};

}  // namespace

WEIR_STAGE(Forgetful, "keyed.sum");
