// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "weir/value.h"

namespace weir::bench {

/// Record number i of a benchmark (topologies/bench/README.md, "The records"), made by changing a few bytes of one that
/// is encoded, so that making records is not what is measured.
class RecordMaker {
 public:
  /// One look at the clock and one position of a source serve so many records.
  static constexpr std::uint64_t kAtOnce = 4096;

  /// `pad` is how many letters fill the value.
  RecordMaker(std::uint64_t keys, std::size_t pad);

  /// Makes the record; key() and value() hold until the next call. `number` takes the place of the record's own.
  void make(std::uint64_t index);
  void make(std::uint64_t index, std::uint64_t number);

  [[nodiscard]] ValueView key() const { return ValueView(std::as_bytes(std::span(key_))); }
  [[nodiscard]] ValueView value() const { return ValueView(std::as_bytes(std::span(value_))); }

 private:
  void set_key(std::uint64_t index);

  std::uint64_t keys_;
  std::string pad_;  ///< MessagePack: the field "pad" and its letters
  std::string key_;
  std::string value_;
  bool short_number_ = false;  ///< value_ holds a number of two bytes
};

}  // namespace weir::bench
