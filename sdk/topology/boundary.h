// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace weir {

/// What can be put in order: a number or a text. An int64 is below zero, a double is no NaN. Borrowed.
using Ordinal = std::variant<std::int64_t, std::uint64_t, double, std::string_view>;

/// A key at which a shard of a stream that is partitioned by range begins.
using Boundary = std::variant<std::int64_t, std::uint64_t, double, std::string>;

[[nodiscard]] Ordinal ordinal_of(const Boundary& boundary);
[[nodiscard]] inline bool is_text(const Ordinal& ordinal) { return std::holds_alternative<std::string_view>(ordinal); }

/// The order of keys under "by": "range". Numbers stand by their value, an integer and a float too, without rounding
/// either: 2^53 + 1 is above the float 2^53. Texts stand by their bytes, which is the order of their code points.
/// Nothing where one is a number and the other a text.
[[nodiscard]] std::optional<std::weak_ordering> compare(const Ordinal& a, const Ordinal& b);

/// The same where keys of both kinds may lie in one stream: every number stands before every text.
[[nodiscard]] std::weak_ordering order_of(const Ordinal& a, const Ordinal& b);
[[nodiscard]] inline bool is_before(const Boundary& a, const Boundary& b) {
  return order_of(ordinal_of(a), ordinal_of(b)) == std::weak_ordering::less;
}

/// As JSON writes it.
[[nodiscard]] std::string to_json_text(const Boundary& boundary);

}  // namespace weir
