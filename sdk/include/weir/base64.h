// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weir {

inline constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends `bytes` in base64 with padding (RFC 4648, section 4).
inline void append_base64(std::string& out, std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t size = bytes.size() - at < 3 ? bytes.size() - at : 3;
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i)
      group = group << 8 | (i < size ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i) {
      out.push_back(i <= size ? kBase64Digits[(group >> (18 - 6 * i)) & 0x3f] : '=');
    }
  }
}

/// Appends what `text` stands for; false where it is no base64 with padding (then `out` may have grown).
inline bool decode_base64(std::string& out, std::string_view text) {
  if (text.size() % 4 != 0) return false;
  for (std::size_t at = 0; at < text.size(); at += 4) {
    std::string_view group = text.substr(at, 4);
    if (at + 4 == text.size()) {
      if (group.ends_with("=="))
        group.remove_suffix(2);
      else if (group.ends_with('='))
        group.remove_suffix(1);
    }
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      std::size_t digit = 0;
      if (i < group.size()) {
        digit = kBase64Digits.find(group[i]);
        if (digit == std::string_view::npos) return false;
      }
      bits = bits << 6 | static_cast<std::uint32_t>(digit);
    }
    for (std::size_t i = 0; i + 1 < group.size(); ++i) out.push_back(static_cast<char>((bits >> (16 - 8 * i)) & 0xff));
  }
  return true;
}

}  // namespace weir
