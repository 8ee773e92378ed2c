// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace weir::bench {

/// The records of a benchmark (README.md, "The records"), made here by msgpack-c and in stages/bench by hand, so that a
/// digest tells whether both agree.
struct Workload {
  std::uint64_t records = 0;
  std::uint64_t keys = 0;
  std::size_t pad = 0;  ///< letters that fill the value

  /// A workload whose records are as close to `record_bytes` as they can be, header of the batch format included.
  static Workload of_size(std::uint64_t records, std::uint64_t keys, std::size_t record_bytes);

  [[nodiscard]] std::uint64_t key_of(std::uint64_t index) const;
  [[nodiscard]] static std::int64_t number_of(std::uint64_t index);
  [[nodiscard]] std::size_t record_bytes() const;
};

/// The least that a record takes.
inline constexpr std::size_t kRecordBytesMin = 40;

/// "k0000042".
std::string key_text(std::uint64_t key);

}  // namespace weir::bench
