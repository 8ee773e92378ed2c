// SPDX-License-Identifier: Apache-2.0
// Damage at every place of a small journal: each byte that means something, each length, each pair of blocks. Whatever
// is damaged, a start recovers what was written, or refuses and names the place, or read() does; and `examine()`, which
// `weir journal check` prints, says the same beforehand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "broker/journal/archive.h"
#include "broker/journal/examination.h"
#include "tests/broker/journal/fixture.h"

namespace weir::test {
namespace {

using journal::DamageMeans;
using journal::kBlockBytes;
using testing::HasSubstr;

/// A block of a file.
using Block = std::pair<std::string, std::uint64_t>;

class JournalSweep : public JournalFixture, public testing::WithParamInterface<std::uint64_t> {
 protected:
  JournalSweep() { options_.segment_bytes = 32 << 10; }

  /// Several lives: segments that roll over and are recycled, checkpoints, copies, and what kills leave behind. What
  /// was written is kept by sequence number, apart from the journal.
  void SetUp() override {
    std::mt19937_64 random(GetParam());
    const auto below = [&](std::uint64_t bound) { return random() % bound; };
    for (int life = 0; life < 4; ++life) {
      open();
      ASSERT_EQ(recovery_.end.value(), written_.size());
      const std::uint64_t groups = life == 3 ? 3 + below(4) : 10 + below(10);
      for (std::uint64_t group = 0; group < groups; ++group) {
        std::vector<std::string> texts;
        for (std::uint64_t i = 0; i <= below(3); ++i) {
          // Often of one size, so that entries of different segments stand at the same places.
          const std::uint64_t size = below(3) == 0 ? below(5000) : 1500;
          texts.push_back(std::string(size, static_cast<char>('a' + written_.size() % 26)) +
                          std::to_string(written_.size()));
          written_.push_back(texts.back());
        }
        append_group(texts);
        if (below(3) != 0) sync_noted();
        if (below(3) == 0) mark();
        if (life < 3 && group % 6 == 5) checkpoint_noted();
      }
      if (life == 3 && GetParam() % 2 == 0) {
        sync_noted();
        mark();
      }
      durable_ = journal_->durable().value();
      kill();
    }
    for (const std::string& name : disk_->names()) originals_[name] = disk_->content(name);
    find_evidence();
  }

  void sync_noted() {
    if (journal_->durable().value() < written_.size()) durable_before_ = journal_->durable().value();
    sync();
  }

  void checkpoint_noted() {
    sync_noted();
    const std::string state = "all before " + std::to_string(written_.size());
    states_[written_.size()] = state;
    written_.emplace_back("<checkpoint>");
    // Half of the time records of the segment before are still needed.
    const std::uint64_t newest = journal_->segment_newest();
    checkpoint(state, newest > 1 && written_.size() % 2 == 0 ? newest - 1 : newest);
  }

  /// Every mark on the disk and where it lies, headers included.
  void find_evidence() {
    for (const auto& [name, content] : originals_) {
      if (!journal::segment_file_number(name) || content.size() < kBlockBytes) continue;
      journal::SegmentHeader header;
      const auto state = journal::decode(BytesView(content).first(kBlockBytes), header);
      ASSERT_TRUE(state.ok());
      if (*state == journal::HeaderState::kValid) marks_[{name, 0}] = header.mark.value();
      for (std::uint64_t at = kBlockBytes; at + kBlockBytes <= content.size(); at += kBlockBytes) {
        journal::FrameHeader frame{};
        std::memcpy(&frame, content.data() + at, sizeof(frame));
        if (journal::check_header(frame, options_.seed, at) != journal::FrameCheck::kValid) continue;
        if (frame.group_bytes != 0) marks_[{name, at / kBlockBytes}] = frame.mark;
      }
    }
  }

