// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace weir {

/// 64 bits from the kernel, which nobody else has. [any thread]
std::uint64_t random_number();

}  // namespace weir
