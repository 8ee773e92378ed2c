// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "sdk/base/clock.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/frame.h"

namespace weir::host {

/// How many records a stage is given in one call: as many as it works off in about kSliceTime, so that a slow stage
/// commits, answers and stops in time, and a fast one never notices. Thread: the runner's.
class SliceSize {
 public:
  [[nodiscard]] std::uint32_t records() const { return records_; }
  /// A call took `took` for `records`.
  void learn(std::uint32_t records, Monotonic took) {
    constexpr Monotonic kSliceTime{20'000};
    if (took > kSliceTime) {
      const auto fits = static_cast<std::int64_t>(records) * kSliceTime.count() / took.count();
      records_ = static_cast<std::uint32_t>(std::max<std::int64_t>(fits, 1));
    } else if (records >= records_ && took < kSliceTime / 2) {
      records_ = std::min(records_, kRecordsMax / 2) * 2;
    }
  }

 private:
  static constexpr std::uint32_t kRecordsMax = 1U << 24;
  std::uint32_t records_ = 256;
};

/// A delivered batch, handed out slice by slice. Borrows it.
class BatchSlices {
 public:
  struct Slice {
    wire::DeliveryHeader header;
    BytesView records;
  };
  BatchSlices(const wire::DeliveryHeader& header, BytesView records) : rest_{header, records} {}

  [[nodiscard]] bool empty() const { return rest_.header.count == 0; }
  /// The next `records_max` records, or what is left. REQUIRES: !empty().
  Slice next(std::uint32_t records_max) {
    Slice slice = rest_;
    if (records_max >= rest_.header.count) {
      rest_.header.count = 0;
      return slice;
    }
    wire::BatchReader reader(rest_.records);
    for (std::uint32_t i = 0; i < records_max; ++i) reader.next();
    slice.header.count = records_max;
    slice.header.bytes = static_cast<std::uint32_t>(reader.position());
    slice.records = rest_.records.first(reader.position());
    rest_.header.offset += records_max;
    rest_.header.count -= records_max;
    rest_.header.bytes -= slice.header.bytes;
    rest_.records = rest_.records.subspan(reader.position());
    return slice;
  }

 private:
  Slice rest_;
};

}  // namespace weir::host
