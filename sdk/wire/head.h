// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "sdk/base/bytes.h"

namespace weir::wire {

/// The head of one MessagePack value: what it is, and where its payload or first child lies.
struct Head {
  enum class Kind : std::uint8_t {
    kNothing,
    kBoolean,
    kUnsigned,
    kNegative,
    kFloat,
    kText,
    kBinary,
    kArray,
    kMap,
    kExtension
  };
  Kind kind = Kind::kNothing;
  std::size_t size = 1;         ///< bytes of the head itself
  std::uint64_t unsigned_ = 0;  ///< number, length in bytes, or count of children (of pairs for a map)
  std::int64_t negative = 0;
  double real = 0;
};

/// The head at the start of `bytes`, which may come from a stranger; nothing where it is malformed or cut short. What
/// the head announces need not be there.
std::optional<Head> read_head(BytesView bytes);

}  // namespace weir::wire
