// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace weir {

/// A key that a table keeps: 24 bytes, in which up to 20 of the key lie, so that most keys are where their value is.
/// Part of state_table.h; stages do not need it.
class StoredKey {
 public:
  static constexpr std::size_t kInline = 20;

  StoredKey() = default;
  StoredKey(const StoredKey&) = delete;
  StoredKey& operator=(const StoredKey&) = delete;
  ~StoredKey() { clear(); }

  /// REQUIRES: it is empty, and `key` below 4 GiB. Errors: std::bad_alloc, std::length_error; it is empty then.
  void assign(std::string_view key) {
    if (key.size() > UINT32_MAX) throw std::length_error("a key of 4 GiB or more");
    char* to = bytes_;
    if (key.size() > kInline) {
      to = new char[key.size()];
      std::memcpy(bytes_, &to, sizeof(to));
    }
    if (!key.empty()) std::memcpy(to, key.data(), key.size());
    size_ = static_cast<std::uint32_t>(key.size());
  }
  void clear() {
    if (size_ > kInline) delete[] elsewhere();
    size_ = 0;
  }

  [[nodiscard]] std::string_view view() const { return {size_ > kInline ? elsewhere() : bytes_, size_}; }

 private:
  [[nodiscard]] char* elsewhere() const {
    char* at = nullptr;
    std::memcpy(&at, bytes_, sizeof(at));
    return at;
  }

  std::uint32_t size_ = 0;
  char bytes_[kInline];  ///< or, where the key is longer, where it is
};

}  // namespace weir
