// SPDX-License-Identifier: Apache-2.0
#include "sdk/base/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace weir {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array kDurations = {Unit{"us", 1}, Unit{"ms", 1e3}, Unit{"s", 1e6}, Unit{"m", 60e6}, Unit{"h", 3600e6}};
constexpr std::array kSizes = {Unit{"B", 1}, Unit{"KiB", 1024}, Unit{"MiB", 1048576}, Unit{"GiB", 1073741824.0},
                               Unit{"TiB", 1099511627776.0}};

/// The number before the unit, times the unit; negative where `text` has another form or does not fit into 63 bits.
template <std::size_t N>
double parse(std::string_view text, const std::array<Unit, N>& units) {
  const std::size_t digits = text.find_first_not_of("0123456789.");
  if (digits == 0 || digits == std::string_view::npos) return -1;
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, number);
  if (error != std::errc() || end != text.data() + digits) return -1;
  for (const Unit& unit : units) {
    if (text.substr(digits) != unit.name) continue;
    const double value = number * unit.factor;
    return value < 9.2e18 ? value : -1;
  }
  return -1;
}

}  // namespace

Result<std::chrono::microseconds> parse_duration(std::string_view text) {
  const double value = parse(text, kDurations);
  if (value < 0)
    return {Code::kInvalid, fmt::format("\"{}\" is no duration; write one like \"50ms\" (us, ms, s, m, h)", text)};
  return std::chrono::microseconds(std::llround(value));
}

Result<std::uint64_t> parse_size(std::string_view text) {
  const double value = parse(text, kSizes);
  if (value < 0)
    return {Code::kInvalid, fmt::format("\"{}\" is no size; write one like \"64MiB\" (B, KiB, MiB, GiB, TiB)", text)};
  return static_cast<std::uint64_t>(std::llround(value));
}

std::string format_size(std::uint64_t bytes) {
  static constexpr std::array kNames = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (unit + 1 < kNames.size() && bytes >= 1024 && bytes % 1024 == 0) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{}{}", bytes, kNames[unit]);
}

}  // namespace weir
