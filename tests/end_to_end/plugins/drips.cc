// SPDX-License-Identifier: Apache-2.0
// A source of many slow splits: of each a record every millisecond or so.
#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "weir/library.h"
#include "weir/source.h"

namespace {

/// Record `i` of split `s`: key "s", value i.
class Drips final : public weir::Source {
 public:
  static constexpr std::string_view kSchema =
      R"({"type": "object", "properties": {"splits": {"type": "integer"}, "records": {"type": "integer"}},
          "required": ["splits", "records"]})";

  explicit Drips(const weir::Config& config)
      : splits_(config.get<std::int64_t>("/splits")), records_(config.get<std::int64_t>("/records")) {}

  void splits(weir::SplitList& list) override {
    for (std::int64_t split = 0; split < splits_; ++split) list.add(std::to_string(split));
  }
  weir::Progress read(weir::Split& split, weir::Context& out) override {
    auto next = split.position<std::int64_t>();
    if (next >= records_) return weir::Progress::kEnd;
    auto& due = due_[std::string(split.id())];
    const auto now = std::chrono::steady_clock::now();
    if (now < due) return weir::Progress::kEmpty;
    due = now + std::chrono::milliseconds(1);
    out.emit(split.id(), next++);
    split.set_position(next);
    return next < records_ ? weir::Progress::kMore : weir::Progress::kEnd;
  }
  void on_durable(weir::Split&) override {}

 private:
  std::int64_t splits_;
  std::int64_t records_;
  std::map<std::string, std::chrono::steady_clock::time_point> due_;
};

}  // namespace

WEIR_STAGE(Drips, "test.drips");
