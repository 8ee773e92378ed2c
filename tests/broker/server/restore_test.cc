// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/server/journal_reader.h"
#include "broker/server/snapshot_file.h"
#include "tests/support/sim_disk.h"

namespace weir::test {
namespace {

constexpr std::uint64_t kFile = 3;
constexpr std::uint32_t kStage = 2;
constexpr std::size_t kPortionMax = (1 << 20) + (1 << 18);  // a MiB, and the block or entry that reached it

/// By lane and key.
using State = std::map<std::pair<std::uint32_t, std::string>, std::string>;

class RestoreFromSnapshot : public testing::Test {
 protected:
  void SetUp() override {
    journal::JournalOptions options;
    options.segment_bytes = 8 << 20;
    options.seed = 1;
    journal::Recovery found;
    auto opened = journal::Journal::open(disk_, options, found);
    ASSERT_TRUE(opened.ok());
    journal_ = std::move(*opened);
  }
  static Bytes change(wire::Space space, const std::string& key, const std::string& value) {
    Bytes bytes;
    wire::append_change(bytes, {space, as_bytes("sum"), as_bytes(key), as_bytes(value)});
    return bytes;
  }
  /// Appends an entry that is a change of `lane`, and names it in the job's tail.
  void change_later(core::RestoreJob& job, std::uint32_t lane, const Bytes& changes) {
    std::vector<journal::Position> positions;
    const BytesView part = changes;
    const journal::EntryView entry{journal::EntryKind::kRecord, std::span(&part, 1)};
    ASSERT_TRUE(journal_->append(std::span(&entry, 1), positions).ok());
    core::ChangesPlace place;
    place.lane = lane;
    place.place = {positions[0].segment, positions[0].offset, 0, static_cast<std::uint32_t>(changes.size())};
    job.parts[0].tail.push_back(place);
  }

