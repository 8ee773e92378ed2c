// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "sdk/base/bytes.h"
#include "sdk/base/ids.h"

namespace weir::wire {

/// One record of a batch, borrowed. Key and value are one MessagePack value each; no headers are an empty span.
struct RecordRef {
  Timestamp timestamp = 0;
  BytesView key;
  BytesView value;
  BytesView headers;
};

/// MessagePack nil: the key of a record without one.
inline constexpr std::byte kNil{0xc0};
inline BytesView nil_bytes() { return {&kNil, 1}; }

/// Bytes that `record` takes in a batch.
std::size_t record_bytes(const RecordRef& record);

/// Appends `record` in the layout of weir/abi.h. REQUIRES: key and value smaller than 2 GiB.
void append_record(Bytes& batch, const RecordRef& record);

/// A batch while it grows. Its memory is written once, not cleared before, and stays for the next batch.
class BatchBuffer {
 public:
  BatchBuffer() = default;
  BatchBuffer(BatchBuffer&& other) noexcept { swap(other); }
  BatchBuffer& operator=(BatchBuffer&& other) noexcept {
    swap(other);
    return *this;
  }

  /// As append_record().
  void append(const RecordRef& record);
  /// Takes back what was appended behind `size`. REQUIRES: size <= size().
  void truncate(std::size_t size) { size_ = size; }
  void clear() { size_ = 0; }
  void swap(BatchBuffer& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  [[nodiscard]] BytesView bytes() const { return {bytes_.get(), size_}; }

 private:
  void grow(std::size_t size_min);

  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// Walks the records of a batch that may come from a stranger: never reads outside it.
class BatchReader {
 public:
  explicit BatchReader(BytesView batch) : batch_(batch) {}
  /// The next record, or nothing at the end and at the first malformed record; then ok() tells which.
  std::optional<RecordRef> next();
  [[nodiscard]] bool ok() const { return ok_; }
  /// Bytes walked so far.
  [[nodiscard]] std::size_t position() const { return at_; }

 private:
  BytesView batch_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace weir::wire
