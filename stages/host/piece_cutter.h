// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sdk/wire/compression.h"
#include "sdk/wire/direct.h"
#include "stages/host/direct_part.h"

namespace weir::host {

/// Records that leave a worker past the broker in one message.
struct Piece {
  Bytes records;  ///< as they are sent
  std::uint32_t count = 0;
  std::uint32_t compression = 0;
  std::uint64_t offset = 0;
  std::int64_t origin_us = 0;
  std::uint64_t transaction = 0;
  /// Leaves out the first records. `bytes_max`: of all of them, decompressed. REQUIRES: there are more.
  void drop_first(std::uint32_t dropped, std::size_t bytes_max);
  /// The message of `type` that carries it; the caller fills in whose it is and for whom, and its number.
  [[nodiscard]] wire::DirectHeader header(wire::MessageType type, std::uint32_t stream) const;
};

/// Cuts what a worker emits to one stream past the broker into pieces, and counts its records. Thread: the runner's.
class PieceCutter {
 public:
  explicit PieceCutter(Compression compression, std::uint64_t offset_first = 0)
      : offset_next_(offset_first), compressor_(compression) {}
  std::vector<Piece> cut(std::uint64_t transaction, const DirectOutput& output);

 private:
  std::uint64_t offset_next_;
  wire::Compressor compressor_;
};

}  // namespace weir::host
