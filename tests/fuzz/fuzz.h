// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/check.h"

/// What libFuzzer, or tests/fuzz/driver.cc where there is none, calls with one input. It returns 0, or the process
/// ends: what must hold is said by WEIR_CHECK.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace weir::fuzz {

inline BytesView input_of(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(bytes), size};
}

/// What a target starts from: well-formed inputs, made by the code that writes them, so that they follow the formats.
/// Each target defines its own.
std::vector<Bytes> seeds();

/// An input that says by its first byte which decoder is meant, as some targets take it.
inline Bytes chosen(std::uint8_t which, BytesView rest) {
  Bytes bytes{std::byte{which}};
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  return bytes;
}

}  // namespace weir::fuzz
