// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "broker/journal/posix_disk.h"
#include "tests/broker/journal/fixture.h"

namespace weir::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Journal : public JournalFixture {};

TEST_F(Journal, StartsEmptyInANewDirectory) {
  open();
  EXPECT_EQ(recovery_.reign, Reign(1));
  EXPECT_EQ(recovery_.end, Sequence(0));
  EXPECT_THAT(replayed(), IsEmpty());
}

TEST_F(Journal, GivesBackAfterAPowerCutWhatWasSynced) {
  open();
  append("one");
  append_group({"two", "three"});
  sync();
  power_cut();
  open();
  EXPECT_THAT(replayed(), ElementsAre("one", "two", "three"));
  EXPECT_EQ(recovery_.reign, Reign(2));
}

TEST_F(Journal, GivesBackAfterAKillWhatWasWrittenWithoutASync) {
  open();
  append("one");
  append("two");
  kill();
  open();
  EXPECT_THAT(replayed(), ElementsAre("one", "two"));
}

TEST_F(Journal, PromisesOfASyncOnlyWhatWasWrittenWhenItBegan) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    disk_ = std::make_unique<SimDisk>(seed);
    open();
    append("one");
    const auto under_way = journal_->begin_sync();
    ASSERT_TRUE(under_way);
    disk_->next_sync_covers(disk_->blocks_written());
    append("two");
    ASSERT_TRUE(journal_->end_sync(*under_way, under_way->run()).ok());
    EXPECT_EQ(journal_->durable(), Sequence(1));
    EXPECT_EQ(journal_->written(), Sequence(2));
    if (seed % 2 == 0) sync();
    power_cut();
    open();
    const std::vector<std::string> found = replayed();
    ASSERT_GE(found.size(), seed % 2 == 0 ? 2U : 1U);
    EXPECT_EQ(found.front(), "one");
  }
}

TEST_F(Journal, BringsNoCheckpointIntoForceWhoseEntryCameBesideTheSync) {
  open();
  const auto checkpoints = [&] {
    const auto names = disk_->names();
    return std::ranges::count_if(names, [](const std::string& name) { return name.starts_with("checkpoint"); });
  };
  for (const char* text : {"one", "two"}) {
    append(text);
    sync();
    checkpoint(text, 1);
  }
  append("three");
  sync();
  const auto ref = journal_->write_checkpoint_file(journal_->durable(), 1, as_bytes("three"));
  ASSERT_TRUE(ref.ok());
  append("four");
  const auto under_way = journal_->begin_sync();
  const Bytes payload = journal::encode(*ref);
  const BytesView part = payload;
  const journal::EntryView entry{journal::EntryKind::kCheckpoint, std::span(&part, 1)};
  ASSERT_TRUE(journal_->append(std::span(&entry, 1), positions_).ok());
  ASSERT_TRUE(journal_->end_sync(*under_way, under_way->run()).ok());
  ASSERT_TRUE(journal_->prepare_spare().ok());
  EXPECT_EQ(checkpoints(), 3) << "the one before the newest in force is still needed";
  sync();
  ASSERT_TRUE(journal_->prepare_spare().ok());
  EXPECT_EQ(checkpoints(), 2);
}

