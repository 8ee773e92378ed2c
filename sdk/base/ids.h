// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace weir {

/// A number with a meaning: explicit in, `.value()` out, so that an Offset is no Epoch.
template <typename Tag, typename Number = std::uint64_t>
class Id {
 public:
  using number_type = Number;
  constexpr Id() = default;
  constexpr explicit Id(Number value) : value_(value) {}
  [[nodiscard]] constexpr Number value() const { return value_; }
  /// The id `steps` further.
  [[nodiscard]] constexpr Id plus(Number steps) const { return Id(static_cast<Number>(value_ + steps)); }
  constexpr Id& operator++() {
    ++value_;
    return *this;
  }
  friend constexpr auto operator<=>(const Id&, const Id&) = default;

 private:
  Number value_ = 0;
};

using Offset = Id<struct OffsetTag>;               ///< a record's position in its shard, from 0
using Sequence = Id<struct SequenceTag>;           ///< an entry's position in the journal, from 0
using Reign = Id<struct ReignTag, std::uint32_t>;  ///< one life of the broker on its data directory, from 1
using Epoch = Id<struct EpochTag, std::uint32_t>;  ///< one tenure of a lease
using Shard = Id<struct ShardTag, std::uint32_t>;  ///< one of a stream's ordered sub-streams
using Incarnation =
    Id<struct IncarnationTag, std::uint64_t>;  ///< reign in the upper 32 bits, a counter below: never reused

/// Microseconds since 1970-01-01T00:00:00Z, event time.
using Timestamp = std::int64_t;

}  // namespace weir

template <typename Tag, typename Number>
struct std::hash<weir::Id<Tag, Number>> {
  std::size_t operator()(const weir::Id<Tag, Number>& id) const noexcept { return std::hash<Number>()(id.value()); }
};
