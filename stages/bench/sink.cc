// SPDX-License-Identifier: Apache-2.0
#include "stages/bench/sink.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <fstream>

#include "stages/bench/clock.h"
#include "stages/bench/record_number.h"

namespace weir::bench {
Digest::Digest(const Config& config)
    : report_(config.get<std::string>("/report")), latencies_(config.get<std::string>("/latencies", "")) {}

void Digest::open(const Target& target) {
  const auto position = target.position<std::array<std::uint64_t, 2>>();
  records_ = position[0];
  sum_ = position[1];
}

void Digest::write(const RecordView& in) {
  if (first_ns_ == 0) first_ns_ = now_ns();
  const BytesView key = in.key_bytes();
  const BytesView value = in.value_bytes();
  sum_ += XXH3_64bits_withSeed(value.data(), value.size(), XXH3_64bits(key.data(), key.size()));
  ++records_;
  if (!latencies_.empty()) took_ns_.push_back(now_ns() - number_of(value));
}

void Digest::flush() {
  last_ns_ = now_ns();
  set_position(std::array{records_, sum_});
}

void Digest::close(std::uint32_t /*shard*/) {
  std::ofstream report(report_);
  report << "{\"records\": " << records_ << ", \"digest\": " << sum_ << ", \"first_ns\": " << first_ns_
         << ", \"last_ns\": " << last_ns_ << "}\n";
  report.close();
  if (!report) throw Fatal(report_ + " cannot be written");
  if (latencies_.empty()) return;
  std::ofstream file(latencies_, std::ios::binary);
  file.write(reinterpret_cast<const char*>(took_ns_.data()),
             static_cast<std::streamsize>(took_ns_.size() * sizeof took_ns_[0]));
  file.close();
  if (!file) throw Fatal(latencies_ + " cannot be written");
}

}  // namespace weir::bench