  /// The highest mark outside of `damaged`: below it nothing may be lost without being said.
  [[nodiscard]] std::uint64_t proven_without(const std::set<Block>& damaged) const {
    std::uint64_t highest = 0;
    for (const auto& [block, mark] : marks_) {
      if (!damaged.contains(block)) highest = std::max(highest, mark);
    }
    return highest;
  }

  /// Looks at `twin`, then starts on it, and holds both against what was written. `floor`: what must be there.
  void judge(SimDisk& twin, const std::string& what, std::uint64_t floor, bool cut_shows = true) {
    ++cases_;
    const std::uint64_t before = twin.counters().writes;
    auto examined = journal::examine(twin);
    ASSERT_TRUE(examined.ok()) << what << ": " << examined.error().message;
    ASSERT_EQ(twin.counters().writes, before) << what << ": looking wrote something";
    const auto means = [&](DamageMeans wanted) {
      return std::any_of(examined->damage.begin(), examined->damage.end(),
                         [&](const journal::Damage& each) { return each.means == wanted; });
    };
    ASSERT_NO_FATAL_FAILURE(read_what_is_left(twin, what));
    journal::Recovery found;
    auto opened = journal::Journal::open(twin, options_, found);
    ASSERT_EQ(opened.ok(), !means(DamageMeans::kStartRefused))
        << what << ": " << (opened.ok() ? "it opened" : opened.error().message);
    if (!opened.ok()) {
      ++refused_;
      ASSERT_EQ(opened.error().code, Code::kCorrupt) << what << ": " << opened.error().message;
      ASSERT_THAT(opened.error().message, testing::AnyOf(HasSubstr("segment"), HasSubstr("checkpoint-"))) << what;
      ASSERT_EQ(examined->refusal->message, opened.error().message) << what;
      return;
    }
    const std::uint64_t end = found.end.value();
    ASSERT_EQ(examined->history.end.value(), end) << what;
    ASSERT_LE(end, written_.size()) << what;
    ASSERT_GE(end, floor) << what;
    if (end < written_.size()) {
      ++cut_;
      ASSERT_TRUE(!cut_shows || found.cut_bytes > 0) << what << ": cut to " << end << " and not a word";
    }
    std::uint64_t next = 0;
    if (found.checkpoint) {
      next = found.checkpoint->through.value();
      ASSERT_TRUE(states_.contains(next)) << what;
      ASSERT_EQ(as_text(found.checkpoint_bytes), states_[next]) << what;
    }
    std::uint64_t wrong = 0;
    const Status replayed = (*opened)->replay(
        [&](Sequence sequence, journal::Position, journal::EntryKind kind, BytesView bytes) -> Status {
          const bool right =
              sequence.value() == next && (kind == journal::EntryKind::kCheckpoint ? written_[next] == "<checkpoint>"
                                                                                   : as_text(bytes) == written_[next]);
          if (!right) ++wrong;
          ++next;
          return {};
        });
    ASSERT_TRUE(replayed.ok()) << what << ": " << replayed.error().message;
    ASSERT_EQ(wrong, 0U) << what;
    ASSERT_EQ(next, end) << what;
    read_all(**opened, what, end, means(DamageMeans::kStopsLater));
  }

  /// What a salvage is made of: entries and checkpoints that are right, whatever is damaged.
  void read_what_is_left(SimDisk& twin, const std::string& what) {
    const auto archive = journal::Archive::open(twin, options_.segment_bytes);
    if (!archive.ok()) {
      ASSERT_EQ(archive.error().code, Code::kCorrupt) << what << ": " << archive.error().message;
      return;
    }
    for (std::uint64_t sequence = 0; sequence < written_.size(); ++sequence) {
      const journal::Archive::Entry* entry = archive->find(Sequence(sequence));
      if (entry == nullptr) continue;
      ++left_;
      ASSERT_EQ(entry->position, positions_[sequence]) << what;
      const auto bytes = archive->read(*entry);
      ASSERT_TRUE(bytes.ok()) << what << ": " << bytes.error().message;
      ASSERT_TRUE(written_[sequence] == "<checkpoint>" || as_text(*bytes) == written_[sequence]) << what;
    }
    ASSERT_EQ(archive->find(Sequence(written_.size())), nullptr) << what;
    for (const journal::CheckpointRef& ref : archive->checkpoints()) {
      ASSERT_TRUE(states_.contains(ref.through.value())) << what;
    }
  }

