// SPDX-License-Identifier: Apache-2.0
//
// The traps of FORMAT.md, each as the shortest history that falls into it. The model (model.cc) covers all
// interleavings in small; these show that the code follows the model where it hurts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/journal/frame.h"
#include "tests/broker/journal/fixture.h"

namespace weir::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class JournalTraps : public JournalFixture {
 protected:
  /// A start that dies in its `operation`-th writing call.
  void start_and_die(std::uint64_t operation) {
    journal_.reset();
    disk_->crash_after(operation);
    journal::Recovery recovery;
    const auto opened = journal::Journal::open(*disk_, options_, recovery);
    died_ = !opened.ok();
    if (died_) {
      EXPECT_TRUE(disk_->crashed()) << opened.error().message;
    }
  }
  void roll_over() {
    const std::uint64_t number = journal_->segment_newest();
    while (journal_->segment_newest() == number) append(std::string(5000, 'r'));
  }
  bool died_ = false;
};

TEST_F(JournalTraps, F1F2F3NoCrashAnywhereInAStartLosesWhatWasServed) {
  // Header without copy, copy without sync, marks in the cache only: every place a start can die, twice in a row,
  // each followed by a kill or by a power cut.
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    for (std::uint64_t first = 1; first <= 8; ++first) {
      for (std::uint64_t second = 1; second <= 10; ++second) {
        disk_ = std::make_unique<SimDisk>(seed * 1000 + first * 100 + second);
        open();
        append("e0");
        sync();
        append("e1");
        kill();
        start_and_die(first);
        disk_->kill();
        start_and_die(second);
        seed % 2 == 0 ? disk_->kill() : disk_->power_cut();
        open();
        ASSERT_NE(journal_, nullptr);
        if (seed % 2 == 0) {
          ASSERT_THAT(replayed(), ElementsAre("e0", "e1"));
        } else {
          ASSERT_GE(replayed().size(), 1U);
          ASSERT_EQ(replayed().front(), "e0");
        }
      }
    }
  }
}

TEST_F(JournalTraps, F2AFailedSyncOfTheCopyIsNoEvidenceOfIt) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    disk_ = std::make_unique<SimDisk>(seed);
    open();
    append("e0");
    sync();
    kill();
    disk_->fail_sync(1 + seed % 2, seed % 4 < 2 ? SimDisk::Pages::kKept : SimDisk::Pages::kEvicted);
    EXPECT_EQ(refused().code, Code::kIo);
    disk_->kill();
    start_and_die(1 + seed % 7);
    disk_->power_cut();
    open();
    ASSERT_NE(journal_, nullptr);
    ASSERT_THAT(replayed(), ElementsAre("e0"));
  }
}

TEST_F(JournalTraps, F4AStartSparesThePredecessorOfAnUnsyncedRollOver) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    disk_ = std::make_unique<SimDisk>(seed);
    positions_.clear();
    open();
    roll_over();
    sync();
    checkpoint("one", journal_->segment_newest());
    append("x");
    sync();
    checkpoint("two", journal_->segment_newest());
    const Sequence acknowledged = journal_->durable();
    roll_over();  // its header is in the cache only
    kill();
    start_and_die(1 + seed % 3);
    disk_->power_cut();
    open();
    ASSERT_NE(journal_, nullptr);
    ASSERT_GE(recovery_.end, acknowledged);
  }
}

TEST_F(JournalTraps, F5AnOrdinaryPowerCutAfterAStartIsNotRefused) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    disk_ = std::make_unique<SimDisk>(seed);
    open();
    append_group({"e0", "e1"});
    sync();
    append("e2");
    kill();
    open();
    power_cut();
    open();
    ASSERT_NE(journal_, nullptr);
    ASSERT_THAT(replayed(), ElementsAre("e0", "e1", "e2"));
  }
}

TEST_F(JournalTraps, F6ACrashLoopEatsNoSegments) {
  open();
  roll_over();
  sync();
  ASSERT_TRUE(journal_->prepare_spare().ok());
  const std::size_t files = disk_->names().size();
  for (int life = 0; life < 8; ++life) {
    kill();
    open();
    append("one entry a life");
  }
  EXPECT_LE(disk_->names().size(), files + 1);
}

