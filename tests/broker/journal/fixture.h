// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/journal/journal.h"
#include "tests/support/sim_disk.h"

namespace weir::test {

/// A journal on a simulated disk, in the domain's verbs.
class JournalFixture : public testing::Test {
 protected:
  void open() {
    journal_.reset();
    auto opened = journal::Journal::open(*disk_, options_, recovery_);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    journal_ = std::move(*opened);
  }
  Error refused() {
    journal_.reset();
    auto opened = journal::Journal::open(*disk_, options_, recovery_);
    return opened.ok() ? Error{Code::kInvalid, "it opened"} : opened.error();
  }
  Status try_append(std::string_view text) {
    const BytesView part = as_bytes(text);
    const journal::EntryView entry{journal::EntryKind::kRecord, std::span(&part, 1)};
    return journal_->append(std::span(&entry, 1), positions_);
  }
  void append(std::string_view text) {
    const Status status = try_append(text);
    ASSERT_TRUE(status.ok()) << status.error().message;
  }
  void append_group(const std::vector<std::string>& texts) {
    std::vector<BytesView> parts;
    parts.reserve(texts.size());
    for (const std::string& text : texts) parts.push_back(as_bytes(text));
    std::vector<journal::EntryView> group;
    group.reserve(parts.size());
    for (const BytesView& part : parts) group.push_back({journal::EntryKind::kRecord, std::span(&part, 1)});
    const Status status = journal_->append(group, positions_);
    ASSERT_TRUE(status.ok()) << status.error().message;
  }
  void sync() {
    const Status status = journal_->sync();
    ASSERT_TRUE(status.ok()) << status.error().message;
  }
  void mark() { ASSERT_TRUE(journal_->mark_if_needed().ok()); }
  void kill() {
    journal_.reset();
    disk_->kill();
  }
  void power_cut() {
    journal_.reset();
    disk_->power_cut();
  }
  /// A checkpoint of all that is durable, in force when this returns.
  void checkpoint(std::string_view state, std::uint64_t segment_needed_min) {
    const auto ref = journal_->write_checkpoint_file(journal_->durable(), segment_needed_min, as_bytes(state));
    ASSERT_TRUE(ref.ok()) << ref.error().message;
    const Bytes payload = journal::encode(*ref);
    const BytesView part = payload;
    const journal::EntryView entry{journal::EntryKind::kCheckpoint, std::span(&part, 1)};
    const Status status = journal_->append(std::span(&entry, 1), positions_);
    ASSERT_TRUE(status.ok()) << status.error().message;
    sync();
  }
  /// Payloads of all records from the checkpoint on; a checkpoint's entry as "<checkpoint>".
  std::vector<std::string> replayed() {
    std::vector<std::string> all;
    if (journal_ == nullptr) {
      ADD_FAILURE() << "no journal is open";
      return all;
    }
    const Status status = journal_->replay([&](Sequence, journal::Position, journal::EntryKind kind, BytesView bytes) {
      all.emplace_back(kind == journal::EntryKind::kRecord ? std::string(as_text(bytes)) : "<checkpoint>");
      return Status();
    });
    EXPECT_TRUE(status.ok()) << status.error().message;
    return all;
  }
  std::string read(journal::Position position) {
    const auto bytes = journal_->read(position);
    return bytes.ok() ? std::string(as_text(*bytes)) : bytes.error().message;
  }
  /// The file in which segment `number` of the highest reign lies.
  [[nodiscard]] std::string file_of(std::uint64_t number) const {
    std::string best;
    Reign reign;
    for (const std::string& name : disk_->names()) {
      if (!journal::segment_file_number(name)) continue;
      Bytes block = disk_->content(name);
      block.resize(journal::kBlockBytes);
      journal::SegmentHeader header;
      const auto state = journal::decode(block, header);
      if (!state.ok() || *state != journal::HeaderState::kValid || header.number != number || header.reign < reign) {
        continue;
      }
      best = name;
      reign = header.reign;
    }
    return best;
  }

  journal::JournalOptions options_{.segment_bytes = 64 << 10, .seed = 0x5eed, .segments_reserve = 1};
  std::unique_ptr<SimDisk> disk_ = std::make_unique<SimDisk>(1);
  std::unique_ptr<journal::Journal> journal_;
  journal::Recovery recovery_;
  std::vector<journal::Position> positions_;
};

}  // namespace weir::test
