// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/compression.h"

#include <fmt/format.h>
#include <lz4.h>
#include <zstd.h>

#include <vector>

namespace weir::wire {
namespace {

/// A stream has no time for more: level 3, the library's own choice, takes twice as long for a tenth less.
constexpr int kZstdLevel = 1;
constexpr std::size_t kSizeBytes = sizeof(std::uint32_t);

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* memory) const {
    Free(memory);
  }
};

const char* as_chars(BytesView bytes) { return reinterpret_cast<const char*>(bytes.data()); }

}  // namespace

struct Compressor::Memory {
  std::vector<char> lz4;
  std::unique_ptr<ZSTD_CCtx, Freed<ZSTD_freeCCtx>> zstd;
};

Compressor::Compressor(Compression compression) : compression_(compression) {}
Compressor::Compressor(Compressor&&) noexcept = default;
Compressor& Compressor::operator=(Compressor&&) noexcept = default;
Compressor::~Compressor() = default;

Compression Compressor::append(BytesView records, Bytes& out) {
  const auto plain = [&] {
    out.insert(out.end(), records.begin(), records.end());
    return Compression::kNone;
  };
  if (compression_ == Compression::kNone || records.size() < kCompressBytesMin || records.size() > LZ4_MAX_INPUT_SIZE)
    return plain();
  if (!memory_) memory_ = std::make_unique<Memory>();
  const std::size_t at = out.size();
  // Where it does not fit it is not worth it, and the library gives up early.
  const std::size_t room = records.size() - records.size() / 16 - kSizeBytes;
  out.resize(at + kSizeBytes + room);
  const auto size = static_cast<std::uint32_t>(records.size());
  std::memcpy(out.data() + at, &size, kSizeBytes);
  std::byte* to = out.data() + at + kSizeBytes;
  std::size_t packed = 0;
  if (compression_ == Compression::kLz4) {
    memory_->lz4.resize(static_cast<std::size_t>(LZ4_sizeofState()));
    packed = static_cast<std::size_t>(
        LZ4_compress_fast_extState(memory_->lz4.data(), as_chars(records), reinterpret_cast<char*>(to),
                                   static_cast<int>(records.size()), static_cast<int>(room), 1));
  } else {
    if (!memory_->zstd) memory_->zstd.reset(ZSTD_createCCtx());
    if (memory_->zstd) {
      packed = ZSTD_compressCCtx(memory_->zstd.get(), to, room, records.data(), records.size(), kZstdLevel);
      if (ZSTD_isError(packed) != 0) packed = 0;
    }
  }
  if (packed == 0) {
    out.resize(at);
    return plain();
  }
  out.resize(at + kSizeBytes + packed);
  return compression_;
}

struct Decompressor::Memory {
  std::unique_ptr<ZSTD_DCtx, Freed<ZSTD_freeDCtx>> zstd;
};

Decompressor::Decompressor() = default;
Decompressor::Decompressor(Decompressor&&) noexcept = default;
Decompressor& Decompressor::operator=(Decompressor&&) noexcept = default;
Decompressor::~Decompressor() = default;

Result<BytesView> Decompressor::records(std::uint32_t compression, BytesView bytes, std::size_t bytes_max) {
  if (compression == static_cast<std::uint32_t>(Compression::kNone)) return bytes;
  ByteReader reader(bytes);
  const std::size_t size = reader.get<std::uint32_t>();
  const BytesView packed = bytes.subspan(reader.position());
  if (!reader.ok() || size == 0) return {Code::kInvalid, "a compressed batch that is cut short"};
  if (size > bytes_max) {
    return {Code::kInvalid, fmt::format("a compressed batch that announces {} bytes, above {}", size, bytes_max)};
  }
  if (records_.size() < size) records_.resize(size);
  std::size_t found = 0;
  switch (static_cast<Compression>(compression)) {
    case Compression::kLz4: {
      const int got = packed.size() > LZ4_MAX_INPUT_SIZE
                          ? -1
                          : LZ4_decompress_safe(as_chars(packed), reinterpret_cast<char*>(records_.data()),
                                                static_cast<int>(packed.size()), static_cast<int>(size));
      if (got > 0) found = static_cast<std::size_t>(got);
      break;
    }
    case Compression::kZstd:
      if (!memory_) memory_ = std::make_unique<Memory>();
      if (!memory_->zstd) memory_->zstd.reset(ZSTD_createDCtx());
      if (memory_->zstd) {
        found = ZSTD_decompressDCtx(memory_->zstd.get(), records_.data(), size, packed.data(), packed.size());
        if (ZSTD_isError(found) != 0) found = 0;
      }
      break;
    default:
      return {Code::kInvalid,
              fmt::format("a batch that is compressed in a way ({}) that this version does not know", compression)};
  }
  if (found != size) return {Code::kInvalid, "a compressed batch that does not hold what it announces"};
  return BytesView(records_).first(size);
}

}  // namespace weir::wire
