// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace weir {

using Bytes = std::vector<std::byte>;
using BytesView = std::span<const std::byte>;

inline BytesView as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
inline std::string_view as_text(BytesView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4), continued from `seed`; hardware instructions where the machine has
/// them. [any thread]
std::uint32_t crc32c(std::uint32_t seed, BytesView bytes);

/// Appends little-endian numbers and length-prefixed bytes to a buffer that it borrows. The only writer of our formats.
class ByteWriter {
 public:
  explicit ByteWriter(Bytes& out) : out_(out) {}

  template <typename Number>
    requires std::is_integral_v<Number> || std::is_enum_v<Number>
  void put(Number number) {
    const std::size_t at = out_.size();
    out_.resize(at + sizeof(Number));
    std::memcpy(out_.data() + at, &number, sizeof(Number));
  }
  void raw(BytesView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  /// u32 length, then the bytes.
  void blob(BytesView bytes) {
    put(static_cast<std::uint32_t>(bytes.size()));
    raw(bytes);
  }
  void text(std::string_view text) { blob(as_bytes(text)); }
  [[nodiscard]] std::size_t size() const { return out_.size(); }

 private:
  Bytes& out_;
};

/// Reads what ByteWriter wrote from bytes that it borrows. Reading past the end yields zeros and empty views and makes
/// ok() false for good, so that a decoder checks once, at its end; nothing is ever read outside the span.
class ByteReader {
 public:
  explicit ByteReader(BytesView in) : in_(in) {}

  template <typename Number>
    requires std::is_integral_v<Number> || std::is_enum_v<Number>
  Number get() {
    Number number{};
    const BytesView bytes = raw(sizeof(Number));
    if (bytes.size() == sizeof(Number)) std::memcpy(&number, bytes.data(), sizeof(Number));
    return number;
  }
  BytesView raw(std::size_t size) {
    if (size > in_.size() - at_) {
      ok_ = false;
      at_ = in_.size();
      return {};
    }
    const BytesView bytes = in_.subspan(at_, size);
    at_ += size;
    return bytes;
  }
  BytesView blob() { return raw(get<std::uint32_t>()); }
  std::string text() { return std::string(as_text(blob())); }
  /// A count of things of at least `size_min` bytes each that still can follow; an impossible count makes ok() false.
  std::uint32_t count(std::size_t size_min) {
    const auto number = get<std::uint32_t>();
    if (size_min != 0 && number > remaining() / size_min) {
      ok_ = false;
      return 0;
    }
    return number;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return at_ == in_.size(); }
  [[nodiscard]] std::size_t position() const { return at_; }
  [[nodiscard]] std::size_t remaining() const { return in_.size() - at_; }

 private:
  BytesView in_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace weir