TEST_F(JournalTraps, F7AStartFindsRoomBehindAFullSegment) {
  open();
  const std::uint64_t number = journal_->segment_newest();
  // Fill to the last usable block, one block a group, without a sync.
  for (int i = 0; i < 11; ++i) append(std::string(100, 'x'));
  ASSERT_EQ(journal_->segment_newest(), number);
  kill();
  for (int life = 0; life < 4; ++life) {
    open();
    ASSERT_EQ(replayed().size(), 11U);
    kill();
  }
}

TEST_F(JournalTraps, F7AMarkPushesNoGroupIntoTheBlocksThatAreKept) {
  bool dies = true;
  for (std::uint64_t operation = 1; dies; ++operation) {
    journal_.reset();
    disk_ = std::make_unique<SimDisk>(operation);
    open();
    append(std::string(5000, 'a'));
    const auto under_way = journal_->begin_sync();
    ASSERT_TRUE(under_way);
    append("b");
    ASSERT_TRUE(journal_->end_sync(*under_way, under_way->run()).ok());
    // The first just fits, the second does not, and no spare is there: what makes one syncs, and marks.
    const std::string fits(32'728, 'c');
    const BytesView parts[] = {as_bytes(fits), as_bytes("d")};
    const journal::EntryView group[] = {{journal::EntryKind::kRecord, std::span(parts).first(1)},
                                        {journal::EntryKind::kRecord, std::span(parts).last(1)}};
    disk_->crash_after(operation);
    dies = !journal_->append(group, positions_).ok();
    for (int life = 0; life < 2; ++life) {
      kill();
      open();
      ASSERT_NE(journal_, nullptr) << "operation " << operation;
      ASSERT_GE(replayed().size(), 2U) << "operation " << operation;
    }
  }
}

TEST_F(JournalTraps, F8ARottenHeaderOfTheNewestSegmentHidesNothingInSilence) {
  open();
  roll_over();
  append("g1");
  sync();
  append("g2");
  sync();
  mark();
  sync();
  kill();
  disk_->flip_bit(file_of(2), 30, 2);
  const Error error = refused();
  EXPECT_EQ(error.code, Code::kCorrupt);
  EXPECT_THAT(error.message, HasSubstr("mark"));
}

TEST_F(JournalTraps, F8ARottenHeaderOfAReignThatServedIsRefused) {
  open();
  append("one");
  sync();
  kill();
  open();
  append("two");
  sync();
  kill();
  disk_->flip_bit(file_of(1), 30, 2);
  const Error error = refused();
  EXPECT_EQ(error.code, Code::kCorrupt);
  EXPECT_THAT(error.message, HasSubstr("reign 2"));
}

TEST_F(JournalTraps, F9NoReignNumberIsUsedTwiceAfterStartsThatFailed) {
  open();
  append("one");
  sync();
  for (std::uint64_t operation = 1; operation <= 9; ++operation) {
    kill();
    start_and_die(operation);
    disk_->kill();
    Reign seen;  // in any header, whether it was ever in force or not
    for (const std::string& name : disk_->names()) {
      Bytes block = disk_->content(name);
      block.resize(journal::kBlockBytes);
      journal::SegmentHeader header;
      const auto state = journal::decode(block, header);
      if (state.ok() && *state == journal::HeaderState::kValid) seen = std::max(seen, header.reign);
    }
    open();
    ASSERT_NE(journal_, nullptr);
    EXPECT_EQ(recovery_.reign.value(), seen.value() + 1);
    EXPECT_THAT(replayed(), ElementsAre("one"));
  }
}

TEST_F(JournalTraps, F10StaleGroupsOfAnEarlierReignAreNotReadBehindACopy) {
  open();
  append("e0");
  kill();
  open();  // reign 2 in the second file
  append("dead");
  kill();
  open();  // reign 3: its next group would lie where we now put one of reign 2, next in sequence
  append("alive");
  const journal::Position alive = positions_.back();
  kill();
  journal::FrameHeader frame{};
  frame.payload_bytes = 4;
  frame.group_bytes = static_cast<std::uint32_t>(journal::frame_bytes(4));
  frame.sequence = 3;
  frame.mark = 0;
  frame.reign = 2;
  frame.kind = 1;
  Bytes block(journal::kBlockBytes);
  const BytesView payload = as_bytes("dead");
  const std::uint32_t at = alive.offset + journal::kBlockBytes;
  journal::seal(frame, options_.seed, at, std::span(&payload, 1));
  std::memcpy(block.data(), &frame, sizeof(frame));
  std::memcpy(block.data() + sizeof(frame), payload.data(), payload.size());
  auto file = disk_->open(file_of(1));
  ASSERT_TRUE(file.ok());
  const BytesView part = block;
  ASSERT_TRUE((*file)->write(at, std::span(&part, 1)).ok());
  ASSERT_TRUE((*file)->sync().ok());
  open();
  EXPECT_THAT(replayed(), ElementsAre("e0", "dead", "alive"));
  EXPECT_EQ(recovery_.cut_bytes, 0U);
}

TEST_F(JournalTraps, F11ACheckpointCountsOnlyOnceASyncHasCoveredItsEntry) {
  open();
  while (journal_->segment_newest() < 3) append(std::string(6000, 'x'));
  sync();
  const std::uint64_t in_use = journal_->probe().segments_in_use;
  for (const char* state : {"one", "two"}) {
    if (state == std::string("two")) sync();
    append("more");
    sync();
    const auto ref = journal_->write_checkpoint_file(journal_->durable(), 3, as_bytes(state));
    ASSERT_TRUE(ref.ok());
    const Bytes payload = journal::encode(*ref);
    const BytesView part = payload;
    const journal::EntryView entry{journal::EntryKind::kCheckpoint, std::span(&part, 1)};
    ASSERT_TRUE(journal_->append(std::span(&entry, 1), positions_).ok());
    EXPECT_EQ(journal_->probe().segments_in_use, in_use);
  }
  sync();
  EXPECT_LT(journal_->probe().segments_in_use, in_use);
}

TEST_F(JournalTraps, F12AMarkSurvivesThatTrailingMarksAreNotCopied) {
  open();
  append("one");
  sync();
  mark();
  sync();
  for (int life = 0; life < 5; ++life) {
    kill();
    open();
    EXPECT_THAT(replayed(), ElementsAre("one"));
    EXPECT_EQ(recovery_.cut_bytes, 0U);
  }
}

TEST_F(JournalTraps, F13ACutIsReportedEvenWhereNoMarkTellsWhatItWas) {
  open();
  append("one");
  sync();
  append("two");
  sync();
  kill();
  disk_->flip_bit(file_of(1), positions_.back().offset + 2, 1);
  open();
  EXPECT_THAT(replayed(), ElementsAre("one"));
  EXPECT_GT(recovery_.cut_bytes, 0U);
  EXPECT_THAT(recovery_.cut_report, HasSubstr("cut"));
}

TEST_F(JournalTraps, F13WhatASyncCoveredHasAMarkBehindItBeforeTheNextOneWhoeverSyncs) {
  struct History {
    const char* syncs;
    std::uint64_t segment_bytes;
    std::size_t beside;
    std::size_t next;
  };
  for (const History& history : {History{"a roll-over", 64 << 10, 100, 40'000},
                                 History{"a roll-over from a full segment", 64 << 10, 32'728, 100},
                                 History{"a file that grows", 4 << 20, 100, 100'000}}) {
    SCOPED_TRACE(history.syncs);
    options_.segment_bytes = history.segment_bytes;
    journal_.reset();
    positions_.clear();
    disk_ = std::make_unique<SimDisk>(1);
    open();
    append("first");
    ASSERT_TRUE(journal_->prepare_spare().ok());
    append(std::string(5000, 'a'));
    const auto under_way = journal_->begin_sync();
    ASSERT_TRUE(under_way);
    append(std::string(history.beside, 'b'));
    ASSERT_TRUE(journal_->end_sync(*under_way, under_way->run()).ok());
    std::unique_ptr<SimDisk> at_the_sync;
    disk_->before_syncs([&] {
      if (at_the_sync == nullptr) at_the_sync = disk_->clone(1);
    });
    append(std::string(history.next, 'c'));
    ASSERT_NE(at_the_sync, nullptr);
    const std::string file = file_of(1);
    std::swap(disk_, at_the_sync);
    const auto whole = disk_->clone(1);
    disk_->flip_bit(file, positions_[1].offset + 200, 1);
    EXPECT_EQ(refused().code, Code::kCorrupt);
    disk_ = whole->clone(1);
    open();
    EXPECT_EQ(replayed().size(), 3U);
    EXPECT_EQ(recovery_.cut_report, "");
    journal_.reset();
  }
}

}  // namespace
}  // namespace weir::test
