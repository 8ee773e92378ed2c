// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sdk/base/bytes.h"
#include "weir/abi.h"

namespace weir::host {

/// Bytes as the plugins' boundary has them, and back; both borrow.
inline weir_bytes lend(BytesView bytes) { return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}; }
inline weir_bytes lend(const std::string& text) { return lend(as_bytes(text)); }
inline BytesView view(weir_bytes bytes) { return {reinterpret_cast<const std::byte*>(bytes.data), bytes.size}; }

}  // namespace weir::host
