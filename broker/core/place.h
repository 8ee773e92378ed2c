// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sdk/base/ids.h"

namespace weir::core {

/// Where bytes of an entry lie in the journal: the entry's frame (segment 0: not written yet) and a part of its
/// payload.
struct Place {
  std::uint64_t segment = 0;
  std::uint32_t offset = 0;
  std::uint32_t at = 0;
  std::uint32_t size = 0;

  friend bool operator==(const Place&, const Place&) = default;
  [[nodiscard]] bool written() const { return segment != 0; }
};

}  // namespace weir::core
