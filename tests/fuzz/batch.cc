// SPDX-License-Identifier: Apache-2.0
// What a producer encodes and the broker does not look into: a frame, the records of a batch, also compressed, state
// changes; the first byte says which. Whatever is read lies inside, adds up, and is the same when it is written again.
#include "sdk/wire/batch.h"

#include <algorithm>

#include "sdk/wire/changes.h"
#include "sdk/wire/compression.h"
#include "sdk/wire/frame.h"
#include "tests/fuzz/fuzz.h"

namespace weir::fuzz {
namespace {

using namespace wire;  // NOLINT: this is about all of it

void check_batch(BytesView bytes) {
  BatchReader reader(bytes);
  Bytes again;
  while (const auto record = reader.next()) append_record(again, *record);
  WEIR_CHECK(reader.position() <= bytes.size(), "a batch is read inside its bytes");
  WEIR_CHECK(!reader.ok() || reader.position() == bytes.size(), "a batch that is fine is read to its end");
  // Headers of no bytes are as good as none, and are written as none.
  WEIR_CHECK(again.size() <= reader.position(), "records take no more bytes when they are written again");
  BatchReader second(again);
  BatchReader first(bytes.first(reader.position()));
  while (const auto record = first.next()) {
    const auto same = second.next();
    WEIR_CHECK(same && same->timestamp == record->timestamp && std::ranges::equal(same->key, record->key) &&
                   std::ranges::equal(same->value, record->value) && std::ranges::equal(same->headers, record->headers),
               "a record that is written again is the same");
  }
}

void check_compressed(Compression compression, BytesView bytes) {
  constexpr std::size_t kBytesMax = 64 << 10;
  Decompressor decompressor;
  const auto records = decompressor.records(static_cast<std::uint32_t>(compression), bytes, kBytesMax);
  if (!records.ok()) return;
  WEIR_CHECK(records->size() <= kBytesMax, "nothing is decompressed beyond its bound");
  check_batch(*records);
  Bytes again;
  const Compression found = Compressor(compression).append(*records, again);
  Decompressor second;  // what it gives lies in it
  const auto same = second.records(static_cast<std::uint32_t>(found), again, kBytesMax);
  WEIR_CHECK(same.ok() && std::ranges::equal(*same, *records), "what is compressed again is the same");
}

void check_changes(BytesView bytes) {
  ChangesReader reader(bytes);
  Bytes again;
  while (const auto change = reader.next()) append_change(again, *change);
  WEIR_CHECK(again.size() <= bytes.size() && std::equal(again.begin(), again.end(), bytes.begin()),
             "state changes that are written again are the same bytes");
  WEIR_CHECK(!reader.ok() || again.size() == bytes.size(), "state changes that are fine are read to their end");
}

void check_frame(BytesView bytes) {
  const auto view = FrameView::parse(bytes);
  if (!view.ok()) return;
  const FrameHeader header = view->header();
  std::uint64_t records = 0;
  std::size_t at = view->batches_start();
  for (std::uint32_t i = 0; i < header.batches; ++i) {
    const BatchHeader batch = view->batch(i);
    records += batch.count;
    check_batch(bytes.subspan(at, batch.bytes));
    at += batch.bytes;
  }
  WEIR_CHECK(at == bytes.size() && records == header.records, "the directory of a frame adds up");
  Bytes patched(bytes.begin(), bytes.end());
  patch_watermark(patched, 77);
  for (std::uint32_t i = 0; i < header.batches; ++i) patch_offset(patched, i, Offset(i));
  const auto after = FrameView::parse(patched);
  WEIR_CHECK(after.ok() && after->header().watermark == 77, "a frame is as sound once the broker has filled it in");
  for (std::uint32_t i = 0; i < header.batches; ++i) {
    WEIR_CHECK(after->batch(i).offset == i && after->batch(i).shard == view->batch(i).shard,
               "only offsets are filled in");
  }
  WEIR_CHECK(std::equal(bytes.begin() + static_cast<std::ptrdiff_t>(view->batches_start()), bytes.end(),
                        patched.begin() + static_cast<std::ptrdiff_t>(view->batches_start())),
             "records are not touched");
}

}  // namespace

std::vector<Bytes> seeds() {
  Bytes batch;
  append_record(batch, {1, as_bytes("\xa1k"), as_bytes("\x01"), {}});
  append_record(batch, {-2, nil_bytes(), as_bytes("\xa5value"), as_bytes("\x81\xa1h\xc0")});
  Bytes frame;
  ByteWriter writer(frame);
  const auto size = static_cast<std::uint32_t>(batch.size());
  const FrameHeader header{3, 2, 4, 0};
  const BatchHeader batches[] = {{1, 2, size, 0, 0, 7}, {4, 2, size, 0, 0, 8}};
  writer.raw(std::as_bytes(std::span(&header, 1)));
  writer.raw(std::as_bytes(std::span(batches)));
  writer.raw(batch);
  writer.raw(batch);
  Bytes changes;
  append_change(changes, {Space::kState, as_bytes("total"), as_bytes("\xa1k"), as_bytes("\x07")});
  append_change(changes, {Space::kState, as_bytes("total"), as_bytes("\xa1l"), std::nullopt});
  append_change(changes, {Space::kPosition, {}, {}, as_bytes("at 12")});
  append_change(changes, {Space::kRequeued, {}, requeued_key(5), std::nullopt});
  Bytes large;
  while (large.size() < 2 * kCompressBytesMin) large.insert(large.end(), batch.begin(), batch.end());
  Bytes lz4;
  Bytes zstd;
  Compressor(Compression::kLz4).append(large, lz4);
  Compressor(Compression::kZstd).append(large, zstd);
  return {chosen(0, frame), chosen(1, batch), chosen(2, changes), chosen(3, lz4), chosen(4, zstd)};
}

}  // namespace weir::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const weir::BytesView body = weir::fuzz::input_of(bytes + 1, size - 1);
  switch (bytes[0] % 5) {
    case 0:
      weir::fuzz::check_frame(body);
      return 0;
    case 1:
      weir::fuzz::check_batch(body);
      return 0;
    case 3:
    case 4:
      weir::fuzz::check_compressed(bytes[0] % 5 == 3 ? weir::Compression::kLz4 : weir::Compression::kZstd, body);
      return 0;
    default:
      weir::fuzz::check_changes(body);
      return 0;
  }
}
