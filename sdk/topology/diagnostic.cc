// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/diagnostic.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

namespace weir {
namespace {

/// `text` without line breaks and other control characters, so that a finding is one line whatever a file holds.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      line += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      line += c;
  }
  return line;
}

}  // namespace

std::string to_text(const Diagnostic& diagnostic) {
  return fmt::format("{}:{}: {}{}{}{}", diagnostic.file, diagnostic.line, one_line(diagnostic.pointer),
                     diagnostic.pointer.empty() ? "" : ": ",
                     diagnostic.severity == Severity::kWarning ? "warning: " : "", one_line(diagnostic.message));
}

std::string to_json(const std::vector<Diagnostic>& diagnostics) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Diagnostic& diagnostic : diagnostics) {
    list.push_back({{"severity", diagnostic.severity == Severity::kWarning ? "warning" : "error"},
                    {"file", diagnostic.file},
                    {"line", diagnostic.line},
                    {"pointer", diagnostic.pointer},
                    {"message", diagnostic.message}});
  }
  return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

bool has_errors(const std::vector<Diagnostic>& diagnostics) {
  return std::ranges::any_of(diagnostics, [](const Diagnostic& d) { return d.severity == Severity::kError; });
}

}  // namespace weir
