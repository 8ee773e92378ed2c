// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/expectation.h"

#include <functional>
#include <msgpack.hpp>
#include <string_view>
#include <vector>

#include "topologies/bench/latency.h"

namespace weir::bench {
namespace {

std::string_view text(const msgpack::sbuffer& buffer) { return {buffer.data(), buffer.size()}; }

template <typename T>
std::string packed(const T& value) {
  msgpack::sbuffer buffer;
  msgpack::pack(buffer, value);
  return std::string(text(buffer));
}

/// The number that each record of a key has so far, beginning with none.
std::vector<std::int64_t> no_totals(const Workload& workload) {
  return std::vector<std::int64_t>(static_cast<std::size_t>(workload.keys));
}

Digest expect_numbered(const Workload& workload, const std::function<std::uint64_t(std::uint64_t index)>& number_of) {
  Digest digest;
  const std::string pad(workload.pad, 'x');
  msgpack::sbuffer value;
  for (std::uint64_t i = 0; i < workload.records; ++i) {
    value.clear();
    msgpack::packer packer(value);
    packer.pack_map(2);
    packer.pack("n");
    packer.pack(number_of(i));
    packer.pack("pad");
    packer.pack(pad);
    digest.add(packed(key_text(workload.key_of(i))), text(value));
  }
  return digest;
}

}  // namespace

Digest expect_records(const Workload& workload) {
  return expect_numbered(workload, [](std::uint64_t i) { return static_cast<std::uint64_t>(Workload::number_of(i)); });
}

Digest expect_paced(const Workload& workload, double rate, std::uint64_t started_ns) {
  return expect_numbered(workload, [=](std::uint64_t i) { return due_ns(started_ns, i, rate); });
}

Digest expect_totals(const Workload& workload) {
  std::vector<std::int64_t> totals = no_totals(workload);
  for (std::uint64_t i = 0; i < workload.records; ++i) totals[workload.key_of(i)] += Workload::number_of(i);
  Digest digest;
  for (std::uint64_t key = 0; key < totals.size(); ++key) {
    if (totals[key] != 0) digest.add(packed(key_text(key)), packed(totals[key]));
  }
  return digest;
}

Digest expect_running_totals(const Workload& workload) {
  std::vector<std::int64_t> totals = no_totals(workload);
  Digest digest;
  for (std::uint64_t i = 0; i < workload.records; ++i) {
    const std::uint64_t key = workload.key_of(i);
    digest.add(packed(key_text(key)), packed(totals[key] += Workload::number_of(i)));
  }
  return digest;
}

Digest expect_numbers(const Workload& workload) {
  Digest digest;
  for (std::uint64_t i = 0; i < workload.records; ++i) {
    digest.add(packed(key_text(workload.key_of(i))), packed(Workload::number_of(i)));
  }
  return digest;
}

Digest expect_sums(std::int64_t to) {
  Digest digest;
  for (std::int64_t i = 1; i <= to; ++i) digest.add(packed(i % to), packed(i));
  return digest;
}

Digest expect_counts(const std::unordered_map<std::string, std::uint64_t>& counts) {
  Digest digest;
  for (const auto& [word, count] : counts) digest.add(packed(word), packed(count));
  return digest;
}

}  // namespace weir::bench
