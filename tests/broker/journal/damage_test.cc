// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/journal/archive.h"
#include "broker/journal/frame.h"
#include "tests/broker/journal/fixture.h"

namespace weir::test {
namespace {

using testing::HasSubstr;

class JournalDamage : public JournalFixture {
 protected:
  /// Three groups of which a mark says that they are durable.
  void write_history() {
    open();
    append(std::string(300, 'a'));
    sync();
    append(std::string(9000, 'b'));
    sync();
    append(std::string(300, 'c'));
    sync();
    mark();
    sync();
  }
};

TEST_F(JournalDamage, OfOneBitIsRefusedOrLosesNothingBeforeTheLastSync) {
  write_history();
  journal_.reset();
  disk_->kill();
  const std::string name = file_of(1);
  const std::size_t size = disk_->content(name).size();
  std::size_t refusals = 0;
  std::size_t starts = 0;
  for (std::size_t at = 0; at < size; at += 13) {
    auto twin = disk_->clone(at);
    twin->flip_bit(name, at, static_cast<int>(at % 8));
    journal::Recovery recovery;
    auto opened = journal::Journal::open(*twin, options_, recovery);
    if (!opened.ok()) {
      EXPECT_EQ(opened.error().code, Code::kCorrupt) << opened.error().message;
      EXPECT_THAT(opened.error().message, HasSubstr(name));
      ++refusals;
      continue;
    }
    ++starts;
    // The mark covers all three: only where the damage hit the mark itself may the last sync's entry be gone.
    EXPECT_GE(recovery.end.value(), 2U) << "byte " << at;
    if (recovery.end.value() < 3) {
      EXPECT_GT(recovery.cut_bytes, 0U) << "byte " << at;
    }
    std::string all;
    const Status replayed =
        (*opened)->replay([&](Sequence, journal::Position, journal::EntryKind, BytesView payload) -> Status {
          all += as_text(payload);
          return {};
        });
    EXPECT_TRUE(replayed.ok());
    const std::string expected = std::string(300, 'a') + std::string(9000, 'b') + std::string(300, 'c');
    EXPECT_EQ(all, expected.substr(0, all.size())) << "byte " << at;
  }
  EXPECT_GT(refusals, 500U);
  EXPECT_GT(starts, 500U);
}

TEST_F(JournalDamage, OfEachPartOfADurableEntryIsRefusedBySegmentAndPosition) {
  write_history();
  journal_.reset();
  disk_->kill();
  const std::string name = file_of(1);
  for (const journal::Position position : positions_) {
    for (std::size_t field = 0; field < sizeof(journal::FrameHeader) + 300; ++field) {
      auto twin = disk_->clone(field);
      twin->flip_bit(name, position.offset + field, static_cast<int>(field % 8));
      journal::Recovery recovery;
      const auto opened = journal::Journal::open(*twin, options_, recovery);
      ASSERT_FALSE(opened.ok()) << "byte " << field << " of the entry at " << position.offset;
      EXPECT_THAT(opened.error().message, HasSubstr("segment 1"));
    }
  }
}

TEST_F(JournalDamage, OfTheOnlyHeaderIsRefused) {
  write_history();
  kill();
  const std::string name = file_of(1);
  for (const std::uint64_t at : {0ULL, 9ULL, 20ULL, 100ULL, 4000ULL}) {
    auto twin = disk_->clone(at);
    twin->flip_bit(name, at, 3);
    std::swap(disk_, twin);
    EXPECT_EQ(refused().code, Code::kCorrupt) << at;
    std::swap(disk_, twin);
  }
  disk_->overwrite(name, 0, Bytes(journal::kBlockBytes));
  EXPECT_EQ(refused().code, Code::kCorrupt);
}

/// The first segment of a directory grows; a file that was cut is known by where it ends.
TEST_F(JournalDamage, OfAGrowingFileThatIsCutAnywhereLosesNothingInSilence) {
  options_.segment_bytes = 512 << 10;
  for (const bool marked : {false, true}) {
    disk_ = std::make_unique<SimDisk>(1);
    open();
    for (int i = 0; i < 12; ++i) {
      append(std::string(static_cast<std::size_t>(100 + 1500 * i), static_cast<char>('a' + i)));
      sync();
      if (marked) mark();
    }
    const std::uint64_t durable = journal_->durable().value();
    kill();
    const std::string name = file_of(1);
    const std::uint64_t size = disk_->content(name).size();
    ASSERT_GE(size, 128U << 10);
    ASSERT_LT(size, options_.segment_bytes);
    std::uint64_t refusals = 0;
    for (std::uint64_t length = journal::kBlockBytes; length < size; length += length % 4096 == 0 ? 48 : 4048) {
      auto twin = disk_->clone(length);
      twin->truncate(name, length);
      journal::Recovery recovery;
      const auto opened = journal::Journal::open(*twin, options_, recovery);
      if (opened.ok()) {
        ASSERT_EQ(recovery.end.value(), durable) << length;
        continue;
      }
      ++refusals;
      ASSERT_EQ(opened.error().code, Code::kCorrupt) << length << ": " << opened.error().message;
      ASSERT_THAT(opened.error().message, HasSubstr(name)) << length;
    }
    EXPECT_GT(refusals, 50U);
  }
}

TEST_F(JournalDamage, OfASegmentThatWasEmptiedIsRefused) {
  write_history();
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(journal_->prepare_spare().ok());
    append(std::string(30000, 'd'));
    sync();
  }
  kill();
  for (const std::string& name : disk_->names()) {
    if (!journal::segment_file_number(name)) continue;
    auto twin = disk_->clone(1);
    twin->truncate(name, 0);
    std::swap(disk_, twin);
    const Error error = refused();
    EXPECT_EQ(error.code, Code::kCorrupt) << name << ": " << error.message;
    std::swap(disk_, twin);
  }
}

TEST_F(JournalDamage, OfAllSegmentsIsRefusedWhereACheckpointIsLeft) {
  write_history();
  checkpoint("state", 1);
  kill();
  auto without = disk_->clone(1);
  auto emptied = disk_->clone(2);
  for (const std::string& name : disk_->names()) {
    if (!journal::segment_file_number(name)) continue;
    ASSERT_TRUE(without->remove(name).ok());
    emptied->truncate(name, 0);
  }
  for (auto* twin : {&without, &emptied}) {
    std::swap(disk_, *twin);
    const Error error = refused();
    EXPECT_EQ(error.code, Code::kCorrupt) << error.message;
    EXPECT_THAT(error.message, HasSubstr("no segment of the journal is left"));
    std::swap(disk_, *twin);
  }
}

TEST_F(JournalDamage, ThatTakesWhatACheckpointHoldsIsRefused) {
  write_history();
  checkpoint("state", 1);
  const auto ref = journal_->write_checkpoint_file(journal_->durable(), 1, as_bytes("later"));
  ASSERT_TRUE(ref.ok());
  kill();
  // As if the segment were an earlier copy of itself.
  auto earlier = disk_->clone(1);
  ASSERT_TRUE(earlier->rename(journal::checkpoint_file_name(*ref), "checkpoint-000000009999-00000000").ok());
  std::swap(disk_, earlier);
  const Error error = refused();
  EXPECT_EQ(error.code, Code::kCorrupt) << error.message;
  EXPECT_THAT(error.message, HasSubstr("is a checkpoint of what was durable before sequence 9999"));
}

/// Format 1 did not make files longer than what it wrote: nobody can tell that one was cut, and none is refused for it.
TEST_F(JournalDamage, OfAFileOfFormat1IsNotSeenInItsLength) {
  write_history();
  kill();
  const std::string name = file_of(1);
  Bytes block = disk_->content(name);
  block.resize(journal::kBlockBytes);
  journal::SegmentHeader header;
  ASSERT_TRUE(journal::decode(block, header).ok());
  EXPECT_TRUE(header.sized);
  header.sized = false;
  disk_->overwrite(name, 0, journal::encode(header));
  disk_->truncate(name, positions_.back().offset + journal::kBlockBytes);
  open();
  EXPECT_EQ(recovery_.end.value(), 3U);
  kill();
  // What this start has written is of the newer one, and so is known by its length.
  disk_->truncate(file_of(1), positions_.back().offset + journal::kBlockBytes);
  EXPECT_EQ(refused().code, Code::kCorrupt);
}

TEST_F(JournalDamage, OfHeadersAloneLosesNothingForASalvage) {
  // The only segment; one that a start copied; and one that a roll-over began.
  for (const int lives : {1, 3}) {
    for (const std::uint64_t segments : {1ULL, 2ULL}) {
      disk_ = std::make_unique<SimDisk>(7);
      positions_.clear();
      for (int life = 0; life < lives; ++life) {
        open();
        for (int i = 0; i < 3; ++i) append(std::string(300, static_cast<char>('a' + positions_.size())));
        sync();
        mark();
        if (life + 1 < lives) kill();
      }
      while (journal_->segment_newest() < segments) {
        append(std::string(3000, static_cast<char>('a' + positions_.size())));
      }
      sync();
      mark();
      const std::uint64_t entries = journal_->durable().value();
      kill();
      disk_->overwrite(file_of(segments), 0, Bytes(journal::kBlockBytes));
      EXPECT_EQ(refused().code, Code::kCorrupt);
      const auto archive = journal::Archive::open(*disk_, options_.segment_bytes);
      ASSERT_TRUE(archive.ok()) << archive.error().message;
      EXPECT_EQ(archive->rebuilt().size(), 1U) << lives << " lives, segment " << segments;
      for (std::uint64_t sequence = 0; sequence < entries; ++sequence) {
        const journal::Archive::Entry* entry = archive->find(Sequence(sequence));
        ASSERT_NE(entry, nullptr) << sequence << " of " << entries;
        EXPECT_EQ(entry->position, positions_[sequence]);
        const auto bytes = archive->read(*entry);
        ASSERT_TRUE(bytes.ok());
        EXPECT_EQ((*bytes)[0], static_cast<std::byte>('a' + sequence));
      }
    }
  }
}

TEST_F(JournalDamage, OfAClosedSegmentIsRefusedWhereAReplayNeedsIt) {
  open();
  while (journal_->segment_newest() < 3) append(std::string(3000, 'x'));
  sync();
  kill();
  disk_->flip_bit(file_of(1), positions_[2].offset + 100, 1);
  const Error error = refused();
  EXPECT_EQ(error.code, Code::kCorrupt);
  EXPECT_THAT(error.message, HasSubstr("segment 1"));
  EXPECT_THAT(error.message, HasSubstr(std::to_string(positions_[2].offset)));
}

TEST_F(JournalDamage, BeforeTheCheckpointIsFoundWhenItIsRead) {
  open();
  while (journal_->segment_newest() < 3) append(std::string(3000, 'x'));
  sync();
  checkpoint("one", 1);
  kill();
  disk_->flip_bit(file_of(1), positions_[2].offset + 100, 1);
  open();
  EXPECT_EQ(as_text(recovery_.checkpoint_bytes), "one");
  const auto bytes = journal_->read(positions_[2]);
  ASSERT_FALSE(bytes.ok());
  EXPECT_EQ(bytes.error().code, Code::kCorrupt);
  EXPECT_THAT(bytes.error().message, HasSubstr("segment 1"));
  EXPECT_EQ(read(positions_[1]), std::string(3000, 'x'));
}

TEST_F(JournalDamage, OfTheNewestCheckpointFallsBackToTheOneBefore) {
  open();
  append("a");
  sync();
  checkpoint("first", 1);
  append("b");
  sync();
  checkpoint("second", 1);
  kill();
  std::string newest;
  for (const std::string& name : disk_->names()) {
    if (journal::is_checkpoint_file(name)) newest = name;
  }
  disk_->flip_bit(newest, 2, 1);
  open();
  EXPECT_EQ(as_text(recovery_.checkpoint_bytes), "first");
  EXPECT_THAT(recovery_.cut_report, HasSubstr(newest));
  EXPECT_THAT(replayed(), testing::ElementsAre("<checkpoint>", "b", "<checkpoint>"));
}

TEST_F(JournalDamage, OfACheckpointCountsNoMoreOnceThereIsAnother) {
  const auto damage_newest_checkpoint = [&] {
    kill();
    std::string newest;
    for (const std::string& name : disk_->names()) {
      if (journal::is_checkpoint_file(name)) newest = name;
    }
    disk_->flip_bit(newest, 2, 1);
  };
  const auto roll_over = [&] {
    const std::uint64_t before = journal_->segment_newest();
    while (journal_->segment_newest() == before) append(std::string(6000, 'x'));
    sync();
  };
  for (int variant = 0; variant < 16; ++variant) {
    SCOPED_TRACE(variant);
    journal_.reset();
    disk_ = std::make_unique<SimDisk>(1);
    open();
    for (const char* state : {"older", "first", "second"}) {
      roll_over();
      checkpoint(state, journal_->segment_newest());
    }
    if ((variant & 1) != 0) roll_over();  // the next segment's header names it, and no copied entry
    damage_newest_checkpoint();
    open();
    ASSERT_EQ(as_text(recovery_.checkpoint_bytes), "first");
    if ((variant & 8) != 0) roll_over();
    sync();
    checkpoint("third", journal_->segment_newest());
    if ((variant & 2) != 0) {
      kill();
      open();
      ASSERT_EQ(as_text(recovery_.checkpoint_bytes), "third");
    }
    if ((variant & 4) != 0) roll_over();
    ASSERT_TRUE(journal_->prepare_spare().ok());
    const Sequence end = journal_->written();
    damage_newest_checkpoint();
    open();
    ASSERT_NE(journal_, nullptr);
    EXPECT_EQ(as_text(recovery_.checkpoint_bytes), "first");
    EXPECT_EQ(replayed().size(), end.value() - recovery_.checkpoint->through.value());
    checkpoint("fourth", journal_->segment_newest());
    checkpoint("fifth", journal_->segment_newest());
    ASSERT_TRUE(journal_->prepare_spare().ok());
    const auto names = disk_->names();
    EXPECT_EQ(std::count_if(names.begin(), names.end(), journal::is_checkpoint_file), 2);
  }
}

TEST_F(JournalDamage, OfTheOnlyCheckpointThatIsLeftIsRefused) {
  open();
  for (const char* state : {"first", "second"}) {
    append("a");
    sync();
    checkpoint(state, 1);
  }
  for (int life = 0; life < 2; ++life) {
    kill();
    std::string newest;
    for (const std::string& name : disk_->names()) {
      if (journal::is_checkpoint_file(name)) newest = name;
    }
    disk_->flip_bit(newest, 2, 1);
    if (life == 0) {
      open();
    } else {
      EXPECT_THAT(refused().message, HasSubstr(newest));
    }
  }
}

TEST_F(JournalDamage, OfASegmentThatIsMissingIsRefused) {
  open();
  while (journal_->segment_newest() < 3) append(std::string(3000, 'x'));
  sync();
  kill();
  ASSERT_TRUE(disk_->remove(file_of(2)).ok());
  const Error error = refused();
  EXPECT_EQ(error.code, Code::kCorrupt);
  EXPECT_THAT(error.message, HasSubstr("segment 2"));
}

TEST_F(JournalDamage, LooksLikeATornTailBehindTheLastMarkAndIsReportedWithItsSize) {
  open();
  append("one");
  sync();
  append(std::string(5000, 'x'));
  sync();
  kill();
  disk_->flip_bit(file_of(1), positions_[1].offset + 200, 1);
  open();
  EXPECT_THAT(replayed(), testing::ElementsAre("one"));
  EXPECT_GE(recovery_.cut_bytes, 5000U);
  EXPECT_THAT(recovery_.cut_report, HasSubstr(std::to_string(recovery_.cut_bytes)));
}

TEST_F(JournalDamage, IsNeverSeenInRecordsThatHoldJournalBytes) {
  open();
  // A whole foreign journal and this one's own bytes, at every alignment to blocks, with groups, marks and headers in
  // them that speak of a far future.
  SimDisk foreign(9);
  journal::JournalOptions options = options_;
  options.seed = 77;
  journal::Recovery recovery;
  auto other = journal::Journal::open(foreign, options, recovery);
  ASSERT_TRUE(other.ok());
  std::vector<journal::Position> positions;
  const BytesView part = as_bytes("foreign");
  const journal::EntryView entry{journal::EntryKind::kRecord, std::span(&part, 1)};
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE((*other)->append(std::span(&entry, 1), positions).ok());
    ASSERT_TRUE((*other)->sync().ok());
  }
  std::vector<std::string> written;
  for (int i = 0; i < 24; ++i) {
    const Bytes source = i % 2 == 0 ? foreign.content("segment-000001") : disk_->content(disk_->names().front());
    const std::size_t skip = journal::kBlockBytes - sizeof(journal::FrameHeader);
    const std::size_t size = std::min<std::size_t>(12000, source.size() - skip);
    written.emplace_back(as_text(BytesView(source).subspan(i % 3 == 0 ? skip : skip / 2, size)));
    append(written.back());
    if (i % 4 == 0) sync();
  }
  for (int life = 0; life < 3; ++life) {
    kill();
    open();
    EXPECT_EQ(replayed(), written);
  }
}

}  // namespace
}  // namespace weir::test
