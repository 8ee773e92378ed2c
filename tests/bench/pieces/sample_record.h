// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "sdk/wire/batch.h"
#include "weir/encode.h"

namespace weir::bench {

/// A record as those of `weir bench`: with a short key 100 bytes in a batch.
class SampleRecord {
 public:
  explicit SampleRecord(std::uint64_t key, std::size_t pad = 66) {
    encode(key_, "k" + std::to_string(10'000'000 + key % 10'000'000).substr(1));
    encode(value_, std::string(pad, 'x'));
  }
  [[nodiscard]] wire::RecordRef ref() const { return {1'700'000'000'000'000, key(), as_bytes(value_), {}}; }
  [[nodiscard]] BytesView key() const { return as_bytes(key_); }

 private:
  std::string key_;
  std::string value_;
};

}  // namespace weir::bench
