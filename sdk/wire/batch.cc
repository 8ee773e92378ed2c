// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/batch.h"

#include <algorithm>

#include "weir/abi.h"

namespace weir::wire {

std::size_t record_bytes(const RecordRef& record) {
  return WEIR_RECORD_HEADER_SIZE + record.key.size() + record.value.size() +
         (record.headers.empty() ? 0 : sizeof(std::uint32_t) + record.headers.size());
}

namespace {

/// REQUIRES: `to` has room for record_bytes(record).
void write_record(std::byte* to, const RecordRef& record) {
  const auto put = [&to](const void* from, std::size_t size) {
    if (size != 0) std::memcpy(to, from, size);
    to += size;
  };
  const std::uint32_t flags = record.headers.empty() ? 0 : WEIR_RECORD_HAS_HEADERS;
  const std::uint32_t key_size = static_cast<std::uint32_t>(record.key.size()) | flags;
  const auto value_size = static_cast<std::uint32_t>(record.value.size());
  put(&key_size, 4);
  put(&value_size, 4);
  put(&record.timestamp, 8);
  put(record.key.data(), record.key.size());
  put(record.value.data(), record.value.size());
  if (flags != 0) {
    const auto headers_size = static_cast<std::uint32_t>(record.headers.size());
    put(&headers_size, 4);
    put(record.headers.data(), record.headers.size());
  }
}

}  // namespace

void append_record(Bytes& batch, const RecordRef& record) {
  const std::size_t at = batch.size();
  batch.resize(at + record_bytes(record));
  write_record(batch.data() + at, record);
}

void BatchBuffer::append(const RecordRef& record) {
  const std::size_t size = size_ + record_bytes(record);
  if (size > capacity_) grow(size);
  write_record(bytes_.get() + size_, record);
  size_ = size;
}

void BatchBuffer::grow(std::size_t size_min) {
  constexpr std::size_t kFirst = 512;
  const std::size_t capacity = std::max({size_min, 2 * capacity_, kFirst});
  std::unique_ptr<std::byte[]> larger(new std::byte[capacity]);
  if (size_ != 0) std::memcpy(larger.get(), bytes_.get(), size_);
  bytes_ = std::move(larger);
  capacity_ = capacity;
}

std::optional<RecordRef> BatchReader::next() {
  if (!ok_ || at_ == batch_.size()) return std::nullopt;
  ByteReader reader(batch_.subspan(at_));
  const auto key_size = reader.get<std::uint32_t>();
  const auto value_size = reader.get<std::uint32_t>();
  RecordRef record;
  record.timestamp = reader.get<Timestamp>();
  record.key = reader.raw(key_size & ~WEIR_RECORD_HAS_HEADERS);
  record.value = reader.raw(value_size);
  if ((key_size & WEIR_RECORD_HAS_HEADERS) != 0) record.headers = reader.blob();
  if (!reader.ok()) {
    ok_ = false;
    return std::nullopt;
  }
  at_ += reader.position();
  return record;
}

}  // namespace weir::wire
