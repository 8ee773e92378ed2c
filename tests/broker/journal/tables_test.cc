// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/tables.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace weir::journal {
namespace {

std::vector<FileEvidence> all_files() {
  std::vector<FileEvidence> all;
  for (const HeaderState header : {HeaderState::kBlank, HeaderState::kUnreadable, HeaderState::kValid}) {
    for (int bits = 0; bits < 32; ++bits) {
      all.push_back({header, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0});
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

/// Index of the row that decides, or -1.
template <typename Evidence, typename Verdict>
int row_of(const Evidence& evidence, std::span<const TableRow<Verdict>> table) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (table[i].fits(&evidence)) return static_cast<int>(i);
  }
  return -1;
}

TEST(RecoveryTables, HaveARowForEveryCombinationAndNoRowThatIsNeverMet) {
  std::set<int> files_met;
  for (const FileEvidence& evidence : all_files()) files_met.insert(row_of(evidence, file_table()));
  EXPECT_FALSE(files_met.contains(-1));
  EXPECT_EQ(files_met.size(), file_table().size());
  std::set<int> tails_met;
  for (const TailEvidence& evidence : all_tails()) tails_met.insert(row_of(evidence, tail_table()));
  EXPECT_FALSE(tails_met.contains(-1));
  EXPECT_EQ(tails_met.size(), tail_table().size());
}

TEST(RecoveryTables, NeverFreeAFileThatHoldsWhatWasDurable) {
  for (const FileEvidence& evidence : all_files()) {
    const FileVerdict verdict = judge(evidence);
    const bool refused = verdict == FileVerdict::kLostReign || verdict == FileVerdict::kLostEntries;
    EXPECT_EQ(refused, evidence.reign_above || evidence.mark_above_end);
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
