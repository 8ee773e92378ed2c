// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/base/bytes.h"

namespace weir::wire {

/// One MessagePack value's end, or nothing where the bytes are malformed or nested deeper than 32.
std::optional<std::size_t> value_size(BytesView bytes);

/// A JSON Pointer that leads into MessagePack: into maps by their string keys, into arrays by the index.
class ValuePath {
 public:
  /// REQUIRES: `pointer` is one (RFC 6901).
  explicit ValuePath(std::string_view pointer);
  /// The value that it leads to, or nothing. Never reads outside `value`.
  [[nodiscard]] std::optional<BytesView> find(BytesView value) const;

 private:
  std::vector<std::string> steps_;
};

}  // namespace weir::wire
