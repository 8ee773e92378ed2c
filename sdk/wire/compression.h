// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "sdk/base/bytes.h"
#include "sdk/base/result.h"
#include "sdk/topology/topology.h"

namespace weir::wire {

/// The records of a batch, compressed: u32 how many bytes they are, then one LZ4 block or one zstd frame. The batch's
/// header says which (frame.h). Whoever carries it passes it on as it is: compressed once at the producer, decompressed
/// once at the consumer.

/// Smaller batches stay as they are: what is saved is less than the headers around them.
inline constexpr std::size_t kCompressBytesMin = 256;

/// Compresses the batches of one stream. Keeps its working memory, 16 KiB (lz4) or about 1 MiB (zstd), from the first
/// batch on. Thread: one at a time.
class Compressor {
 public:
  explicit Compressor(Compression compression);
  Compressor(Compressor&&) noexcept;
  Compressor& operator=(Compressor&&) noexcept;
  ~Compressor();

  /// Appends `records` to `out`, compressed if that takes off a sixteenth at least, else as they are; says which.
  Compression append(BytesView records, Bytes& out);

 private:
  struct Memory;
  Compression compression_;
  std::unique_ptr<Memory> memory_;
};

/// Decompresses batches that may come from a stranger. Keeps its working memory and the last batch. Thread: one at a
/// time.
class Decompressor {
 public:
  Decompressor();
  Decompressor(Decompressor&&) noexcept;
  Decompressor& operator=(Decompressor&&) noexcept;
  ~Decompressor();

  /// The records of a batch, `compression` from its header; valid until the next call, or, where they are not
  /// compressed, as long as `bytes`. Takes no more memory than `bytes_max`. Errors: kInvalid where it announces more,
  /// or does not hold exactly what it announces.
  Result<BytesView> records(std::uint32_t compression, BytesView bytes, std::size_t bytes_max);

 private:
  struct Memory;
  std::unique_ptr<Memory> memory_;
  Bytes records_;
};

/// No batch of a directory with such segments has more bytes when it is not compressed: what a Decompressor is given.
inline std::size_t batch_bytes_max(const Topology& topology) {
  return static_cast<std::size_t>(topology.broker.segment_bytes / 4);
}

}  // namespace weir::wire
