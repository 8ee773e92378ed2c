// SPDX-License-Identifier: Apache-2.0
#include "stages/bench/record_maker.h"

#include <string_view>

#include "weir/encode.h"

namespace weir::bench {
namespace {

constexpr std::size_t kDigits = 7;
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
  std::uint64_t rest = mixed(index) % keys_;
  for (std::size_t i = 0; i < kDigits; ++i, rest /= 10) key_[key_.size() - 1 - i] = static_cast<char>('0' + rest % 10);
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
