// SPDX-License-Identifier: Apache-2.0
//
// The promise, against an oracle that knows nothing of the format: an acknowledged entry is read back exactly once, in
// order; an unacknowledged one is there whole or not at all; nothing that was never served comes back.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>

#include "tests/broker/journal/fixture.h"

namespace weir::test {
namespace {

/// One journal, one disk, many lives.
class Lives {
 public:
  explicit Lives(std::uint64_t seed) : random_(seed), disk_(seed * 7919 + 1), seed_(seed) {
    options_.segment_bytes = seed % 3 == 0 ? 512 << 10 : 64 << 10;  // the larger ones grow while they are written
    options_.seed = seed * 0x9E3779B97F4A7C15ULL + 1;
    options_.segments_reserve = 1;
  }

  void run(int lives) {
    for (int life = 0; life < lives && !testing::Test::HasFatalFailure(); ++life) live();
  }

  std::uint64_t recoveries = 0;
  std::uint64_t roll_overs = 0;

 private:
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  void live() {
    // A life ends in the middle of some operation, also of those that recover.
    if (below(4) != 0) disk_.crash_after(1 + below(below(3) == 0 ? 12 : 80));
    if (below(8) == 0) {
      disk_.fail_sync(1 + below(6), below(2) == 0 ? SimDisk::Pages::kKept : SimDisk::Pages::kEvicted);
      fails_ = true;
    }
    journal::Recovery recovery;
    auto opened = journal::Journal::open(disk_, options_, recovery);
    if (opened.ok()) {
      ++recoveries;
      ASSERT_NO_FATAL_FAILURE(compare(**opened, recovery));
      if (!testing::Test::HasFatalFailure()) serve(**opened);
      roll_overs += (*opened)->probe().segments_recycled;
    } else {
      ASSERT_TRUE(disk_.crashed() || fails_) << "seed " << seed_ << ": " << opened.error().message;
      ASSERT_EQ(opened.error().code, Code::kIo) << "seed " << seed_ << ": " << opened.error().message;
      if (fails_) lossy_ = true;
    }
    opened = {Code::kIo, "gone"};
    if (below(2) == 0) {
      disk_.kill();
    } else {
      disk_.power_cut();
      lossy_ = true;
    }
    fails_ = false;
  }

  void compare(journal::Journal& journal, const journal::Recovery& recovery) {
    const std::string at = "seed " + std::to_string(seed_) + ", reign " + std::to_string(recovery.reign.value());
    ASSERT_GT(recovery.reign, reign_) << at;
    reign_ = recovery.reign;
    ASSERT_LE(recovery.end.value(), written_.size() + maybe_.size()) << at;
    ASSERT_GE(recovery.end.value(), acknowledged_) << at << ": acknowledged entries are lost";
    if (!lossy_) {
      ASSERT_GE(recovery.end.value(), written_.size()) << at << ": a kill lost what was written";
    }
    for (const std::string& entry : maybe_) written_.push_back(entry);
    std::uint64_t next = 0;
    if (recovery.checkpoint) {
      next = recovery.checkpoint->through.value();
      ASSERT_EQ(as_text(recovery.checkpoint_bytes), "state " + std::to_string(next)) << at;
    }
    const Status replayed = journal.replay(
        [&](Sequence sequence, journal::Position position, journal::EntryKind, BytesView payload) -> Status {
          if (sequence.value() != next || written_.at(next) != as_text(payload)) {
            return {Code::kCorrupt, "not the entry that was written: " + std::to_string(sequence.value())};
          }
          const auto read = journal.read(position);
          if (!read.ok()) return read.error();
          if (as_text(*read) != as_text(payload)) return {Code::kCorrupt, "read differs from replay"};
          ++next;
          return {};
        });
    if (!replayed.ok() && disk_.crashed()) return;
    ASSERT_TRUE(replayed.ok()) << at << ": " << replayed.error().message;
    ASSERT_EQ(next, recovery.end.value()) << at;
    written_.resize(next);
    maybe_.clear();
    acknowledged_ = next;
    lossy_ = false;
  }

