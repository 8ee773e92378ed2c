// SPDX-License-Identifier: Apache-2.0
#include "broker/core/key_sample.h"

#include <algorithm>

namespace weir::core {
namespace {

/// So much of it as fits, and no part of a character.
std::string_view beginning(std::string_view text) {
  if (text.size() <= KeySample::kTextBytesMax) return text;
  std::size_t size = KeySample::kTextBytesMax;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

}  // namespace

void KeySample::step() {
  if (every_ == 1) {
    left_ = 1;
    return;
  }
  // xorshift64: on the average every_ records on, at least one.
  state_ ^= state_ << 13;
  state_ ^= state_ >> 7;
  state_ ^= state_ << 17;
  left_ = 1 + state_ % (2 * every_ - 1);
}

void KeySample::add(const Ordinal& key) {
  ++added_;
  Boundary kept = std::visit(
      [](const auto& value) -> Boundary {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string_view>) {
          return std::string(beginning(value));
        } else {
          return value;
        }
      },
      key);
  if (keys_.size() < keys_max_) {
    keys_.push_back(std::move(kept));
    return;
  }
  next_ %= keys_max_;
  keys_[next_++] = std::move(kept);
}

void KeySample::look(Monotonic now) {
  if (now - looked_ < kLookEvery) return;
  const auto seconds = static_cast<std::uint64_t>(std::max<std::int64_t>((now - looked_).count() / 1'000'000, 1));
  looked_ = now;
  every_ = std::max<std::uint64_t>(records_ / seconds * kSeconds / keys_max_, 1);
  left_ = std::min(left_, 2 * every_);
  records_ = 0;
}

std::vector<Boundary> KeySample::sorted() const {
  std::vector<Boundary> keys = keys_;
  std::sort(keys.begin(), keys.end(), is_before);
  return keys;
}

}  // namespace weir::core
