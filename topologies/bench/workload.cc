// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/workload.h"

#include <fmt/format.h>

namespace weir::bench {
namespace {

/// What the batch format puts before key and value (sdk/wire/WIRE.md).
constexpr std::size_t kRecordHeaderBytes = 16;
constexpr std::size_t kKeyBytes = 9;
/// Map, "n", number of two bytes, "pad".
constexpr std::size_t kValueBytes = 1 + 2 + 3 + 4;

/// What MessagePack puts before a text.
std::size_t text_header_bytes(std::size_t size) { return size < 32 ? 1 : size < 256 ? 2 : size < 65536 ? 3 : 5; }

std::size_t bytes_with(std::size_t pad) {
  return kRecordHeaderBytes + kKeyBytes + kValueBytes + text_header_bytes(pad) + pad;
}

}  // namespace

Workload Workload::of_size(std::uint64_t records, std::uint64_t keys, std::size_t record_bytes) {
  std::size_t pad = 0;
  const std::size_t most = bytes_with(0) < record_bytes ? record_bytes - bytes_with(0) : 0;
  for (std::size_t less = 0; less <= 4 && less <= most; ++less) {
    pad = most - less;
    if (bytes_with(pad) <= record_bytes) break;
  }
  return {records, keys, pad};
}

std::uint64_t Workload::key_of(std::uint64_t index) const {
  std::uint64_t x = index + 0x9e3779b97f4a7c15;  // splitmix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return (x ^ (x >> 31)) % keys;
}

std::int64_t Workload::number_of(std::uint64_t index) { return 256 + static_cast<std::int64_t>(index % 1000); }

std::size_t Workload::record_bytes() const { return bytes_with(pad); }

std::string key_text(std::uint64_t key) { return fmt::format("k{:07}", key); }

}  // namespace weir::bench
