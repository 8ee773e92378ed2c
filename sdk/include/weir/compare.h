// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <compare>
#include <cstdint>
#include <string_view>

#include "weir/value.h"

namespace weir {

/// Compares an integer with a float exactly, where a conversion of either would lose digits. NaN: unordered.
inline std::partial_ordering compare_with_real(const Token& integer, double real) {
  if (std::isnan(real)) return std::partial_ordering::unordered;
  if (real >= 18446744073709551616.0) return std::partial_ordering::less;
  if (real < -9223372036854775808.0) return std::partial_ordering::greater;
  const double whole = std::floor(real);
  std::partial_ordering order = std::partial_ordering::equivalent;
  if (whole < 0) {
    if (integer.kind == Token::Kind::kNatural) return std::partial_ordering::greater;
    order = integer.negative <=> static_cast<std::int64_t>(whole);
  } else {
    if (integer.kind == Token::Kind::kNegative) return std::partial_ordering::less;
    order = integer.natural <=> static_cast<std::uint64_t>(whole);
  }
  if (std::is_eq(order) && whole < real) return std::partial_ordering::less;
  return order;
}

/// Orders two plain values: numbers by their value, whatever their kind, strings and binary by their bytes, false
/// before true, nil beside nil. Values of different kinds, arrays, maps and NaN are unordered.
inline std::partial_ordering compare(const Token& left, const Token& right) {
  using Kind = Token::Kind;
  if (left.is_number() && right.is_number()) {
    if (left.kind == Kind::kReal && right.kind == Kind::kReal) return left.real <=> right.real;
    if (right.kind == Kind::kReal) return compare_with_real(left, right.real);
    if (left.kind == Kind::kReal) {
      const auto reversed = compare_with_real(right, left.real);
      if (std::is_lt(reversed)) return std::partial_ordering::greater;
      return std::is_gt(reversed) ? std::partial_ordering::less : reversed;
    }
    if (left.kind != right.kind) return right.kind <=> left.kind;  // kNatural stands before kNegative
    return left.kind == Kind::kNatural ? left.natural <=> right.natural : left.negative <=> right.negative;
  }
  if (left.kind != right.kind) return std::partial_ordering::unordered;
  switch (left.kind) {
    case Kind::kNil:
      return std::partial_ordering::equivalent;
    case Kind::kBool:
      return left.boolean <=> right.boolean;
    case Kind::kText:
    case Kind::kBinary:
      return left.text <=> right.text;
    default:
      return std::partial_ordering::unordered;
  }
}

}  // namespace weir
