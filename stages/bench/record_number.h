// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>

#include "weir/token.h"

namespace weir::bench {

/// The field "n" of a value that bench.records made: it stands first. Errors: std::runtime_error for other values.
inline std::uint64_t number_of(BytesView value) {
  Token token;
  TokenReader reader(value);
  for (int i = 0; i < 3; ++i) {
    if (!reader.next(token)) throw std::runtime_error("the value has no \"n\"; only records of bench.records have");
  }
  return token.natural;
}

}  // namespace weir::bench