TEST_F(Journal, SaysWhichAppendsSyncOnTheirOwnAccount) {
  options_.segment_bytes = 4 << 20;  // grows in several steps
  open();
  for (int i = 0; i < 600; ++i) {
    const std::string text(static_cast<std::size_t>(1 + i * 7919 % 30'000), 'x');
    const BytesView part = as_bytes(text);
    const journal::EntryView entry{journal::EntryKind::kRecord, std::span(&part, 1)};
    const bool fits = journal_->fits_beside_sync(std::span(&entry, 1));
    const std::uint64_t syncs = disk_->counters().syncs;
    append(text);
    EXPECT_EQ(disk_->counters().syncs == syncs, fits) << i;
  }
  EXPECT_GT(journal_->segment_newest(), 2U);
}

TEST_F(Journal, TakesNothingMoreAfterASyncApartThatFailed) {
  open();
  append("one");
  const auto under_way = journal_->begin_sync();
  append("two");
  disk_->fail_sync(1, SimDisk::Pages::kKept);
  EXPECT_EQ(journal_->end_sync(*under_way, under_way->run()).error().code, Code::kIo);
  EXPECT_EQ(try_append("three").error().code, Code::kIo);
  EXPECT_EQ(journal_->durable(), Sequence(0));
  EXPECT_FALSE(journal_->begin_sync());
}

TEST_F(Journal, KeepsPositionsValidAcrossStartsAndRollOvers) {
  open();
  for (int i = 0; i < 40; ++i) append(std::string(5000, static_cast<char>('a' + i % 26)));
  sync();
  EXPECT_GT(journal_->probe().segments_recycled, 2U);
  for (int life = 0; life < 3; ++life) {
    kill();
    open();
    EXPECT_EQ(replayed().size(), 40U);
    for (std::size_t i = 0; i < positions_.size(); ++i) {
      EXPECT_EQ(read(positions_[i]), std::string(5000, static_cast<char>('a' + i % 26)));
    }
  }
}

TEST_F(Journal, RefusesEverythingAfterAFailedSync) {
  open();
  append("one");
  sync();
  append("two");
  disk_->fail_sync(1, SimDisk::Pages::kKept);
  EXPECT_EQ(journal_->sync().error().code, Code::kIo);
  EXPECT_EQ(journal_->sync().error().code, Code::kIo);
  EXPECT_EQ(try_append("three").error().code, Code::kIo);
  EXPECT_EQ(journal_->mark_if_needed().error().code, Code::kIo);
  EXPECT_EQ(journal_->durable(), Sequence(1));
}

TEST_F(Journal, RefusesEverythingAfterAFailedWrite) {
  open();
  disk_->fail_write(1);
  EXPECT_EQ(try_append("one").error().code, Code::kIo);
  EXPECT_EQ(try_append("two").error().code, Code::kIo);
  EXPECT_EQ(journal_->sync().error().code, Code::kIo);
}

TEST_F(Journal, CostsNoSyncWhenAllIsDurable) {
  open();
  append("one");
  sync();
  const std::uint64_t syncs = journal_->probe().syncs;
  sync();
  mark();
  sync();
  EXPECT_EQ(journal_->probe().syncs, syncs);
}

TEST_F(Journal, WritesAGroupWithOneWriteAtAFreshBlock) {
  open();
  const std::uint64_t writes = disk_->counters().writes;
  append_group({"a", "b", std::string(5000, 'c')});
  EXPECT_EQ(disk_->counters().writes, writes + 1);
  append("d");
  EXPECT_EQ(positions_.front().offset % journal::kBlockBytes, 0U);
  EXPECT_EQ(positions_.back().offset % journal::kBlockBytes, 0U);
  EXPECT_NE(positions_[1].offset % journal::kBlockBytes, 0U);
}

TEST_F(Journal, TakesEntriesOfEverySizeUpToItsBound) {
  open();
  const std::uint64_t bound = journal_->entry_bytes_max();
  const std::vector<std::uint64_t> sizes = {0, 1, 7, 8, 4055, 4056, 4057, 4096, 16384, bound - 1, bound};
  for (const std::uint64_t size : sizes) append(std::string(size, 'x'));
  kill();
  open();
  const auto all = replayed();
  ASSERT_EQ(all.size(), sizes.size());
  for (std::size_t i = 0; i < sizes.size(); ++i) EXPECT_EQ(all[i].size(), sizes[i]);
}

TEST_F(Journal, SplitsAGroupOnlyWhereASegmentEnds) {
  open();
  std::vector<std::string> texts(12, std::string(9000, 'x'));
  append_group(texts);
  EXPECT_EQ(positions_.size(), 12U);
  EXPECT_GT(positions_.back().segment, positions_.front().segment);
  sync();
  power_cut();
  open();
  EXPECT_EQ(replayed(), texts);
}

TEST_F(Journal, SyncsASegmentBeforeItRollsOver) {
  open();
  while (journal_->segment_newest() == 1) append(std::string(5000, 'x'));
  EXPECT_EQ(journal_->durable().value() + 1, journal_->written().value());
}

TEST_F(Journal, ReadsAnEntryOnlyWhereItStarts) {
  open();
  append("0123456789");
  const auto read = journal_->read(positions_[0]);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(as_text(*read), "0123456789");
  EXPECT_EQ(journal_->read({1, positions_[0].offset + 8}).error().code, Code::kCorrupt);
}

TEST_F(Journal, OpenedToBeReadChangesNothing) {
  open();
  append("one");
  sync();
  append("two");
  kill();
  const auto names = disk_->names();
  const std::uint64_t writes = disk_->counters().writes;
  for (int time = 0; time < 2; ++time) {
    auto reader = journal::Journal::open_read_only(*disk_, recovery_);
    ASSERT_TRUE(reader.ok()) << reader.error().message;
    EXPECT_EQ(recovery_.reign, Reign(1));
    journal_ = std::move(*reader);
    EXPECT_THAT(replayed(), ElementsAre("one", "two"));
    EXPECT_EQ(read(positions_[1]), "two");
  }
  EXPECT_EQ(disk_->names(), names);
  EXPECT_EQ(disk_->counters().writes, writes);
}

TEST_F(Journal, OpenedToBeReadInAnEmptyDirectoryIsEmpty) {
  auto reader = journal::Journal::open_read_only(*disk_, recovery_);
  ASSERT_TRUE(reader.ok());
  journal_ = std::move(*reader);
  EXPECT_THAT(replayed(), IsEmpty());
  EXPECT_EQ(recovery_.reign, Reign(0));
}

TEST_F(Journal, StopsAReplayAtTheVisitorsError) {
  open();
  append("one");
  append("two");
  int seen = 0;
  const Status status = journal_->replay([&](Sequence, journal::Position, journal::EntryKind, BytesView) -> Status {
    ++seen;
    return {Code::kInvalid, "enough"};
  });
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(status.error().message, "enough");
}

TEST_F(Journal, WorksOnARealDirectory) {
  const std::string directory = testing::TempDir() + "weir-journal-" + std::to_string(::getpid());
  {
    auto disk = journal::PosixDisk::open(directory + "/a/b");
    ASSERT_TRUE(disk.ok()) << disk.error().message;
    for (int life = 1; life <= 3; ++life) {
      auto opened = journal::Journal::open(**disk, options_, recovery_);
      ASSERT_TRUE(opened.ok()) << opened.error().message;
      journal_ = std::move(*opened);
      EXPECT_EQ(recovery_.end.value(), static_cast<std::uint64_t>(life - 1) * 2000);
      std::vector<std::string> texts(2000, std::string(100, static_cast<char>('a' + life)));
      append_group(texts);
      sync();
      EXPECT_EQ(read(positions_.back()), texts.back());
      journal_.reset();
    }
    EXPECT_EQ((*disk)->open(std::string_view("nothing")).error().code, Code::kNotFound);
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace weir::test