  std::string entry() {
    const std::uint64_t size = below(3) == 0 ? below(14000) : below(200);
    std::string text = std::to_string(reign_.value()) + "/" + std::to_string(counter_++) + ":";
    text.resize(text.size() + size, static_cast<char>('a' + counter_ % 26));
    return text;
  }

  void serve(journal::Journal& journal) {
    std::vector<journal::Position> positions;
    const std::uint64_t turns = below(60);
    for (std::uint64_t turn = 0; turn < turns; ++turn) {
      Status status;
      const std::uint64_t what = below(10);
      if (what < 5) {
        std::vector<std::string> texts;
        for (std::uint64_t i = below(4) + 1; i != 0; --i) texts.push_back(entry());
        status = append(journal, texts, journal::EntryKind::kRecord);
      } else if (what < 8) {
        status = journal.sync();
        if (status.ok()) {
          if (below(2) == 0) status = journal.mark_if_needed();
        }
      } else if (what < 9) {
        status = journal.prepare_spare();
      } else if (journal.durable().value() > checkpoint_) {
        const Sequence through = journal.durable();
        const std::string state = "state " + std::to_string(through.value());
        const auto ref = journal.write_checkpoint_file(through, journal.segment_newest(), as_bytes(state));
        if (ref.ok()) {
          checkpoint_ = through.value();
          status = append(journal, {std::string(as_text(journal::encode(*ref)))}, journal::EntryKind::kCheckpoint);
        } else if (ref.error().code != Code::kRefused) {
          status = ref.status();
        }
      }
      acknowledged_ = std::max(acknowledged_, journal.durable().value());
      if (status.ok()) continue;
      if (fails_) lossy_ = true;
      ASSERT_TRUE(disk_.crashed() || fails_) << "seed " << seed_ << ": " << status.error().message;
      break;
    }
    checkpoint_ = 0;
  }

  Status append(journal::Journal& journal, const std::vector<std::string>& texts, journal::EntryKind kind) {
    std::vector<BytesView> parts;
    parts.reserve(texts.size());
    for (const std::string& text : texts) parts.push_back(as_bytes(text));
    std::vector<journal::EntryView> group;
    group.reserve(parts.size());
    for (const BytesView& part : parts) group.push_back({kind, std::span(&part, 1)});
    std::vector<journal::Position> positions;
    Status status = journal.append(group, positions);
    // After an error any number of whole entries of the group may have come out.
    auto& into = status.ok() ? written_ : maybe_;
    into.insert(into.end(), texts.begin(), texts.end());
    return status;
  }

  std::mt19937_64 random_;
  SimDisk disk_;
  const std::uint64_t seed_;
  journal::JournalOptions options_;
  std::vector<std::string> written_;
  std::vector<std::string> maybe_;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t counter_ = 0;
  std::uint64_t checkpoint_ = 0;
  Reign reign_;
  bool lossy_ = false;
  bool fails_ = false;
};

TEST(JournalCrashes, NeverLoseWhatWasAcknowledgedNorBringBackWhatWasNotServed) {
  // WEIR_SEED replays one history; WEIR_SEEDS runs that many.
  const char* one = std::getenv("WEIR_SEED");
  const char* many = std::getenv("WEIR_SEEDS");
  const std::uint64_t first = one != nullptr ? std::stoull(one) : 1;
  const std::uint64_t last = one != nullptr ? first : many != nullptr ? std::stoull(many) : 1500;
  std::uint64_t recoveries = 0;
  std::uint64_t roll_overs = 0;
  for (std::uint64_t seed = first; seed <= last && !HasFatalFailure(); ++seed) {
    Lives lives(seed);
    lives.run(10);
    recoveries += lives.recoveries;
    roll_overs += lives.roll_overs;
  }
  if (one != nullptr) return;
  EXPECT_GT(recoveries, 3 * last);
  EXPECT_GT(roll_overs, last);
}

}  // namespace
}  // namespace weir::test
