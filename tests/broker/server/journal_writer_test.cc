// SPDX-License-Identifier: Apache-2.0
#include "broker/server/journal_writer.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <optional>
#include <semaphore>

#include "tests/broker/journal/fixture.h"

namespace weir::server {
namespace {

class JournalWriterTest : public test::JournalFixture, public WriterListener {
 protected:
  void on_written(const std::vector<Written>& written) override { written_ = written.back().sequence.plus(1); }
  void on_settled(Sequence end) override { settled_.push_back(end); }
  void on_synced(double, Sequence) override {}
  void on_journal_full(bool full) override { full_ = full; }
  void on_journal_failed(const Error& error) override { failure_ = error; }
  void TearDown() override {
    gate_.release(100);
    writer_.reset();
    EXPECT_FALSE(failure_) << failure_->message;
  }

  core::NewEntry entry_of(BytesView payload, Durability durability) {
    core::NewEntry entry;
    entry.sequence = Sequence(posted_++);
    entry.durability = durability;
    entry.payload = core::Buffer::of(Bytes(payload.begin(), payload.end()));
    return entry;
  }
  void post(std::string_view text, Durability durability, bool read_again = false) {
    std::vector<core::NewEntry> entries;
    entries.push_back(entry_of(as_bytes(text), durability));
    entries.back().read_again = read_again;
    writer_->post(std::move(entries));
  }

  /// Runs what the writer has told until `done`.
  template <typename Done>
  void until(Done done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!done()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      pollfd wanted{mailbox_.descriptor(), POLLIN, 0};
      ::poll(&wanted, 1, 100);
      mailbox_.run();
    }
  }

  /// A writer whose syncs wait at the gate. Tells what comes first.
  Sequence start_writer() {
    posted_ = journal_->written().value();
    disk_->before_syncs([this] {
      ++begun_;
      EXPECT_TRUE(gate_.try_acquire_for(std::chrono::seconds(60)));
    });
    writer_.emplace(*journal_, std::chrono::hours(1), mailbox_, *this);
    return journal_->written();
  }
  /// The same; a large group is at the gate, and another one is written beside its sync.
  Sequence write_beside_a_sync() {
    options_.segment_bytes = 8 << 20;
    open();
    while (journal_->segment_newest() == 1) append(std::string(1 << 20, 'y'));  // the next is full, and does not grow
    sync();
    const Sequence first = start_writer();
    post(std::string(600 << 10, 'a'), Durability::kFsync);
    until([&] { return begun_ == 1; });
    post(std::string(300 << 10, 'b'), Durability::kFsync);
    until([&] { return written_ == first.plus(2); });
    return first;
  }

