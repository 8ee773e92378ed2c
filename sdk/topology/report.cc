// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/report.h"

#include <fmt/format.h>

#include "sdk/topology/names.h"

namespace weir {

void Report::not_built(std::string_view pointer, std::string_view what) {
  error(pointer, fmt::format("{} is not built in this version of Weir", in_quotes(what)));
}

void Report::add(Severity severity, std::string_view pointer, std::string message) {
  if (severity == Severity::kError) ++errors_;
  if (full()) return;
  const Place place = place_of(root_, pointer);
  found_.push_back({severity, place.setting ? "--set" : file_, place.line, std::string(pointer), std::move(message)});
}

}  // namespace weir
