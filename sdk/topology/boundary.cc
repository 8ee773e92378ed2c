// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/boundary.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace weir {
namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;

std::weak_ordering of_equal_wholes(double whole, double number) {
  return number > whole   ? std::weak_ordering::less
         : number < whole ? std::weak_ordering::greater
                          : std::weak_ordering::equivalent;
}

// Both sides are taken as integers where the float is in their range, since a float of the integer would be rounded.
std::weak_ordering compare_numbers(std::uint64_t integer, double number) {
  if (number < 0) return std::weak_ordering::greater;
  if (number >= 2 * kTwoTo63) return std::weak_ordering::less;
  const double whole = std::trunc(number);
  const auto other = static_cast<std::uint64_t>(whole);
  return integer != other ? std::weak_ordering(integer <=> other) : of_equal_wholes(whole, number);
}

std::weak_ordering compare_numbers(std::int64_t integer, double number) {
  if (number < -kTwoTo63) return std::weak_ordering::greater;
  if (number >= kTwoTo63) return std::weak_ordering::less;
  const double whole = std::trunc(number);
  const auto other = static_cast<std::int64_t>(whole);
  return integer != other ? std::weak_ordering(integer <=> other) : of_equal_wholes(whole, number);
}

std::weak_ordering reversed(std::weak_ordering order) {
  return order < 0   ? std::weak_ordering::greater
         : order > 0 ? std::weak_ordering::less
                     : std::weak_ordering::equivalent;
}

/// Every pair of kinds.
struct Order {
  using Found = std::optional<std::weak_ordering>;

  Found operator()(std::int64_t a, std::int64_t b) const { return a <=> b; }
  Found operator()(std::uint64_t a, std::uint64_t b) const { return a <=> b; }
  Found operator()(std::int64_t a, std::uint64_t b) const {
    return a < 0 ? std::weak_ordering::less : std::weak_ordering(static_cast<std::uint64_t>(a) <=> b);
  }
  Found operator()(std::uint64_t a, std::int64_t b) const { return reversed(*(*this)(b, a)); }
  Found operator()(double a, double b) const {
    return a < b ? std::weak_ordering::less : a > b ? std::weak_ordering::greater : std::weak_ordering::equivalent;
  }
  Found operator()(std::int64_t a, double b) const { return compare_numbers(a, b); }
  Found operator()(std::uint64_t a, double b) const { return compare_numbers(a, b); }
  Found operator()(double a, std::int64_t b) const { return reversed(compare_numbers(b, a)); }
  Found operator()(double a, std::uint64_t b) const { return reversed(compare_numbers(b, a)); }
  Found operator()(std::string_view a, std::string_view b) const { return a <=> b; }
  template <typename A, typename B>
  Found operator()(const A&, const B&) const {
    return std::nullopt;
  }
};

}  // namespace

Ordinal ordinal_of(const Boundary& boundary) {
  return std::visit([](const auto& value) { return Ordinal(value); }, boundary);
}

std::optional<std::weak_ordering> compare(const Ordinal& a, const Ordinal& b) { return std::visit(Order(), a, b); }

std::weak_ordering order_of(const Ordinal& a, const Ordinal& b) {
  if (const auto order = compare(a, b)) return *order;
  return is_text(b) ? std::weak_ordering::less : std::weak_ordering::greater;
}

std::string to_json_text(const Boundary& boundary) {
  return std::visit([](const auto& value) { return nlohmann::json(value).dump(); }, boundary);
}

}  // namespace weir
