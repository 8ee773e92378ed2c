// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/expectation.h"

#include <gtest/gtest.h>

namespace weir::bench {
namespace {

/// MessagePack by hand, of three records of one key, whose numbers are 256, 257 and 258.
constexpr std::string_view kKey("\xa8k0000000");
const Workload kThree{.records = 3, .keys = 1, .pad = 2};

TEST(BenchExpectation, HoldsTheRecords) {
  Digest by_hand;
  for (const char number : {'\x00', '\x01', '\x02'}) {
    by_hand.add(kKey, std::string("\x82\xa1n\xcd\x01", 5) + number + std::string("\xa3pad\xa2xx"));
  }
  EXPECT_EQ(expect_records(kThree), by_hand);
}

TEST(BenchExpectation, AddsUp) {
  Digest total;
  total.add(kKey, std::string("\xcd\x03\x03", 3));
  EXPECT_EQ(expect_totals(kThree), total);
  Digest running;
  for (const std::string_view sum :
       {std::string_view("\xcd\x01\x00", 3), std::string_view("\xcd\x02\x01", 3), std::string_view("\xcd\x03\x03", 3)})
    running.add(kKey, sum);
  EXPECT_EQ(expect_running_totals(kThree), running);
}

TEST(BenchExpectation, AddsUpNumbersUnderKeysOfTheirOwn) {
  Digest sums;
  sums.add("\x01", "\x01");
  sums.add(std::string(1, '\0'), "\x02");
  EXPECT_EQ(expect_sums(2), sums);
}

TEST(BenchExpectation, CountsWords) {
  Digest counts;
  counts.add(
      "\xa1"
      "b",
      "\x02");
  counts.add(
      "\xa2"
      "aa",
      std::string("\xcd\x01\x00", 3));
  EXPECT_EQ(expect_counts({{"aa", 256}, {"b", 2}}), counts);
}

TEST(BenchDigest, SeesWhatIsMissingDoubledOrChangedAndNoOrder) {
  Digest digest;
  digest.add("a", "1");
  digest.add("b", "2");
  Digest turned;
  turned.add("b", "2");
  turned.add("a", "1");
  EXPECT_EQ(turned, digest);
  Digest changed;
  changed.add("a", "2");
  changed.add("b", "1");
  EXPECT_NE(changed, digest);
  Digest doubled = digest;
  doubled.add("b", "2");
  EXPECT_NE(doubled, digest);
}

}  // namespace
}  // namespace weir::bench
