// SPDX-License-Identifier: Apache-2.0
#include "stages/bench/record_maker.h"

#include <array>
#include <cstring>
#include <string_view>

#include "weir/encode.h"

namespace weir::bench {
namespace {

constexpr std::size_t kDigits = 7;
constexpr std::uint64_t kKeysMax = 10'000'000;
/// "00", "01" ... "99".
constexpr auto kPairs = [] {
  std::array<char, 200> pairs{};
  for (std::size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();
/// Numbers that take two bytes, each shortest for its value.
constexpr std::uint64_t kNumberFirst = 256;
constexpr std::uint64_t kNumbers = 1000;
/// Of the value: a map of two, "n", then the number's type.
constexpr std::string_view kHead("\x82\xa1n", 3);
constexpr std::size_t kNumberAt = kHead.size() + 1;

std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

template <int kBytes>
void put(std::string& text, std::uint64_t number) {
  for (int i = 0; i < kBytes; ++i) text[kNumberAt + i] = static_cast<char>(number >> (8 * (kBytes - 1 - i)));
}

}  // namespace

RecordMaker::RecordMaker(std::uint64_t keys, std::size_t pad) : keys_(keys) {
  encode(pad_, std::string_view("pad"));
  encode(pad_, std::string(pad, 'x'));
  encode(key_, "k" + std::string(kDigits, '0'));
}

void RecordMaker::set_key(std::uint64_t index) {
  const std::uint64_t key = mixed(index) % keys_;
  // Two at a time: each division waits for the one before.
  auto rest = static_cast<std::uint32_t>(key % kKeysMax);
  char* end = key_.data() + key_.size();
  for (std::size_t left = kDigits; left >= 2; left -= 2, rest /= 100) {
    end -= 2;
    std::memcpy(end, &kPairs[2 * std::size_t{rest % 100}], 2);
  }
  end[-1] = static_cast<char>('0' + rest % 10);
}

void RecordMaker::make(std::uint64_t index) {
  if (!short_number_) {
    value_ = std::string(kHead) + "\xcd" + std::string(2, '\0') + pad_;
    short_number_ = true;
  }
  set_key(index);
  put<2>(value_, kNumberFirst + index % kNumbers);
}

void RecordMaker::make(std::uint64_t index, std::uint64_t number) {
  if (short_number_ || value_.empty()) {
    value_ = std::string(kHead) + "\xcf" + std::string(8, '\0') + pad_;
    short_number_ = false;
  }
  set_key(index);
  put<8>(value_, number);
}

}  // namespace weir::bench