  /// Positions that were given once are read, or refused; never is anything else read there.
  void read_all(const journal::Journal& journal, const std::string& what, std::uint64_t end, bool damage_told) {
    const std::uint64_t oldest = journal.segment_oldest();
    for (std::uint64_t sequence = 0; sequence < end; ++sequence) {
      const journal::Position position = positions_[sequence];
      const auto bytes = journal.read(position);
      if (position.segment < oldest) {
        ASSERT_EQ(bytes.error().code, Code::kNotFound) << what;
      } else if (bytes.ok()) {
        if (written_[sequence] != "<checkpoint>") {
          ASSERT_EQ(as_text(*bytes), written_[sequence]) << what;
        }
      } else {
        ++found_when_read_;
        ASSERT_EQ(bytes.error().code, Code::kCorrupt) << what << ": " << bytes.error().message;
        ASSERT_THAT(bytes.error().message, HasSubstr("segment")) << what;
        ASSERT_TRUE(damage_told) << what << ": the examination did not find entry " << sequence;
      }
    }
  }

  /// The bytes to damage: of every block that starts with a header or a frame all of these; one of every payload; and
  /// of the rest one in 251.
  [[nodiscard]] std::set<std::uint64_t> places_in(const std::string& name) const {
    const Bytes& content = originals_.at(name);
    std::set<std::uint64_t> places;
    if (!journal::segment_file_number(name)) {
      for (std::uint64_t at = 0; at < content.size(); ++at) places.insert(at);
      return places;
    }
    for (std::uint64_t at = 0; at < content.size(); at += 251) places.insert(at);
    if (content.size() < kBlockBytes) return places;
    for (std::uint64_t at = 0; at < sizeof(journal::SegmentHeaderWire); ++at) places.insert(at);
    for (std::uint64_t at = kBlockBytes; at + sizeof(journal::FrameHeader) <= content.size();
         at += journal::kFrameAlign) {
      journal::FrameHeader frame{};
      std::memcpy(&frame, content.data() + at, sizeof(frame));
      if (journal::check_header(frame, options_.seed, at) != journal::FrameCheck::kValid) continue;
      for (std::uint64_t byte = 0; byte < sizeof(frame); ++byte) places.insert(at + byte);
      if (frame.payload_bytes != 0) places.insert(at + sizeof(frame) + (at * 31) % frame.payload_bytes);
    }
    return places;
  }

  void tell() {
    RecordProperty("cases", std::to_string(cases_));
    std::printf("%llu cases: %llu starts refused, %llu cut, %llu entries found damaged when read, %llu left a case\n",
                static_cast<unsigned long long>(cases_), static_cast<unsigned long long>(refused_),
                static_cast<unsigned long long>(cut_), static_cast<unsigned long long>(found_when_read_),
                static_cast<unsigned long long>(left_ / cases_));
  }

