// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sdk/base/bytes.h"

namespace weir::client {

/// A delivery of the broker to a consumer (sdk/wire/WIRE.md). Owns its message; the batches borrow from it, also when
/// it is moved.
struct Delivery {
  struct Batch {
    std::uint32_t shard = 0;
    std::uint32_t epoch = 0;
    std::uint64_t offset = 0;
    std::uint64_t count = 0;
    BytesView records;
  };
  Bytes message;
  std::int64_t session = 0;
  std::uint64_t number = 0;
  std::vector<Batch> batches;

  /// Takes `message` where it is a delivery; else nothing, and `message` is as it was.
  static std::optional<Delivery> parse(Bytes& message);
};

}  // namespace weir::client
