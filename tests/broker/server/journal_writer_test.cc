// SPDX-License-Identifier: Apache-2.0
#include "broker/server/journal_writer.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/broker/journal/fixture.h"

namespace weir::server {
namespace {

class JournalWriterTest : public test::JournalFixture, public WriterListener {
 protected:
  void on_written(const std::vector<Written>&) override {}
  void on_settled(Sequence) override {}
  void on_synced(double, Sequence) override {}
  void on_journal_full(bool) override {}
  void on_journal_failed(const Error& error) override { ADD_FAILURE() << error.message; }

  void post(std::string_view text, Durability durability) {
    core::NewEntry entry;
    entry.sequence = journal_->written();
    entry.durability = durability;
    entry.payload = core::Buffer::of(Bytes(as_bytes(text).begin(), as_bytes(text).end()));
    std::vector<core::NewEntry> entries;
    entries.push_back(std::move(entry));
    writer_->post(std::move(entries));
  }

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

}  // namespace
}  // namespace weir::server
