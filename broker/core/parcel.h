// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/frame.h"
#include "weir/encode.h"

namespace weir::core {

/// Parts of batches on their way to one consumer outside, gathered into one message. Borrows their bytes.
struct Parcel {
  static constexpr std::uint64_t kBytes = 256 << 10;  ///< one is sent when it has come to this size

  struct Piece {
    std::uint32_t shard = 0;
    std::uint64_t offset = 0;
    std::uint64_t count = 0;
    BytesView bytes;
  };

  [[nodiscard]] bool empty() const { return pieces_.empty(); }

  /// Keeps what does not lie where a frame does: `piece` of a batch that was decompressed.
  void hold(Piece& piece) { piece.bytes = held_.emplace_back(piece.bytes.begin(), piece.bytes.end()); }

  void add(std::uint32_t epoch, const Piece& piece) {
    pieces_.push_back({epoch, piece});
    bytes += piece.bytes.size();
    records += piece.count;
  }

  /// Of `batch`, whose records are `all`, those from offset `from` on, as many as `admits(bytes, records)`. A batch
  /// that holds fewer records than it says goes on as it is: who reads it says so.
  template <typename Admits>
  static Piece cut(const wire::BatchHeader& batch, BytesView all, std::uint64_t from, const Admits& admits) {
    const std::uint64_t end = batch.offset + batch.count;
    Piece piece{batch.shard, batch.offset, batch.count, all};
    if (from <= batch.offset && admits(all.size(), batch.count)) return piece;
    wire::BatchReader reader(all);
    for (piece.offset = batch.offset; piece.offset < from; ++piece.offset) reader.next();
    const std::size_t begin = reader.position();
    std::size_t size = 0;
    for (piece.count = 0; piece.offset + piece.count < end; ++piece.count) {
      if (!reader.next()) {
        if (piece.count == 0) return {batch.shard, piece.offset, end - piece.offset, all.subspan(begin)};
        break;
      }
      if (!admits(reader.position() - begin, piece.count + 1)) break;
      size = reader.position() - begin;
    }
    piece.bytes = all.subspan(begin, size);
    return piece;
  }

  /// The delivery `number` of `session` (sdk/wire/WIRE.md).
  [[nodiscard]] Bytes message(std::uint64_t session, std::uint64_t number) const {
    std::string head;
    encode_map_head(head, 4);
    encode_text(head, "op");
    encode_text(head, "delivery");
    encode_text(head, "session");
    encode_natural(head, session);
    encode_text(head, "number");
    encode_natural(head, number);
    encode_text(head, "batches");
    encode_array_head(head, static_cast<std::uint32_t>(pieces_.size()));
    Bytes message;
    message.reserve(head.size() + bytes + pieces_.size() * 64);
    ByteWriter writer(message);
    for (const auto& [epoch, piece] : pieces_) {
      encode_array_head(head, 5);
      encode_natural(head, piece.shard);
      encode_natural(head, epoch);
      encode_natural(head, piece.offset);
      encode_natural(head, piece.count);
      encode_tagged(head, 0xc6, piece.bytes.size(), 4);
      writer.raw(as_bytes(head));
      writer.raw(piece.bytes);
      head.clear();
    }
    return message;
  }

  std::uint64_t bytes = 0;
  std::uint64_t records = 0;

 private:
  std::vector<std::pair<std::uint32_t, Piece>> pieces_;  ///< with the epoch of the lease
  std::deque<Bytes> held_;
};

}  // namespace weir::core