  std::vector<std::string> written_;             // by sequence; a checkpoint's entry as "<checkpoint>"
  std::map<std::uint64_t, std::string> states_;  // by the sequence that the checkpoint reaches to
  std::uint64_t durable_ = 0;                    // what the last sync had covered
  std::uint64_t durable_before_ = 0;             // and the one before it
  std::map<std::string, Bytes> originals_;
  std::map<Block, std::uint64_t> marks_;
  std::uint64_t cases_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t cut_ = 0;
  std::uint64_t found_when_read_ = 0;
  std::uint64_t left_ = 0;
};

TEST_P(JournalSweep, OfAnUndamagedJournalFindsAllAndNoDamage) {
  auto twin = disk_->clone(1);
  judge(*twin, "undamaged", written_.size());
  const auto examined = journal::examine(*disk_);
  ASSERT_TRUE(examined.ok());
  EXPECT_TRUE(examined->damage.empty()) << examined->damage.front().what;
  // What the sweeps below rest on.
  const auto in_use = std::count_if(examined->segments.begin(), examined->segments.end(), [](const auto& facts) {
    return facts.role == journal::SegmentFacts::Role::kOpen || facts.role == journal::SegmentFacts::Role::kClosed;
  });
  EXPECT_GE(in_use, 2);
  EXPECT_GE(examined->segments.size(), 4U);
  EXPECT_EQ(examined->checkpoints.size(), 2U);
}

TEST_P(JournalSweep, FlipsEachByteThatMeansSomething) {
  for (const auto& [name, content] : originals_) {
    for (const std::uint64_t at : places_in(name)) {
      auto twin = disk_->clone(at);
      const auto changed = content[at] ^ static_cast<std::byte>(1U << (at % 8));
      twin->overwrite(name, at, std::span(&changed, 1));
      const std::uint64_t floor = std::max(proven_without({{name, at / kBlockBytes}}), durable_before_);
      ASSERT_NO_FATAL_FAILURE(judge(*twin, name + " flipped at " + std::to_string(at), floor));
    }
  }
  tell();
  EXPECT_GT(refused_, 300U);
  // With a mark behind all that was written nothing looks like a torn tail.
  if (GetParam() % 2 == 0) {
    EXPECT_EQ(cut_, 0U);
  } else {
    EXPECT_GT(cut_, 50U);
  }
  EXPECT_GT(found_when_read_, 300U);
  EXPECT_GT(left_ / cases_, 25U);
}

TEST_P(JournalSweep, CutsEachFileAtManyLengths) {
  for (const auto& [name, content] : originals_) {
    std::set<std::uint64_t> lengths;
    for (std::uint64_t length = 0; length < content.size(); length += content.size() < 200 ? 1 : 509) {
      lengths.insert(length);
    }
    for (std::uint64_t length = 0; length < content.size(); length += kBlockBytes) lengths.insert(length);
    for (const std::uint64_t length : lengths) {
      auto twin = disk_->clone(length);
      twin->truncate(name, length);
      // Whatever was in the file: a file that ends where none does is known by that.
      ASSERT_NO_FATAL_FAILURE(judge(*twin, name + " cut at " + std::to_string(length), durable_, false));
    }
  }
  tell();
  EXPECT_GT(refused_, 50U);
}

TEST_P(JournalSweep, SwapsEachPairOfBlocks) {
  std::vector<Block> blocks;
  for (const auto& [name, content] : originals_) {
    for (std::uint64_t block = 0; (block + 1) * kBlockBytes <= content.size(); ++block)
      blocks.emplace_back(name, block);
  }
  const auto bytes_of = [&](const Block& block) {
    return BytesView(originals_.at(block.first)).subspan(block.second * kBlockBytes, kBlockBytes);
  };
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    for (std::size_t j = i + 1; j < blocks.size(); ++j) {
      if (std::ranges::equal(bytes_of(blocks[i]), bytes_of(blocks[j]))) continue;
      auto twin = disk_->clone(i);
      twin->overwrite(blocks[i].first, blocks[i].second * kBlockBytes, bytes_of(blocks[j]));
      twin->overwrite(blocks[j].first, blocks[j].second * kBlockBytes, bytes_of(blocks[i]));
      ASSERT_NO_FATAL_FAILURE(judge(*twin,
                                    blocks[i].first + " block " + std::to_string(blocks[i].second) + " swapped with " +
                                        blocks[j].first + " block " + std::to_string(blocks[j].second),
                                    proven_without({blocks[i], blocks[j]}), false));
    }
  }
  tell();
  EXPECT_GT(refused_, 300U);
}

INSTANTIATE_TEST_SUITE_P(Histories, JournalSweep, testing::Values(1, 2, 3));

}  // namespace
}  // namespace weir::test
