// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/broker/journal/fixture.h"

namespace weir::test {
namespace {

using testing::HasSubstr;

class JournalSpace : public JournalFixture {
 protected:
  /// Fills one segment after another, a checkpoint each, as a broker whose consumers keep up does.
  void fill_segments(std::uint64_t count) {
    const std::uint64_t until = journal_->segment_newest() + count;
    while (journal_->segment_newest() < until) {
      const std::uint64_t before = journal_->segment_newest();
      append(std::string(6000, 'x'));
      sync();
      if (journal_->segment_newest() != before) checkpoint("state", journal_->segment_newest());
      const Status prepared = journal_->prepare_spare();
      ASSERT_TRUE(prepared.ok()) << prepared.error().message;
    }
  }
};

TEST_F(JournalSpace, CreatesAndGrowsNoSegmentOnceWarm) {
  open();
  fill_segments(6);
  const SimDisk::Counters warm = disk_->counters();
  const std::uint64_t bytes = journal_->probe().bytes_on_disk;
  const std::uint64_t created = journal_->probe().segments_created;
  fill_segments(10);
  EXPECT_EQ(journal_->probe().bytes_on_disk, bytes);
  EXPECT_EQ(journal_->probe().segments_created, created);
  // What still grows are the checkpoint files, a few bytes each.
  EXPECT_LT(disk_->counters().bytes_grown - warm.bytes_grown, 1000U);
  EXPECT_GE(journal_->probe().segments_recycled, 16U);
}

TEST_F(JournalSpace, MakesSparesWhileTheFirstSegmentIsWritten) {
  options_.segment_bytes = 512 << 10;
  options_.segments_reserve = 2;
  open();
  append(std::string(40000, 'x'));
  ASSERT_TRUE(journal_->prepare_spare().ok());
  EXPECT_EQ(journal_->probe().segments_created, 0U) << "a topology that never writes more does without";
  append(std::string(40000, 'x'));
  ASSERT_TRUE(journal_->prepare_spare().ok());
  EXPECT_EQ(journal_->probe().segments_created, 3U);
  EXPECT_EQ(journal_->segment_newest(), 1U);
}

TEST_F(JournalSpace, MakesASpareAnewOnlyWhereNoneComesBackInTime) {
  options_.segments_reserve = 2;
  for (const bool fast : {false, true}) {
    journal_.reset();
    disk_ = std::make_unique<SimDisk>(1);
    open();
    // Asked after each block, or after every quarter of a segment.
    const std::size_t bytes = fast ? 15000 : 3000;
    const auto write_and_ask = [&] {
      append(std::string(bytes, 'x'));
      ASSERT_TRUE(journal_->prepare_spare().ok());
    };
    while (journal_->segment_newest() == 1) write_and_ask();
    write_and_ask();
    EXPECT_EQ(journal_->probe().segments_created, fast ? 4U : 3U) << "what comes as fast would find none in time";
  }
}

TEST_F(JournalSpace, LeavesTheDiskToOthersWhereThereIsTimeForSpares) {
  options_.segment_bytes = 1 << 20;
  options_.segments_reserve = 2;
  for (const bool fast : {false, true}) {
    journal_.reset();
    disk_ = std::make_unique<SimDisk>(1);
    open();
    // A hundredth, or a fifth of a segment between two looks.
    while (journal_->probe().segments_created == 0) {
      append(std::string(fast ? 200'000 : 10'000, 'x'));
      ASSERT_TRUE(journal_->prepare_spare().ok());
    }
    EXPECT_EQ(journal_->segment_newest(), 1U);
    // The reserve is made in the same call, before it is clear how soon spares are needed.
    EXPECT_EQ(disk_->counters().creates_beside, fast ? 1U : 4U);
  }
}

TEST_F(JournalSpace, UsesNoSpareWhoseGrowthWasNotSynced) {
  options_.segment_bytes = 512 << 10;
  open();
  append("one");
  sync();
  const std::string grown = file_of(1);
  kill();
  open();
  append(std::string(100'000, 'x'));
  ASSERT_LT(disk_->content(grown).size(), options_.segment_bytes);
  disk_->fail_sync(1, SimDisk::Pages::kKept);
  EXPECT_EQ(journal_->prepare_spare().error().code, Code::kIo);
  ASSERT_EQ(disk_->content(grown).size(), options_.segment_bytes);
  ASSERT_TRUE(journal_->prepare_spare().ok());
  EXPECT_EQ(journal_->probe().segments_created, 2U);
  while (journal_->segment_newest() == 1) append(std::string(100'000, 'x'));
  EXPECT_NE(file_of(2), grown);
}

TEST_F(JournalSpace, GrowsItsFirstSegmentInFewSteps) {
  options_.segment_bytes = 16 << 20;
  open();
  const std::uint64_t before = disk_->counters().syncs;
  while (disk_->bytes() < options_.segment_bytes) append(std::string(60000, 'x'));
  // Four steps of a 64th, then a quarter each up to a quarter of the segment, then sixteenths.
  EXPECT_LE(disk_->counters().syncs - before, 4U + 7U + 12U);
}

TEST_F(JournalSpace, ReadsAtAStartDoNotGrowWithHistory) {
  open();
  fill_segments(6);
  kill();
  open();
  const std::uint64_t early = recovery_.bytes_read;
  fill_segments(60);
  kill();
  open();
  EXPECT_LE(recovery_.bytes_read, early + 3 * options_.segment_bytes);
  EXPECT_LE(journal_->probe().segments, 8U);
}

TEST_F(JournalSpace, TellsOfATornTailWithoutWhatLiesBehindItFromTheFilesEarlierUse) {
  open();
  fill_segments(10);
  sync();
  append("torn");
  const auto torn = positions_.back();
  ASSERT_GT(options_.segment_bytes, torn.offset + 4 * 6000U) << "groups of the file's earlier use lie behind it";
  kill();
  disk_->flip_bit(file_of(torn.segment), torn.offset + 2, 1);
  open();
  EXPECT_GT(recovery_.cut_bytes, 0U);
  EXPECT_LE(recovery_.cut_bytes, 4096U) << recovery_.cut_report;
}

TEST_F(JournalSpace, KeepsAtMostTwoCheckpointFiles) {
  open();
  fill_segments(8);
  ASSERT_TRUE(journal_->prepare_spare().ok());
  const auto names = disk_->names();
  EXPECT_LE(std::count_if(names.begin(), names.end(), journal::is_checkpoint_file), 2);
}

TEST_F(JournalSpace, RecyclesNothingThatACheckpointStillNeeds) {
  open();
  append("kept");
  sync();
  for (int round = 0; round < 5; ++round) {
    const std::uint64_t until = journal_->segment_newest() + 1;
    while (journal_->segment_newest() < until) append(std::string(6000, 'x'));
    sync();
    checkpoint("state", 1);
  }
  EXPECT_EQ(read(positions_.front()), "kept");
  kill();
  open();
  EXPECT_EQ(read(positions_.front()), "kept");
}

TEST_F(JournalSpace, SaysThatARecycledSegmentIsGone) {
  open();
  fill_segments(5);
  const auto bytes = journal_->read(positions_.front());
  ASSERT_FALSE(bytes.ok());
  EXPECT_EQ(bytes.error().code, Code::kNotFound);
}

TEST_F(JournalSpace, WritesNothingOnAFullDiskAndGoesOnWhenThereIsRoom) {
  open();
  disk_->limit_bytes(150 << 10);
  Status status;
  while ((status = try_append(std::string(6000, 'x'))).ok()) {
  }
  EXPECT_EQ(status.error().code, Code::kDiskFull);
  EXPECT_THAT(status.error().message, HasSubstr("free some space"));
  EXPECT_TRUE(journal_->low_on_space());
  const Sequence written = journal_->written();
  EXPECT_EQ(try_append(std::string(6000, 'x')).error().code, Code::kDiskFull);
  EXPECT_EQ(journal_->written(), written);
  sync();
  disk_->limit_bytes(1 << 30);
  append("there is room again");
  sync();
  ASSERT_TRUE(journal_->prepare_spare().ok());
  EXPECT_FALSE(journal_->low_on_space());
  power_cut();
  open();
  EXPECT_EQ(replayed().size(), written.value() + 1);
  EXPECT_EQ(replayed().back(), "there is room again");
}

TEST_F(JournalSpace, DrainsFromItsEndWhenTheDiskIsFull) {
  open();
  fill_segments(3);
  disk_->limit_bytes(disk_->bytes() + 500);
  Status status;
  while ((status = try_append(std::string(6000, 'x'))).ok()) {
  }
  EXPECT_EQ(status.error().code, Code::kDiskFull);
  sync();
  // Small commits and a checkpoint still fit behind it, and free what is needed.
  checkpoint("a", journal_->segment_newest());
  append("b");
  sync();
  checkpoint("c", journal_->segment_newest());
  append(std::string(6000, 'x'));
}

TEST_F(JournalSpace, GivesItsReserveUpForACheckpointOnADiskThatIsFullToTheLastByte) {
  open();
  fill_segments(3);
  const auto reserved = [&] {
    const auto names = disk_->names();
    return std::count(names.begin(), names.end(), "reserve");
  };
  ASSERT_EQ(reserved(), 1);
  disk_->limit_bytes(disk_->bytes());
  append("drained");
  sync();
  checkpoint("state", journal_->segment_newest());
  EXPECT_EQ(reserved(), 0);
  ASSERT_TRUE(journal_->prepare_spare().ok());
  EXPECT_EQ(reserved(), 0) << "what is free is for the next checkpoint";
  disk_->limit_bytes(1 << 30);
  ASSERT_TRUE(journal_->prepare_spare().ok());
  EXPECT_EQ(reserved(), 1);
}

TEST_F(JournalSpace, HoldsASpareBackForWhatWaitsInVainWhereTheLastSegmentIsFullToItsEnd) {
  options_.segments_reserve = 2;
  // On a busy machine whoever makes spares comes too late to see that there is no room for any.
  for (const bool in_time : {true, false}) {
    journal_.reset();
    disk_ = std::make_unique<SimDisk>(1);
    open();
    fill_segments(3);
    disk_->limit_bytes(disk_->bytes());
    while (try_append("one block").ok()) {
      if (in_time) (void)journal_->prepare_spare();
    }
    sync();
    ASSERT_FALSE(try_append("a checkpoint's entry").ok());
    EXPECT_TRUE(journal_->low_on_space());
    const std::uint64_t last = journal_->segment_newest();
    journal_->permit_last_segment();
    append("a checkpoint's entry");
    EXPECT_EQ(journal_->segment_newest(), last + 1);
    sync();
    kill();
    open();
    EXPECT_EQ(replayed().back(), "a checkpoint's entry") << "a start finds the one that it needs";
  }
}

TEST_F(JournalSpace, StartsOnAFullDiskOnceItHasSpares) {
  open();
  fill_segments(3);
  while (try_append(std::string(6000, 'x')).ok() && journal_->segment_newest() < 6) {
  }
  sync();
  for (int life = 0; life < 10; ++life) {
    kill();
    disk_->limit_bytes(disk_->bytes());
    open();
    ASSERT_NE(journal_, nullptr);
  }
}

TEST_F(JournalSpace, RepeatsAWriteThatDidNotFitIntoAGrowingSegment) {
  options_.segment_bytes = 512 << 10;
  open();
  append("one");
  disk_->limit_bytes(disk_->bytes() + 5000);
  EXPECT_EQ(try_append(std::string(80000, 'x')).error().code, Code::kDiskFull);
  EXPECT_EQ(journal_->written(), Sequence(1));
  append("small enough");
  sync();
  disk_->limit_bytes(4 << 20);
  append(std::string(80000, 'y'));
  power_cut();
  open();
  const auto all = replayed();
  ASSERT_GE(all.size(), 2U);
  EXPECT_EQ(all[0], "one");
  EXPECT_EQ(all[1], "small enough");
}

TEST_F(JournalSpace, CountsOnNoGrowthThatWasNotSynced) {
  options_.segment_bytes = 4 << 20;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    journal_.reset();
    disk_ = std::make_unique<SimDisk>(seed);
    open();
    append(std::string(1 << 20, 'x'));
    sync();
    // What is gained of the next step lies behind the old end, unsynced.
    disk_->limit_bytes(disk_->bytes() + (64 << 10));
    ASSERT_EQ(try_append(std::string(600'000, 'y')).error().code, Code::kDiskFull);
    const Sequence synced = journal_->written();
    // This one fits into it, across that end; the power is cut before its sync.
    append(std::string(295'000, 'z'));
    power_cut();
    disk_->limit_bytes(1 << 30);
    open();
    ASSERT_GE(replayed().size(), synced.value()) << "seed " << seed;
  }
}

TEST_F(JournalSpace, UsesTheLastOfAFullDiskForAGroupThatFits) {
  options_.segment_bytes = 4 << 20;
  open();
  append(std::string(1 << 20, 'x'));
  sync();
  disk_->limit_bytes(disk_->bytes() + (100 << 10));
  int appended = 0;
  for (; try_append("small").ok(); ++appended) sync();
  EXPECT_GE(appended, 20) << "a step is more than there is room for, but a block is not";
}

TEST_F(JournalSpace, SaysWhatAStartOnAFullDiskNeeds) {
  disk_->limit_bytes(5000);
  const Error error = refused();
  EXPECT_EQ(error.code, Code::kDiskFull);
  EXPECT_THAT(error.message, HasSubstr("free some space and start again"));
  disk_->limit_bytes(1 << 20);
  open();
  append("one");
}

}  // namespace
}  // namespace weir::test
