// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "broker/core/core.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/frame.h"

namespace weir::core {

/// Records of one batch: a header that says which, and the bytes that hold them. Borrows these.
struct Core::Piece {
  wire::BatchHeader batch;
  BytesView bytes;
  std::uint32_t skip = 0;  ///< as in DeliveryHeader
  bool cut = false;        ///< the same
};

/// Batches on their way to one worker, gathered into one message. Borrows their bytes.
struct Core::Delivery {
  std::vector<wire::DeliveryHeader> headers;
  std::vector<BytesView> records;
  std::uint64_t bytes = 0;

  /// `awaited`: as in DeliveryHeader.
  void add(std::uint32_t stream, const Piece& piece, Timestamp watermark, bool awaited = false) {
    headers.push_back({stream, piece.batch.shard, piece.batch.count, static_cast<std::uint32_t>(piece.bytes.size()),
                       piece.batch.offset, watermark, piece.batch.origin_us, piece.skip,
                       static_cast<std::uint16_t>(piece.batch.compression),
                       static_cast<std::uint8_t>(piece.cut ? 1 : 0), static_cast<std::uint8_t>(awaited ? 1 : 0)});
    records.push_back(piece.bytes);
    bytes += piece.bytes.size();
  }

  /// Of a batch the records [from, to). REQUIRES: they lie in it. One that is compressed goes whole, and says which are
  /// meant: the worker is there to decompress it.
  static Piece cut(const wire::BatchHeader& batch, BytesView bytes, std::uint64_t from, std::uint64_t to) {
    Piece piece{batch, bytes, 0, false};
    if (from == batch.offset && to == batch.offset + batch.count) return piece;
    piece.batch.offset = from;
    piece.batch.count = static_cast<std::uint32_t>(to - from);
    if (batch.compression != 0) {
      piece.skip = static_cast<std::uint32_t>(from - batch.offset);
      piece.cut = true;
      return piece;
    }
    wire::BatchReader reader(bytes);
    for (std::uint64_t at = batch.offset; at < from; ++at) reader.next();
    const std::size_t start = reader.position();
    for (std::uint64_t at = from; at < to; ++at) reader.next();
    piece.bytes = bytes.subspan(start, reader.position() - start);
    return piece;
  }

  /// Of `frame` the records [from, to) of `shard`, or those of them that lie in one batch with `from`; nothing where
  /// `from` is not in this frame.
  static std::optional<Piece> piece(const wire::FrameView& frame, std::uint32_t shard, std::uint64_t from,
                                    std::uint64_t to) {
    std::size_t at = frame.batches_start();
    for (std::uint32_t i = 0; i < frame.header().batches; ++i) {
      const wire::BatchHeader batch = frame.batch(i);
      const BytesView bytes = frame.bytes().subspan(at, batch.bytes);
      at += batch.bytes;
      if (batch.shard != shard || from < batch.offset || from >= batch.offset + batch.count) continue;
      return cut(batch, bytes, from, std::min(to, batch.offset + batch.count));
    }
    return std::nullopt;
  }
};

}  // namespace weir::core