  std::counting_semaphore<> gate_{0};
  std::atomic<int> begun_{0};
  std::optional<Error> failure_;
  bool full_ = false;
  std::uint64_t posted_ = 0;
  Sequence written_;
  std::vector<Sequence> settled_;
  Mailbox mailbox_{1000};
  std::optional<JournalWriter> writer_;
};

// A segment that is used again holds what it held before, which only the end itself can tell from a torn write.
TEST_F(JournalWriterTest, LeavesAnEndThatTheNextStartReadsAsWhole) {
  for (const Durability durability : {Durability::kFsync, Durability::kInterval, Durability::kNone}) {
    journal_.reset();
    disk_ = std::make_unique<test::SimDisk>(1);
    open();
    while (journal_->segment_newest() == 1) append(std::string(20'000, 'y'));
    sync();
    posted_ = journal_->written().value();
    const std::string file = file_of(2);
    ASSERT_EQ(disk_->content(file).size(), options_.segment_bytes);
    const std::uint64_t used = 8 * journal::kBlockBytes;
    disk_->overwrite(file, used, Bytes(options_.segment_bytes - used, std::byte{0xA5}));
    writer_.emplace(*journal_, std::chrono::hours(1), mailbox_, *this);
    post(std::string(16'000, 'x'), durability);  // which ends within what was there before
    writer_.reset();
    const Sequence end = journal_->written();
    open();
    EXPECT_EQ(recovery_.cut_report, "");
    EXPECT_EQ(recovery_.cut_bytes, 0U);
    EXPECT_EQ(recovery_.end, end);
  }
}

// Only what the last sync covered is to look like a torn tail when it is damaged: what was written beside a sync does
// not say how far that came.
TEST_F(JournalWriterTest, SaysBeforeTheNextSyncWhatTheOneBesideWhichItWroteHasCovered) {
  write_beside_a_sync();
  gate_.release();
  until([&] { return begun_ == 2; });
  const std::string file = file_of(2);
  const auto copy = disk_->clone(1);
  const Bytes content = copy->content(file);
  const std::size_t at = as_text(content).find(std::string(100, 'a'));
  ASSERT_NE(at, std::string::npos);
  copy->flip_bit(file, at, 0);
  journal::Recovery found;
  const auto opened = journal::Journal::open(*copy, options_, found);
  ASSERT_FALSE(opened.ok()) << "cut: " << found.cut_report;
  EXPECT_EQ(opened.error().code, Code::kCorrupt) << opened.error().message;
}

TEST_F(JournalWriterTest, SyncsAtItsEndWhatIsWrittenThoughTheDiskIsFull) {
  // A file that cannot grow, or no segment left to roll over to.
  for (const std::uint64_t segment_bytes : {512 << 10, 64 << 10}) {
    journal_.reset();
    disk_ = std::make_unique<test::SimDisk>(1);
    options_.segment_bytes = segment_bytes;
    open();
    disk_->limit_bytes(disk_->bytes());
    start_writer();
    gate_.release(100);
    post("settled once it is written", Durability::kInterval);
    until([&] { return !settled_.empty(); });
    EXPECT_EQ(journal_->durable(), Sequence(0));
    post(std::string(50'000, 'x'), Durability::kFsync);
    until([&] { return full_; });
    writer_.reset();
    EXPECT_EQ(journal_->written(), Sequence(1));
    EXPECT_EQ(journal_->durable(), Sequence(1));
    mailbox_.run();
    settled_.clear();
    full_ = false;
  }
}

// No spare is left but the one that a start needs.
TEST_F(JournalWriterTest, WritesOfAGroupOnAFullDiskWhatFitsSinceACheckpointFreesRoomForTheRest) {
  open();
  append("one");
  sync();
  checkpoint("before", 1);
  while (journal_->segment_newest() < 3) append(std::string(6000, 'x'));
  sync();
  checkpoint("newest", 3);
  append("so that one block is left");
  disk_->limit_bytes(disk_->bytes() + 500);
  while (try_append(std::string(6000, 'x')).ok()) {
  }
  sync();
  const auto ref = journal_->write_checkpoint_file(journal_->durable(), journal_->segment_newest(), as_bytes("next"));
  ASSERT_TRUE(ref.ok()) << ref.error().message;
  const std::uint64_t last = journal_->segment_newest();
  start_writer();
  gate_.release(100);
  std::vector<core::NewEntry> group;
  group.push_back(entry_of(journal::encode(*ref), Durability::kInterval));
  group.back().checkpoint = true;
  group.push_back(entry_of(as_bytes(std::string(6000, 'y')), Durability::kInterval));
  group.push_back(entry_of(as_bytes("z"), Durability::kInterval));
  writer_->post(std::move(group));
  until([&] { return full_ || (!settled_.empty() && settled_.back() == Sequence(posted_)); });
  EXPECT_FALSE(full_);
  writer_.reset();
  EXPECT_EQ(journal_->segment_newest(), last + 1);
  kill();
  open();
  EXPECT_EQ(as_text(recovery_.checkpoint_bytes), "next");
  EXPECT_EQ(replayed().back(), "z");
  EXPECT_EQ(recovery_.end, Sequence(posted_));
}

TEST_F(JournalWriterTest, TellsOfAMarkThatCannotBeWrittenWhereNothingComes) {
  open();
  start_writer();
  post("a", Durability::kFsync);
  until([&] { return begun_ == 1; });
  disk_->fail_write(1);
  gate_.release();
  until([&] { return failure_.has_value(); });
  EXPECT_EQ(failure_->code, Code::kIo);
  failure_.reset();
}

TEST_F(JournalWriterTest, TellsOfAMarkThatCannotBeWrittenBeforeASync) {
  write_beside_a_sync();
  disk_->fail_write(1);
  gate_.release();
  until([&] { return failure_.has_value(); });
  EXPECT_EQ(failure_->code, Code::kIo);
  EXPECT_EQ(begun_, 1) << "what cannot be marked is not synced";
  failure_.reset();
}

TEST_F(JournalWriterTest, TellsOfASmallGroupOnceAndOnlyWhenItIsSynced) {
  open();
  const Sequence first = start_writer();
  post("a", Durability::kFsync);
  until([&] { return begun_ == 1; });
  mailbox_.run();
  EXPECT_EQ(written_, Sequence()) << "what is told now wakes the server once more";
  gate_.release();
  until([&] { return !settled_.empty(); });
  EXPECT_EQ(written_, first.plus(1));
  EXPECT_EQ(settled_, std::vector{first.plus(1)});
  post("b", Durability::kNone);
  until([&] { return settled_.size() == 2; });
  EXPECT_EQ(written_, first.plus(2)) << "nobody waits for a sync";
  EXPECT_EQ(begun_, 1);
}

// What waits for the disk anyhow need not be copied into the page cache; what does not would wait for it.
TEST_F(JournalWriterTest, WritesPastTheCacheWhatIsLargeSyncedNextAndNotReadAgain) {
  options_.segment_bytes = 1 << 20;
  open();
  start_writer();
  gate_.release(100);
  struct Group {
    std::size_t bytes;
    Durability durability;
    bool read_again;
    bool past_cache;
  };
  for (const Group group :
       {Group{100, Durability::kFsync, false, false}, Group{80 << 10, Durability::kFsync, false, true},
        Group{80 << 10, Durability::kFsync, true, false}, Group{80 << 10, Durability::kInterval, false, false},
        Group{80 << 10, Durability::kNone, false, false}, Group{70 << 10, Durability::kFsync, false, true}}) {
    const std::uint64_t before = disk_->counters().writes_past_cache;
    post(std::string(group.bytes, 'x'), group.durability, group.read_again);
    const Sequence end(posted_);
    until([&] { return !settled_.empty() && settled_.back() >= end; });
    EXPECT_EQ(disk_->counters().writes_past_cache - before, group.past_cache ? 1U : 0U)
        << group.bytes << " bytes, durability " << static_cast<int>(group.durability);
  }
}

TEST_F(JournalWriterTest, WritesBesideTheSyncOfALargeGroupAndSettlesWhatThatCovers) {
  const Sequence first = write_beside_a_sync();
  EXPECT_TRUE(settled_.empty());
  EXPECT_EQ(journal_->durable(), first);
  const std::uint64_t groups = journal_->probe().groups;
  post("c", Durability::kNone);  // too little for a group of its own
  post("d", Durability::kFsync);
  gate_.release();
  until([&] { return !settled_.empty(); });
  EXPECT_EQ(settled_.front(), first.plus(1));
  gate_.release();
  until([&] { return settled_.back() == first.plus(4); });
  EXPECT_EQ(journal_->probe().groups, groups + 1);
  EXPECT_EQ(begun_, 2) << "b, c and d share one";
  // One that rolls over syncs what is before it, and waits for the sync under way.
  post(std::string(600 << 10, 'e'), Durability::kFsync);
  until([&] { return begun_ == 3; });
  post(std::string(7 << 20, 'f'), Durability::kFsync);
  gate_.release(10);
  until([&] { return settled_.back() == first.plus(6); });
  EXPECT_EQ(journal_->segment_newest(), 3U);
  EXPECT_EQ(journal_->durable(), first.plus(6));
  // What ends amid a sync ends whole.
  post(std::string(600 << 10, 'g'), Durability::kFsync);
  post("h", Durability::kNone);
  gate_.release(10);
  writer_.reset();
  EXPECT_EQ(journal_->durable(), first.plus(8));
}

}  // namespace
}  // namespace weir::server
