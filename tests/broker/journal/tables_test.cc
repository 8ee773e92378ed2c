// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/tables.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

namespace weir::journal {
namespace {

std::vector<FileEvidence> all_files() {
  std::vector<FileEvidence> all;
  for (const HeaderState header : {HeaderState::kBlank, HeaderState::kUnreadable, HeaderState::kValid}) {
    for (int bits = 0; bits < 64; ++bits) {
      all.push_back({header, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0,
                     (bits & 32) != 0});
    }
  }
  return all;
}

std::vector<TailEvidence> all_tails() {
  std::vector<TailEvidence> all;
  for (const EndBlock block : {EndBlock::kZero, EndBlock::kStale, EndBlock::kUnreadable, EndBlock::kInsideCopy}) {
    for (int bits = 0; bits < 4; ++bits) all.push_back({block, (bits & 1) != 0, (bits & 2) != 0});
  }
  return all;
}

std::vector<CheckpointEvidence> all_checkpoints() {
  constexpr CheckpointState kStates[] = {CheckpointState::kNone, CheckpointState::kWhole, CheckpointState::kBroken};
  std::vector<CheckpointEvidence> all;
  for (const CheckpointState newest : kStates) {
    for (const CheckpointState before : kStates) {
      for (const bool above_end : {false, true}) all.push_back({newest, before, above_end});
    }
  }
  return all;
}

std::vector<SegmentEvidence> all_segments() {
  std::vector<SegmentEvidence> all;
  all.reserve(32);
  for (int bits = 0; bits < 32; ++bits) {
    all.push_back({(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0});
  }
  return all;
}

/// Index of the row that decides, or -1.
template <typename Evidence, typename Verdict>
int row_of(const Evidence& evidence, std::span<const TableRow<Verdict>> table) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (table[i].fits(&evidence)) return static_cast<int>(i);
  }
  return -1;
}

TEST(RecoveryTables, HaveARowForEveryCombinationAndNoRowThatIsNeverMet) {
  const auto expect_complete = [](const auto& all, const auto table, std::size_t combinations) {
    ASSERT_EQ(all.size(), combinations);
    std::set<int> met;
    for (const auto& evidence : all) met.insert(row_of(evidence, table));
    EXPECT_FALSE(met.contains(-1));
    EXPECT_EQ(met.size(), table.size());
  };
  expect_complete(all_files(), file_table(), std::size_t{3} * 64);
  expect_complete(all_tails(), tail_table(), std::size_t{4} * 4);
  expect_complete(all_checkpoints(), checkpoint_table(), std::size_t{3} * 3 * 2);
  expect_complete(all_segments(), segment_table(), 32U);
}

/// The same decisions once more, in another form: not rows in order, but what must hold for each verdict, so that
/// exactly one fits each combination.
TEST(RecoveryTables, DecideEveryCombinationAsItsMeaningDemands) {
  for (const FileEvidence& e : all_files()) {
    const bool alarm = e.reign_above || e.mark_above_end || e.cut_short;
    const bool valid = !alarm && e.header == HeaderState::kValid;
    const bool proven = !e.opening || e.own_group;
    const std::map<FileVerdict, bool> meaning = {
        {FileVerdict::kLostReign, e.reign_above},
        {FileVerdict::kLostEntries, e.mark_above_end && !e.reign_above},
        {FileVerdict::kCutShort, e.cut_short && !e.mark_above_end && !e.reign_above},
        {FileVerdict::kInForce, valid && e.needed && proven},
        {FileVerdict::kFailedStart, valid && !proven},
        {FileVerdict::kStale, valid && !e.needed && proven},
        {FileVerdict::kSpare, !alarm && e.header == HeaderState::kBlank},
        {FileVerdict::kUnreadable, !alarm && e.header == HeaderState::kUnreadable},
    };
    for (const auto& [verdict, holds] : meaning) EXPECT_EQ(judge(e) == verdict, holds);
  }
  for (const TailEvidence& e : all_tails()) {
    const bool corrupt = e.mark_above_end || e.block == EndBlock::kInsideCopy;
    const std::map<TailVerdict, bool> meaning = {
        {TailVerdict::kCorrupt, corrupt},
        {TailVerdict::kTornWithGroups, !corrupt && e.groups_behind},
        {TailVerdict::kTorn, !corrupt && !e.groups_behind && e.block == EndBlock::kUnreadable},
        {TailVerdict::kClean, !corrupt && !e.groups_behind && e.block != EndBlock::kUnreadable},
    };
    for (const auto& [verdict, holds] : meaning) EXPECT_EQ(judge(e) == verdict, holds);
  }
  for (const CheckpointEvidence& e : all_checkpoints()) {
    const bool lost = e.above_end;
    const bool broken = !lost && e.newest == CheckpointState::kBroken;
    const std::map<CheckpointVerdict, bool> meaning = {
        {CheckpointVerdict::kLostEntries, lost},
        {CheckpointVerdict::kNewest, !lost && e.newest == CheckpointState::kWhole},
        {CheckpointVerdict::kBefore, broken && e.before == CheckpointState::kWhole},
        {CheckpointVerdict::kCorrupt, broken && e.before == CheckpointState::kBroken},
        {CheckpointVerdict::kBeginning,
         (!lost && e.newest == CheckpointState::kNone) || (broken && e.before == CheckpointState::kNone)},
    };
    for (const auto& [verdict, holds] : meaning) EXPECT_EQ(judge(e) == verdict, holds);
  }
  for (const SegmentEvidence& e : all_segments()) {
    const bool must = e.replayed || e.needed;
    const std::map<SegmentVerdict, bool> meaning = {
        {SegmentVerdict::kMissing, must && !e.found},
        {SegmentVerdict::kDamaged, e.found && e.replayed && !e.whole},
        {SegmentVerdict::kTake, e.found && (must || e.kept) && (e.whole || !e.replayed)},
        {SegmentVerdict::kEnough, !must && (!e.kept || !e.found)},
    };
    for (const auto& [verdict, holds] : meaning) EXPECT_EQ(judge(e) == verdict, holds);
  }
}

TEST(RecoveryTables, NeverFreeAFileThatHoldsWhatWasDurable) {
  for (const FileEvidence& evidence : all_files()) {
    const FileVerdict verdict = judge(evidence);
    const bool refused =
        verdict == FileVerdict::kLostReign || verdict == FileVerdict::kLostEntries || verdict == FileVerdict::kCutShort;
    EXPECT_EQ(refused, evidence.reign_above || evidence.mark_above_end || evidence.cut_short);
    if (!refused && evidence.header == HeaderState::kValid && evidence.needed && !evidence.opening) {
      EXPECT_EQ(verdict, FileVerdict::kInForce);
    }
    if (verdict == FileVerdict::kInForce) {
      EXPECT_TRUE(!evidence.opening || evidence.own_group);
    }
  }
}

TEST(RecoveryTables, NeverCutWhatAMarkSaysWasDurable) {
  for (const TailEvidence& evidence : all_tails()) {
    if (evidence.mark_above_end) {
      EXPECT_EQ(judge(evidence), TailVerdict::kCorrupt);
    }
    if (judge(evidence) == TailVerdict::kClean) {
      EXPECT_FALSE(evidence.groups_behind);
    }
  }
}

}  // namespace
}  // namespace weir::journal
