// SPDX-License-Identifier: Apache-2.0
#include "stages/host/piece_cutter.h"

#include <utility>

#include "sdk/base/check.h"
#include "sdk/wire/batch.h"

namespace weir::host {

namespace {

constexpr std::size_t kPieceBytes = 64 << 10;  ///< a piece is cut at the record behind this size

}  // namespace

wire::DirectHeader Piece::header(wire::MessageType type, std::uint32_t stream) const {
  wire::DirectHeader header;
  header.type = type;
  header.stream = stream;
  header.offset = offset;
  header.origin_us = origin_us;
  header.count = count;
  header.compression = compression;
  return header;
}

void Piece::drop_first(std::uint32_t dropped, std::size_t bytes_max) {
  wire::Decompressor decompressor;
  const auto plain = decompressor.records(compression, records, bytes_max);
  WEIR_CHECK(plain.ok() && dropped < count, "a piece of our own can be read");
  wire::BatchReader reader(*plain);
  for (std::uint32_t i = 0; i < dropped; ++i) reader.next();
  const BytesView rest = plain->subspan(reader.position());
  records = Bytes(rest.begin(), rest.end());
  compression = 0;
  count -= dropped;
  offset += dropped;
}

std::vector<Piece> PieceCutter::cut(std::uint64_t transaction, const DirectOutput& output) {
  std::vector<Piece> pieces;
  wire::BatchReader reader(output.records);
  for (std::uint32_t done = 0; done < output.count;) {
    const std::size_t from = reader.position();
    Piece piece;
    while (done < output.count && reader.position() - from < kPieceBytes && reader.next()) {
      ++piece.count;
      ++done;
    }
    WEIR_CHECK(piece.count != 0, "a batch of our own holds as many records as were counted");
    piece.origin_us = output.origin_us;
    piece.offset = offset_next_;
    offset_next_ += piece.count;
    const BytesView records = BytesView(output.records).subspan(from, reader.position() - from);
    piece.compression = static_cast<std::uint32_t>(compressor_.append(records, piece.records));
    piece.transaction = transaction;
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

}  // namespace weir::host
