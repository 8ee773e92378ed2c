// SPDX-License-Identifier: Apache-2.0
#include "stages/host/read_pace.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace weir::host {
namespace {

using namespace std::chrono_literals;

/// A source with a record every `gap`, read as `pace` says: how late the last hundred were found at most, and how often
/// it was read for each.
struct Reads {
  Monotonic late{0};
  double each = 0;
};
Reads read(Monotonic gap) {
  constexpr int kRecords = 500;
  constexpr int kSettled = 400;
  ReadPace pace;
  Reads reads;
  Monotonic now = 1s;
  Monotonic due = now;
  int looks = 0;
  for (int found = 0; found < kRecords; ++looks) {
    now += pace.wait();
    if (now < due) {
      pace.on_nothing();
      continue;
    }
    if (found > kSettled) reads.late = std::max(reads.late, now - due);
    for (; due <= now; due += gap) ++found;
    pace.on_found(now);
  }
  reads.each = static_cast<double>(looks) / kRecords;
  return reads;
}

TEST(ReadPace, FindsRecordsOfAQuickSourceSoonAfterTheyAreDue) {
  const Reads reads = read(100us);
  EXPECT_LE(reads.late, 50us);
  EXPECT_LE(reads.each, 4);
}

TEST(ReadPace, AsksASlowSourceAFewTimesForEachRecord) {
  const Reads reads = read(10ms);
  EXPECT_LE(reads.late, 1ms);
  EXPECT_LE(reads.each, 12);
}

TEST(ReadPace, LetsASourceThatHasNothingAloneForLonger) {
  ReadPace pace;
  for (int i = 0; i < 1000; ++i) pace.on_found(1s + i * 10us);
  EXPECT_EQ(pace.wait(), 0us);
  Monotonic spent{0};
  int reads = 0;
  for (; pace.wait() < ReadPace::kLongest; ++reads) {
    pace.on_nothing();
    spent += pace.wait();
  }
  EXPECT_LE(reads, 80);
  EXPECT_LE(spent, 1s);
  pace.hurry();
  EXPECT_EQ(pace.wait(), 0us);
}

}  // namespace
}  // namespace weir::host
