// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "weir/abi.h"
#include "weir/value.h"

namespace weir {

/// Headers as a stage gives them to emit.
using Headers = std::map<std::string, std::string, std::less<>>;

/// One record as it arrives: key, value, event time, headers, and where it came from. Borrows the batch: it and every
/// string_view, BytesView and ValueView taken from it hold until the call that was given it returns.
///
///     void process(const weir::RecordView& in, weir::Context& out) override {
///       const auto text = in.value<std::string_view>();     // no copy
///       out.emit(in.key(), text.size());                    // the key's bytes, not decoded
///     }
class RecordView {
 public:
  RecordView() = default;
  RecordView(BytesView key, BytesView value, BytesView headers, Timestamp timestamp)
      : key_(key), value_(value), headers_(headers), timestamp_(timestamp) {}

  /// The key; nil where there is none. As it is (bytes) or decoded. Errors: DecodeError, naming what was found.
  [[nodiscard]] ValueView key() const { return ValueView(key_); }
  template <typename T>
  [[nodiscard]] T key() const {
    return decode<T>(key_, "key");
  }
  [[nodiscard]] ValueView value() const { return ValueView(value_); }
  template <typename T>
  [[nodiscard]] T value() const {
    return decode<T>(value_, "value");
  }
  /// Event time in microseconds since 1970-01-01T00:00:00Z.
  [[nodiscard]] Timestamp timestamp() const { return timestamp_; }
  /// A map, or nil where the record has none.
  [[nodiscard]] ValueView headers() const { return ValueView(headers_); }
  [[nodiscard]] bool has_headers() const { return !headers_.empty(); }

  /// The MessagePack bytes of key and value. On a keyed stream those of the key are canonical: equal keys, equal bytes.
  [[nodiscard]] BytesView key_bytes() const { return key_; }
  [[nodiscard]] BytesView value_bytes() const { return value_; }
  /// Empty where the record has no headers.
  [[nodiscard]] BytesView headers_bytes() const { return headers_; }

  /// The stream, its shard and the record's offset there; the name of the input port and its index among kInputs.
  [[nodiscard]] std::string_view stream() const { return stream_; }
  [[nodiscard]] std::uint32_t shard() const { return shard_; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] std::string_view port() const { return port_; }
  [[nodiscard]] std::uint32_t port_index() const { return port_index_; }

 private:
  friend class BatchCursor;

  template <typename T>
  [[nodiscard]] static T decode(BytesView bytes, const char* part) {
    try {
      return ValueView(bytes).as<T>();
    } catch (const DecodeError& error) {
      throw DecodeError(std::string(part) + ": " + error.what());
    }
  }

  BytesView key_;
  BytesView value_;
  BytesView headers_;
  Timestamp timestamp_ = 0;
  std::string_view stream_;
  std::string_view port_;
  std::uint32_t shard_ = 0;
  std::uint32_t port_index_ = 0;
  std::uint64_t offset_ = 0;
};

/// Walks the records of a batch in the layout of abi.h. Part of what turns C calls into C++ ones; stages do not need
/// it.
class BatchCursor {
 public:
  /// `port` is the name of the batch's port. REQUIRES: both outlive the cursor.
  BatchCursor(const weir_batch& batch, std::string_view port)
      : at_(batch.records.data), end_(batch.records.data + batch.records.size) {
    view_.stream_ = batch.stream == nullptr ? std::string_view() : std::string_view(batch.stream);
    view_.port_ = port;
    view_.port_index_ = batch.port;
    view_.shard_ = batch.shard;
    view_.offset_ = batch.offset;
  }

  /// Bytes from the start of the batch to the next record.
  [[nodiscard]] std::size_t position(const weir_batch& batch) const {
    return static_cast<std::size_t>(at_ - batch.records.data);
  }
  /// Goes on at a position that an earlier cursor over the same batch gave, where record `index` begins.
  void resume(std::size_t position, std::uint32_t index) {
    at_ += position;
    view_.offset_ += index;
  }

  /// The next record, or null where the bytes are no batch. Holds until the next call.
  const RecordView* next() {
    std::uint32_t sizes[2];
    if (left() < WEIR_RECORD_HEADER_SIZE) return nullptr;
    std::memcpy(sizes, at_, sizeof(sizes));
    std::memcpy(&view_.timestamp_, at_ + 8, sizeof(view_.timestamp_));
    at_ += WEIR_RECORD_HEADER_SIZE;
    const bool has_headers = (sizes[0] & WEIR_RECORD_HAS_HEADERS) != 0;
    if (!take(sizes[0] & ~WEIR_RECORD_HAS_HEADERS, view_.key_) || !take(sizes[1], view_.value_)) return nullptr;
    view_.headers_ = {};
    if (has_headers) {
      std::uint32_t size = 0;
      if (left() < sizeof(size)) return nullptr;
      std::memcpy(&size, at_, sizeof(size));
      at_ += sizeof(size);
      if (!take(size, view_.headers_)) return nullptr;
    }
    if (started_) ++view_.offset_;
    started_ = true;
    return &view_;
  }

 private:
  static_assert(std::endian::native == std::endian::little, "batches are little endian");

  [[nodiscard]] std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  bool take(std::size_t size, BytesView& bytes) {
    if (left() < size) return false;
    bytes = {reinterpret_cast<const std::byte*>(at_), size};
    at_ += size;
    return true;
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  RecordView view_;
  bool started_ = false;
};

}  // namespace weir
