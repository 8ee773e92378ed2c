// SPDX-License-Identifier: Apache-2.0
// Requests about dead letters, while the letters are moved, are damaged, or are asked for by too many at once.
#include "broker/server/letter_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <future>
#include <memory>

#include "sdk/wire/changes.h"
#include "sdk/wire/map.h"
#include "tests/broker/core/core_fixture.h"
#include "tests/support/sim_disk.h"

namespace weir::server {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kWork = 1;
constexpr std::uint64_t kNowhere = 99;  ///< a segment that the journal does not have

/// A broker whose stage "work" has one dead letter, which the journal holds and the core believes to lie elsewhere.
class LetterDeskTest : public core::CoreFixture {
 protected:
  LetterDeskTest() : CoreFixture(core::small_chain("letters")) {
    journal::Recovery found;
    auto opened = journal::Journal::open(disk_, {.segment_bytes = 64 << 10, .seed = 1, .segments_reserve = 1}, found);
    EXPECT_TRUE(opened.ok());
    journal_ = std::move(*opened);
    reader_ = std::make_unique<JournalReader>(*journal_, disk_);
    desk_ = std::make_unique<LetterDesk>(core_, *reader_, thread_, mailbox_);
    Peer source = ready("read");
    commit(source, {}, {core::frame_of_one()});
    settle();
    Peer work = ready("work");
    wire::DeadLetter letter;
    letter.stream = "in";
    letter.reason = "it cannot be counted";
    letter.key_bytes = letter.value_bytes = as_bytes("\xa1k");
    const Bytes bytes = wire::encode(letter);
    Bytes changes;
    wire::append_change(changes, {wire::Space::kDeadLetter, {}, wire::dead_letter_key(letter), BytesView(bytes)});
    wire::Commit done;
    done.consumed = {{0, 0, 0, 1}};
    done.changes = {{kWork, 0, changes}};
    commit(work, done);
    EXPECT_EQ(out_.fenced_why(), "");
    sequence_ = Sequence(out_.appended.value() - 1);
    const BytesView payload = out_.payloads.back();
    const journal::EntryView entry{journal::EntryKind::kRecord, std::span(&payload, 1)};
    std::vector<journal::Position> positions;
    EXPECT_TRUE(journal_->append(std::span(&entry, 1), positions).ok());
    lies_at_ = positions.front();
    settle(kNowhere);
    out_.replies.clear();
  }

  void say(const char* op, bool all = false) {
    wire::MapWriter request(op);
    if (all) request.put("all", true);
    const Bytes message = std::move(request).finish();
    const auto map = wire::MapReader::parse(message);
    ASSERT_TRUE(map.ok() && desk_->take("person", *map, out_));
  }
  /// As a forward copy does.
  void move_to_where_it_lies() { core_.ledger().changelog(kWork).place(sequence_, lies_at_.segment, lies_at_.offset); }
  /// The reader thread has answered; what it says is heard.
  void hear() {
    pollfd there{mailbox_.descriptor(), POLLIN, 0};
    ASSERT_EQ(poll(&there, 1, 20'000), 1) << "nothing was read";
    mailbox_.run();
    desk_->do_work(out_);
  }
  [[nodiscard]] std::string answer() const {
    return out_.replies.empty() ? "" : std::string(as_text(out_.replies.back()));
  }

  test::SimDisk disk_{1};
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<JournalReader> reader_;
  Mailbox mailbox_{100};
  TaskThread thread_{"reader"};
  std::unique_ptr<LetterDesk> desk_;
  Sequence sequence_;
  journal::Position lies_at_;
};

TEST_F(LetterDeskTest, ListsLettersThatWereMovedWhileTheyWereRead) {
  say("dead_letters");
  pollfd there{mailbox_.descriptor(), POLLIN, 0};
  ASSERT_EQ(poll(&there, 1, 20'000), 1);  // it has been looked for in vain
  move_to_where_it_lies();
  hear();
  EXPECT_EQ(out_.replies.size(), 0U) << answer();
  hear();
  ASSERT_EQ(out_.replies.size(), 1U);
  EXPECT_THAT(answer(), HasSubstr("it cannot be counted"));
}

TEST_F(LetterDeskTest, DropsLettersThatWereMovedWhileTheyWereRead) {
  say("drop_letters", true);
  pollfd there{mailbox_.descriptor(), POLLIN, 0};
  ASSERT_EQ(poll(&there, 1, 20'000), 1);
  move_to_where_it_lies();
  hear();
  EXPECT_EQ(out_.replies.size(), 0U) << answer();
  const std::size_t entries = out_.payloads.size();
  hear();
  EXPECT_EQ(out_.payloads.size(), entries + 1) << "the letters go by an entry of the journal; " << answer();
}

TEST_F(LetterDeskTest, SaysSoOnceWhereLettersCannotBeReadAndHaveNotMoved) {
  for (const char* op : {"dead_letters", "drop_letters"}) {
    out_.replies.clear();
    say(op, true);
    hear();
    ASSERT_EQ(out_.replies.size(), 1U) << op;
    EXPECT_THAT(answer(), HasSubstr("refused"));
  }
}

TEST_F(LetterDeskTest, ListsForSoManyAtOnceAndAsksOthersToComeAgain) {
  std::promise<void> gate;
  thread_.post([opened = gate.get_future().share()] { opened.wait(); });
  int lists = 0;
  for (; out_.replies.empty() && lists < 100; ++lists) say("dead_letters");
  EXPECT_EQ(lists, 9);
  EXPECT_THAT(answer(), HasSubstr("again"));
  move_to_where_it_lies();
  gate.set_value();
  while (out_.replies.size() < 9) hear();
  say("dead_letters");
  hear();
  EXPECT_THAT(answer(), HasSubstr("it cannot be counted")) << "there is room again";
}

}  // namespace
}  // namespace weir::server
