// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string_view>

// How tables compare and hash keys. Most keys are short, and to call a function that suits any length costs more than
// to look at two words. Part of state_table.h; stages do not need it.

namespace weir::short_key {

inline constexpr std::size_t kShortest = sizeof(std::uint32_t);     ///< that the first and the last word of 4 bytes ...
inline constexpr std::size_t kWords = sizeof(std::uint64_t);        ///< ... or, from here on, of 8 bytes cover, ...
inline constexpr std::size_t kLongest = 2 * sizeof(std::uint64_t);  ///< ... up to this

template <typename Word>
Word first_word(std::string_view key) {
  Word word = 0;
  std::memcpy(&word, key.data(), sizeof(word));
  return word;
}
template <typename Word>
Word last_word(std::string_view key) {
  key.remove_prefix(key.size() - sizeof(Word));
  return first_word<Word>(key);
}

inline bool same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const auto same_words = [&]<typename Word>(Word) {
    return first_word<Word>(a) == first_word<Word>(b) && last_word<Word>(a) == last_word<Word>(b);
  };
  if (a.size() < kShortest || a.size() > kLongest) return a == b;
  return a.size() < kWords ? same_words(std::uint32_t{}) : same_words(std::uint64_t{});
}

/// Holds within this process only.
inline std::uint32_t hash(std::string_view key) {
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;  // the golden ratio of 2^64
  std::uint64_t hash = key.size();
  if (key.size() < kShortest || key.size() > kLongest) {
    hash = std::hash<std::string_view>()(key);
  } else if (key.size() < kWords) {
    hash += first_word<std::uint32_t>(key) + last_word<std::uint32_t>(key) * kOdd;
  } else {
    hash += first_word<std::uint64_t>(key) + last_word<std::uint64_t>(key) * kOdd;
  }
  // What MurmurHash3 ends with (fmix64): keys that differ in a few bits are to differ in those that say the slot.
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
  return static_cast<std::uint32_t>(hash ^ (hash >> 33));
}

}  // namespace weir::short_key
