// SPDX-License-Identifier: Apache-2.0
#include "stages/host/read_pace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace weir::host {
namespace {

using namespace std::chrono_literals;

/// A source with a record every `gap`, read as `pace` says and committed within `commit`: how late the last hundred
/// were found at most, how often it was read for each, and how much of the time commits took.
struct Reads {
  Monotonic late{0};
  double each = 0;
  double busy = 0;
};
Reads read(Monotonic gap, Monotonic commit = 0us) {
  constexpr int kRecords = 500;
  constexpr int kSettled = 400;
  ReadPace pace;
  Reads reads;
  Monotonic now = 1s;
  Monotonic due = now;
  Monotonic settled_at{0};
  Monotonic committing{0};
  int looks = 0;
  bool open = false;
  for (int found = 0; found < kRecords; ++looks) {
    now += pace.wait(now);
    if (now < due) {
      pace.on_nothing();
      if (!std::exchange(open, false)) continue;
      now += commit;
      pace.on_committed(commit);
      if (settled_at != 0us) committing += commit;
      continue;
    }
    if (found > kSettled) {
      reads.late = std::max(reads.late, now - due);
      if (settled_at == 0us) settled_at = now;
    }
    for (; due <= now; due += gap) ++found;
    pace.on_found(now);
    open = true;
  }
  reads.each = static_cast<double>(looks) / kRecords;
  reads.busy = static_cast<double>(committing.count()) / static_cast<double>((now - settled_at).count());
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

TEST(ReadPace, LeavesTimeForWhatFollowsACommit) {
  // A record each would be 0.4 of the time.
  const Reads reads = read(100us, 40us);
  EXPECT_LE(reads.busy, 0.07);
  EXPECT_LE(reads.late, 16 * 40us + 100us);
  // However long one took.
  EXPECT_LE(read(100us, 20ms).late, 20ms + ReadPace::kFirstMax + 100us);
}

TEST(ReadPace, FindsRecordsOfASlowSourceAsSoonWhateverACommitTakes) {
  // As soon as without a rest: a quarter of the gap, as it is looked for at every eighth.
  EXPECT_LE(read(2ms, 40us).late, 500us + 40us);
}

TEST(ReadPace, LetsASourceThatHasNothingAloneForLonger) {
  ReadPace pace;
  for (int i = 0; i < 1000; ++i) pace.on_found(1s + i * 10us);
  EXPECT_EQ(pace.wait(2s), 0us);
  Monotonic spent{0};
  int reads = 0;
  for (; pace.wait(2s) < ReadPace::kLongest; ++reads) {
    pace.on_nothing();
    spent += pace.wait(2s);
  }
  EXPECT_LE(reads, 80);
  EXPECT_LE(spent, 1s);
  pace.hurry();
  EXPECT_EQ(pace.wait(2s), 0us);
}

}  // namespace
}  // namespace weir::host
