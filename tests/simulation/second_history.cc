// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/second_history.h"

#include <utility>
#include <vector>

namespace weir::simulation {

namespace {

constexpr std::uint64_t kBlock = 4096;
constexpr int kTries = 20;  ///< at a byte that was written

}  // namespace

SecondHistory::SecondHistory(const test::SimDisk& disk, const Topology& topology, std::uint64_t segment_bytes,
                             std::uint64_t seed)
    : topology_(topology), segment_bytes_(segment_bytes), random_(seed) {
  for (Side* side : {&whole_, &damaged_}) {
    side->disk = disk.clone(seed);
    side->disk->limit_bytes(UINT64_MAX);
  }
}

bool SecondHistory::damage(bool cut) {
  std::vector<std::string> files;
  for (const std::string& name : damaged_.disk->names()) {
    if (name.starts_with("segment-") || name.starts_with("snapshot-")) files.push_back(name);
  }
  if (files.empty()) return false;
  const std::string& name = files[random_() % files.size()];
  const Bytes content = damaged_.disk->content(name);
  const std::uint64_t bytes = content.size();
  if (bytes == 0) return false;
  // Most of a segment was never written: there damage proves little.
  std::uint64_t at = random_() % bytes;
  for (int i = 0; i < kTries && content[at] == std::byte{0}; ++i) at = random_() % bytes;
  place_ = name + ", byte " + std::to_string(at);
  damaged_.disk->flip_bit(name, at, static_cast<int>(random_() % 8));
  if (cut && name.starts_with("segment-") && at >= kBlock)
    damaged_.disk->overwrite(name, at / kBlock * kBlock, Bytes(bytes - at / kBlock * kBlock));
  return true;
}

Status SecondHistory::open(Side& side) {
  journal::JournalOptions options;
  options.segment_bytes = segment_bytes_;
  options.seed = 1;
  auto journal = journal::Journal::open(*side.disk, options, side.found);
  if (!journal.ok()) return journal.error();
  side.journal = std::move(*journal);
  side.reader = std::make_unique<server::JournalReader>(*side.journal, *side.disk);
  return {};
}

Status SecondHistory::apply(Side& side, Sequence end) {
  side.ledger = std::make_unique<core::Ledger>(topology_);
  if (side.found.checkpoint) {
    if (Status status = side.ledger->decode_checkpoint(side.found.checkpoint_bytes); !status.ok()) return status;
  }
  return side.journal->replay(
      [&](Sequence sequence, journal::Position position, journal::EntryKind kind, BytesView payload) -> Status {
        if (sequence >= end) return {};
        if (kind == journal::EntryKind::kCheckpoint) {
          side.ledger->apply_checkpoint();
          return {};
        }
        const core::Place place{position.segment, position.offset, 0, static_cast<std::uint32_t>(payload.size())};
        return side.ledger->apply(sequence, core::Buffer::of(Bytes(payload.begin(), payload.end())), place, false);
      });
}

SecondHistory::Verdict SecondHistory::wrong(std::string problem) {
  problem_ = std::move(problem) + " (damage: " + place_ + ")";
  return Verdict::kWrong;
}

bool SecondHistory::names_the_place(const Error& error) {
  return error.code == Code::kCorrupt &&
         (error.message.find("segment") != std::string::npos || error.message.find("snapshot") != std::string::npos);
}

SecondHistory::Verdict SecondHistory::run(Sequence promised, bool cut) {
  if (!damage(cut) || !open(whole_).ok()) return Verdict::kNotTried;
  if (const Status opened = open(damaged_); !opened.ok()) {
    if (names_the_place(opened.error())) return Verdict::kRefused;
    return wrong("damage ended a start with: " + opened.error().message);
  }
  const Sequence end = damaged_.found.end;
  if (end > whole_.found.end) return wrong("damage made the journal longer");
  if (end < promised) return wrong("damage was cut, and with it what was durable (I2)");
  if (const Status applied = apply(damaged_, end); !applied.ok()) {
    if (names_the_place(applied.error())) return Verdict::kRefused;
    return wrong("damage ended the replay with: " + applied.error().message);
  }
  const bool same_start = damaged_.found.checkpoint == whole_.found.checkpoint;
  if (whole_.found.checkpoint && whole_.found.checkpoint->through > end)
    return wrong("damage was cut below the checkpoint");
  if (const Status applied = apply(whole_, end); !applied.ok()) return Verdict::kNotTried;
  std::vector<core::Ledger::Fixup> fixups;
  if (same_start && whole_.ledger->encode_checkpoint(fixups) != damaged_.ledger->encode_checkpoint(fixups))
    return wrong("damage changed what was recovered");
  for (const auto compare : {&SecondHistory::compare_frames, &SecondHistory::compare_state}) {
    if (const Verdict verdict = (this->*compare)(); verdict != Verdict::kUnharmed) return verdict;
  }
  return end < whole_.found.end ? Verdict::kCut : Verdict::kUnharmed;
}

SecondHistory::Verdict SecondHistory::compare_frames() {
  bool stopped = false;
  for (std::uint32_t index = 0; index < topology_.streams.size(); ++index) {
    const core::StreamState& damaged = damaged_.ledger->stream(index);
    const core::StreamState& whole = whole_.ledger->stream(index);
    for (std::uint64_t frame = damaged.first_frame(); frame < damaged.end_frame(); ++frame) {
      if (!whole.holds(frame)) continue;
      const auto wanted = whole_.reader->read(whole.slot(frame).place);
      if (!wanted.ok()) continue;  // nobody needs it any more
      const auto read = damaged_.reader->read(damaged.slot(frame).place);
      stopped = stopped || !read.ok();
      if (read.ok() && *read != *wanted) return wrong("a damaged frame was read as another one");
      if (!read.ok() && !names_the_place(read.error()))
        return wrong("damage ended a read with: " + read.error().message);
    }
  }
  return stopped ? Verdict::kStopped : Verdict::kUnharmed;
}

core::RestoreJob SecondHistory::whole_state(const core::Ledger& ledger, std::uint32_t stage) {
  core::RestoreJob job;
  const core::Changelog& changelog = ledger.changelog(stage);
  const core::UnitState& unit = ledger.units()[ledger.unit_of(stage)];
  for (std::uint32_t lane = 0; lane < unit.lanes.size(); ++lane) job.lanes.push_back(lane);
  core::RestoreJob::Part part;
  part.stage = stage;
  part.file = changelog.newest() ? changelog.newest()->file : 0;
  part.file_reset = changelog.snapshot_reset();
  part.reset_before = changelog.reset_before();
  part.tail.assign(changelog.tail().begin(), changelog.tail().end());
  job.parts.push_back(std::move(part));
  return job;
}

SecondHistory::Verdict SecondHistory::compare_state() {
  const auto read = [](Side& side, std::uint32_t stage, Bytes& bytes) -> Status {
    core::RestoreJob job = whole_state(*side.ledger, stage);
    while (!job.finished && !job.lanes.empty()) {
      Status status = side.reader->restore(job, [&](const wire::StatePart& part) -> Status {
        bytes.insert(bytes.end(), part.changes.begin(), part.changes.end());
        return {};
      });
      if (!status.ok()) return status;
    }
    return {};
  };
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    Bytes wanted;
    Bytes got;
    if (!read(whole_, stage, wanted).ok()) continue;
    if (const Status status = read(damaged_, stage, got); !status.ok()) {
      if (names_the_place(status.error())) return Verdict::kStopped;
      return wrong("damage ended a restore with: " + status.error().message);
    }
    if (got != wanted) return wrong("damaged state was read as another one");
  }
  return Verdict::kUnharmed;
}

}  // namespace weir::simulation
