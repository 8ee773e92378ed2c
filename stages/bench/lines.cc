// SPDX-License-Identifier: Apache-2.0
#include "stages/bench/lines.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "stages/bench/start_file.h"

namespace weir::bench {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;

}  // namespace

Lines::Lines(const Config& config)
    : path_(config.get<std::string>("/path")), started_(config.get<std::string>("/started")) {}

void Lines::splits(SplitList& list) { list.add(path_); }

Progress Lines::read(Split& split, Context& out) {
  auto at = split.position<std::size_t>();
  if (text_.empty()) {
    std::ifstream file(path_, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) throw Fatal(path_ + " cannot be read");
    text_ = std::move(text).str();
    if (split.fresh()) write_start(started_);
  }
  const std::size_t end = std::min(text_.size(), at + kReadBytes);
  while (at < end && !out.full()) {
    const std::size_t newline = text_.find('\n', at);
    if (newline == std::string::npos) throw Fatal(path_ + " does not end in a newline");
    out.emit(std::string_view(text_).substr(at, newline - at));
    at = newline + 1;
  }
  split.set_position(at);
  return at == text_.size() ? Progress::kEnd : Progress::kMore;
}

}  // namespace weir::bench
