// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>

namespace weir {
namespace {

/// Optimal string alignment: insertions, deletions, changes and swaps of neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before;
  std::vector<std::size_t> last(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::vector<std::size_t> row(b.size() + 1);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = std::move(last);
    last = std::move(row);
  }
  return last[b.size()];
}

constexpr std::size_t kNameBytesShown = 100;

}  // namespace

bool is_name(std::string_view text) {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  return !text.empty() && text.size() <= 63 && lower(text.front()) &&
         std::ranges::all_of(text, [&](char c) { return lower(c) || (c >= '0' && c <= '9') || c == '_' || c == '-'; });
}

std::string in_quotes(std::string_view text) {
  if (text.size() <= kNameBytesShown) return fmt::format("\"{}\"", text);
  std::size_t end = kNameBytesShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return fmt::format("\"{}...\"", text.substr(0, end));
}

std::string nearest(std::string_view wrong, const std::vector<std::string>& options) {
  if (wrong.size() > kNameBytesShown) return "";
  std::size_t best = std::max<std::size_t>(1, wrong.size() / 3) + 1;
  std::string found;
  for (const std::string& option : options) {
    if (option.size() > wrong.size() + best || wrong.size() > option.size() + best) continue;
    const std::size_t distance = edit_distance(wrong, option);
    if (distance < best && distance < option.size()) {
      best = distance;
      found = option;
    }
  }
  return found;
}

std::string no_such(std::string_view noun, std::string_view wrong, std::string_view plural,
                    std::vector<std::string> options) {
  std::ranges::sort(options);
  const std::string meant = nearest(wrong, options);
  return fmt::format("no {} {}{} ({}: {})", noun, in_quotes(wrong),
                     meant.empty() ? "" : fmt::format("; did you mean {}?", in_quotes(meant)), plural,
                     options.empty() ? "none" : fmt::format("{}", fmt::join(options, ", ")));
}

}  // namespace weir