  SimDisk disk_{1};
  std::unique_ptr<journal::Journal> journal_;
};

TEST_F(RestoreFromSnapshot, IsWrittenPieceByPieceSoThatCommitsNeedNotWaitForAllOfIt) {
  auto writer = server::SnapshotWriter::create(disk_, kFile, kStage);
  ASSERT_TRUE(writer.ok());
  const std::uint64_t before = disk_.counters().syncs;
  const std::string value(100'000, 'v');
  for (int i = 0; i < 210; ++i) {
    const std::string key = std::to_string(i);
    const wire::Change put{wire::Space::kState, as_bytes("sum"), as_bytes(key), as_bytes(value)};
    ASSERT_TRUE(writer->add(0, put).ok());
  }
  EXPECT_EQ(disk_.counters().syncs - before, 5U) << "one every 4 MiB of 20";
  ASSERT_TRUE(writer->finish().ok());
}

TEST_F(RestoreFromSnapshot, ComesInPortionsThatAddUpToTheState) {
  State wanted;
  auto writer = server::SnapshotWriter::create(disk_, kFile, kStage);
  ASSERT_TRUE(writer.ok());
  for (const std::uint32_t lane : {0U, 1U, 5U, 6U}) {
    for (int i = 0; i < (lane == 1 ? 400 : lane == 6 ? 30 : 5); ++i) {
      const std::string key = "key " + std::to_string(1000 + i);
      const std::string value(10'000, static_cast<char>('a' + i % 26));
      if (lane != 6) wanted[{lane, key}] = value;
      const wire::Change put{wire::Space::kState, as_bytes("sum"), as_bytes(key), as_bytes(value)};
      ASSERT_TRUE(writer->add(lane, put).ok());
    }
    const std::string letter(5000, 'x');
    const wire::Change dead{wire::Space::kDeadLetter, {}, as_bytes("letter"), as_bytes(letter)};
    ASSERT_TRUE(writer->add(lane, dead).ok());
  }
  ASSERT_TRUE(writer->finish().ok());

  core::RestoreJob job;
  job.lanes = {0, 1, 5, 7};  // not 6, which is another's; and 7 has no state yet
  job.parts.resize(1);
  job.parts[0].stage = kStage;
  job.parts[0].file = kFile;
  for (int i = 0; i < 300; ++i) {
    const std::string key = "key " + std::to_string(1000 + i % 40);
    const std::string value = "later " + std::to_string(i) + std::string(9000, 'l');
    wanted[{1, key}] = value;
    change_later(job, 1, change(wire::Space::kState, key, value));
    change_later(job, 5, change(wire::Space::kDeadLetter, key, value));
  }

  server::JournalReader reader(*journal_, disk_);
  State found;
  std::vector<std::uint32_t> ended;
  int portions = 0;
  while (!job.finished) {
    std::size_t bytes = 0;
    const Status status = reader.restore(job, [&](const wire::StatePart& part) -> Status {
      EXPECT_EQ(part.stage, kStage);
      EXPECT_EQ(part.shard, job.lanes.at(ended.size())) << "lane by lane, each as soon as it can be";
      if (part.last) ended.push_back(part.shard);
      bytes += part.changes.size();
      wire::ChangesReader changes(part.changes);
      while (const auto one = changes.next()) {
        EXPECT_EQ(one->space, wire::Space::kState);
        found[{part.shard, std::string(as_text(one->key))}] = std::string(as_text(*one->value));
      }
      return {};
    });
    ASSERT_TRUE(status.ok()) << status.error().message;
    ASSERT_LE(bytes, kPortionMax);
    ASSERT_LT(++portions, 100);
  }
  EXPECT_GE(portions, 7) << "of 4 MB and 5.4 MB behind it";
  EXPECT_EQ(found, wanted);
  EXPECT_EQ(ended, job.lanes);
}

TEST_F(RestoreFromSnapshot, ReadsTheBlocksOfItsLanesAndEachEntryOfTheTailOnce) {
  constexpr std::uint32_t kLanes = 4;
  constexpr int kEntries = 20;
  const std::string value(50'000, 'v');
  auto writer = server::SnapshotWriter::create(disk_, kFile, kStage);
  ASSERT_TRUE(writer.ok());
  for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
    for (int i = 0; i < 40; ++i) {
      const std::string key = std::to_string(100 + i);
      ASSERT_TRUE(writer->add(lane, {wire::Space::kState, as_bytes("sum"), as_bytes(key), as_bytes(value)}).ok());
    }
  }
  const auto snapshot_bytes = writer->finish();
  ASSERT_TRUE(snapshot_bytes.ok());

  std::vector<core::ChangesPlace> tail;  // each entry changes something in every lane
  std::uint64_t tail_bytes = 0;
  for (int i = 0; i < kEntries; ++i) {
    const Bytes part = change(wire::Space::kState, std::to_string(200 + i), value);
    Bytes payload;
    for (std::uint32_t lane = 0; lane < kLanes; ++lane) payload.insert(payload.end(), part.begin(), part.end());
    std::vector<journal::Position> positions;
    const BytesView view = payload;
    const journal::EntryView entry{journal::EntryKind::kRecord, std::span(&view, 1)};
    ASSERT_TRUE(journal_->append(std::span(&entry, 1), positions).ok());
    tail_bytes += payload.size();
    const auto size = static_cast<std::uint32_t>(part.size());
    for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
      tail.push_back({Sequence(i), lane, {positions[0].segment, positions[0].offset, lane * size, size}});
    }
  }

  const auto read_for = [&](const std::vector<std::uint32_t>& lanes) {
    core::RestoreJob job;
    job.lanes = lanes;
    job.parts.resize(1);
    job.parts[0].stage = kStage;
    job.parts[0].file = kFile;
    for (const core::ChangesPlace& changes : tail) {
      if (std::find(lanes.begin(), lanes.end(), changes.lane) != lanes.end()) job.parts[0].tail.push_back(changes);
    }
    server::JournalReader reader(*journal_, disk_);
    const std::uint64_t before = disk_.counters().bytes_read;
    std::size_t entries = 0;
    while (!job.finished) {
      const Status status = reader.restore(job, [&](const wire::StatePart& part) -> Status {
        wire::ChangesReader changes(part.changes);
        while (changes.next()) ++entries;
        return {};
      });
      EXPECT_TRUE(status.ok());
      if (!status.ok()) break;
    }
    EXPECT_EQ(entries, lanes.size() * (40 + kEntries));
    return disk_.counters().bytes_read - before;
  };
  constexpr std::uint64_t kAround = 300'000;  // headers, and an entry or the directory read again for a portion
  EXPECT_LE(read_for({0, 1, 2, 3}), *snapshot_bytes + tail_bytes + kAround);
  EXPECT_LE(read_for({2}), *snapshot_bytes / kLanes + tail_bytes + kAround);
}

/// Everything in a snapshot's lane 0, as "space key".
std::vector<std::string> entries_of(journal::Disk& disk, std::uint64_t file) {
  std::vector<std::string> entries;
  const auto reader = server::SnapshotReader::open(disk, file);
  EXPECT_TRUE(reader.ok());
  const Status read = reader->read(0, [&](BytesView changes) -> Status {
    wire::ChangesReader each(changes);
    while (const auto found = each.next())
      entries.push_back(std::to_string(static_cast<int>(found->space)) + " " + std::string(as_text(found->key)));
    return {};
  });
  EXPECT_TRUE(read.ok());
  return entries;
}

TEST_F(RestoreFromSnapshot, BringsNoStateFromBeforeAResetNorDoesTheNextSnapshot) {
  auto writer = server::SnapshotWriter::create(disk_, kFile, kStage);
  ASSERT_TRUE(writer.ok());
  for (const wire::Space space : {wire::Space::kState, wire::Space::kDeadLetter}) {
    const wire::Change put{space, as_bytes("sum"), as_bytes("in the file"), as_bytes("v")};
    ASSERT_TRUE(writer->add(0, put).ok());
  }
  ASSERT_TRUE(writer->finish().ok());
  core::RestoreJob job;
  job.lanes = {0};
  job.parts.resize(1);
  core::RestoreJob::Part& part = job.parts[0];
  part.stage = kStage;
  part.file = kFile;
  part.file_reset = true;
  part.reset_before = 15;
  change_later(job, 0, change(wire::Space::kState, "before", "v"));
  part.tail.back().sequence = Sequence(14);
  change_later(job, 0, change(wire::Space::kParked, "before", "v"));
  part.tail.back().sequence = Sequence(14);
  change_later(job, 0, change(wire::Space::kState, "behind", "v"));
  part.tail.back().sequence = Sequence(15);

  core::CompactJob compaction;
  compaction.stage = kStage;
  compaction.file_before = kFile;
  compaction.file_reset = true;
  compaction.reset_before = 15;
  compaction.tail = part.tail;
  compaction.result.file = kFile + 1;
  server::JournalReader reader(*journal_, disk_);
  const Status compacted = reader.compact(compaction);
  ASSERT_TRUE(compacted.ok()) << compacted.error().message;
  EXPECT_EQ(entries_of(disk_, kFile + 1), (std::vector<std::string>{"0 behind", "2 in the file", "4 before"}));

  std::vector<std::string> restored;
  while (!job.finished) {
    const Status read = reader.restore(job, [&](const wire::StatePart& said) -> Status {
      wire::ChangesReader each(said.changes);
      while (const auto found = each.next())
        restored.push_back(std::to_string(static_cast<int>(found->space)) + " " + std::string(as_text(found->key)));
      return {};
    });
    ASSERT_TRUE(read.ok()) << read.error().message;
  }
  EXPECT_EQ(restored, (std::vector<std::string>{"4 before", "0 behind"}));
}

}  // namespace
}  // namespace weir::test
