// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "broker/journal/segment_reader.h"

namespace weir::journal {
namespace {

/// What a look behind one file's header has found.
struct Groups {
  bool scanned = false;    ///< every block was looked at
  bool own = false;        ///< an opening mark or a group of the header's reign
  Reign reign_max;         ///< of any group
  Reign reign_served_max;  ///< of a group that is no opening mark: its writer was being served
  Sequence mark_max;
  std::uint32_t mark_offset = 0;
  Sequence last_of_reign;      ///< in the newest segment: of its reign's groups, the highest sequence
  std::uint32_t last_end = 0;  ///< and the byte behind that group
};

class Historian {
 public:
  Historian(Disk& disk, std::vector<SegmentFile>& files, History& out)
      : disk_(disk), files_(files), groups_(files.size()), out_(out) {}

  Status run() {
    for (Status (Historian::*step)() :
         {&Historian::read_seed, &Historian::find_reign, &Historian::read_newest, &Historian::find_marks,
          &Historian::judge_files, &Historian::judge_tail, &Historian::find_checkpoint, &Historian::walk_back}) {
      if (Status done = (this->*step)(); !done.ok()) return done;
      if (finished_) break;
    }
    return {};
  }

 private:
  [[nodiscard]] std::string where(std::size_t index, std::uint64_t offset) const {
    const SegmentFile& file = files_[index];
    if (file.state == HeaderState::kValid) {
      return fmt::format("{}/{}: segment {}, reign {}, byte {}", disk_.name(), file.name, file.header.number,
                         file.header.reign.value(), offset);
    }
    return fmt::format("{}/{}: byte {} (its header is unreadable)", disk_.name(), file.name, offset);
  }

  /// "FILE: segment, reign, byte: SENTENCE", and the place for a program.
  Error corrupt(std::size_t index, std::uint64_t offset, std::string_view sentence) {
    out_.fault = Fault{index, files_[index].state == HeaderState::kValid ? files_[index].header.number : 0, offset};
    return {Code::kCorrupt, fmt::format("{}: {}", where(index, offset), sentence)};
  }

  /// All headers share one seed. Where none is readable, an opening mark proves that there was a journal.
  Status read_seed() {
    for (std::size_t i = 0; i < files_.size(); ++i) {
      if (files_[i].state != HeaderState::kValid) continue;
      const SegmentHeader& header = files_[i].header;
      out_.reign_next = std::max(out_.reign_next, header.reign);
      if (header.mark > out_.mark) out_.mark = header.mark, mark_file_ = i;
      if (out_.seed_known && header.seed != out_.seed) {
        return corrupt(i, 0,
                       "belongs to another journal than the files before it; nothing may be copied into this "
                       "directory");
      }
      out_.seed = header.seed;
      out_.seed_known = true;
    }
    if (out_.seed_known) return {};
    for (std::size_t i = 0; i < files_.size(); ++i) {
      if (files_[i].state != HeaderState::kUnreadable) continue;
      Window window(*files_[i].file);
      const auto found = find_opening_without_seed(window, files_[i].file->size());
      out_.bytes_read += window.bytes_read();
      if (!found.ok()) return found.error();
      if (*found) {
        return corrupt(i, 0,
                       fmt::format("reign {} was served from this file, and no header of the journal can be read",
                                   (*found)->frame.reign));
      }
    }
    return {};
  }

  /// Looks at every block behind a header once.
  Status scan(std::size_t index) {
    Groups& groups = groups_[index];
    if (groups.scanned || !out_.seed_known) return {};
    groups.scanned = true;
    const SegmentFile& file = files_[index];
    Window window(*file.file);
    Status done =
        scan_groups(window, out_.seed, kBlockBytes, file.file->size(), [&](const FrameHeader& frame, std::uint32_t at) {
          const Reign reign(frame.reign);
          groups.reign_max = std::max(groups.reign_max, reign);
          if (frame.kind != static_cast<std::uint16_t>(FrameKind::kOpening)) {
            groups.reign_served_max = std::max(groups.reign_served_max, reign);
          }
          if (Sequence(frame.mark) > groups.mark_max) {
            groups.mark_max = Sequence(frame.mark);
            groups.mark_offset = at;
          }
          if (file.state == HeaderState::kValid && reign == file.header.reign) {
            groups.own = true;
            if (frame.kind == static_cast<std::uint16_t>(FrameKind::kOpening)) return Status();
            // Behind it there may be groups of the same reign from an earlier use of the file, of lower sequences.
            if (Sequence(frame.sequence) < groups.last_of_reign) return Status();
            groups.last_of_reign = Sequence(frame.sequence);
            groups.last_end = at + frame.group_bytes;
          }
          return Status();
        });
    out_.bytes_read += window.bytes_read();
    return done;
  }

  /// A closed segment is scanned all the same if its first group cannot be its own, nor left from before: then its
  /// header is another file's, and what was served last may be behind it. (Or a roll-over's header was lost in a power
  /// cut and the group behind it was not; then there is nothing to be found.)
  Status scan_if_misled(std::size_t index) {
    FrameHeader frame{};
    const auto got = files_[index].file->read(kBlockBytes, std::as_writable_bytes(std::span(&frame, 1)));
    if (!got.ok()) return got.error();
    out_.bytes_read += *got;
    const bool misled = *got == sizeof(frame) && check_header(frame, out_.seed, kBlockBytes) != FrameCheck::kInvalid &&
                        Sequence(frame.sequence) >= files_[*out_.newest].header.sequence_first;
    return misled ? scan(index) : Status();
  }

  /// Step 2: a reign is in force by a roll-over header, an opening mark or a group, never by its opening header or a
  /// complete copy, which may exist in the cache only.
  Status find_reign() {
    for (std::size_t i = 0; i < files_.size(); ++i) {
      const SegmentFile& file = files_[i];
      if (file.state == HeaderState::kUnreadable) {
        if (Status done = scan(i); !done.ok()) return done;
      }
      if (file.state != HeaderState::kValid) continue;
      bool in_force = !file.header.opening;
      if (!in_force) {
        // The marks stand behind the copy; only where both are lost is the rest of the file searched.
        Window window(*file.file);
        Status done = scan_groups(window, out_.seed, file.header.copy_end,
                                  std::min<std::uint64_t>(file.file->size(), file.header.copy_end + kOpeningBytes),
                                  [&](const FrameHeader& frame, std::uint32_t) {
                                    in_force = in_force || Reign(frame.reign) == file.header.reign;
                                    return Status();
                                  });
        out_.bytes_read += window.bytes_read();
        if (!done.ok()) return done;
        if (!in_force) {
          if (Status whole = scan(i); !whole.ok()) return whole;
          in_force = groups_[i].own;
        }
        groups_[i].own = in_force;
      }
      if (!in_force || file.header.reign < out_.reign) continue;
      if (file.header.reign > out_.reign || file.header.number > files_[*out_.newest].header.number) out_.newest = i;
      out_.reign = file.header.reign;
    }
    return {};
  }

  /// Step 3.
  Status read_newest() {
    if (!out_.newest) return {};
    const SegmentFile& file = files_[*out_.newest];
    const SegmentHeader& header = file.header;
    out_.checkpoint_newest = header.checkpoint_newest;
    out_.checkpoint_before = header.checkpoint_before;
    ChainReader chain(*file.file, header);
    while (true) {
      const auto entry = chain.next();
      if (!entry.ok()) return entry.error();
      if (!*entry) break;
      if ((*entry)->kind != EntryKind::kCheckpoint) continue;
      const auto ref = decode_checkpoint_ref((*entry)->payload);
      if (!ref.ok()) {
        return corrupt(*out_.newest, (*entry)->offset, ref.error().message);
      }
      // The header of a start names what counts of those that the copied entries name.
      if ((*entry)->offset < header.copy_end) continue;
      if (out_.checkpoint_newest && ref->through <= out_.checkpoint_newest->through) continue;
      out_.checkpoint_before = out_.checkpoint_newest;
      out_.checkpoint_newest = *ref;
    }
    out_.end = chain.sequence();
    out_.content_end = chain.content_end();
    end_offset_ = chain.end_offset();
    torn_group_end_ = chain.torn_group_end();
    if (end_offset_ < header.copy_end && out_.end >= header.sequence_end_last) {
      // The copy is whole; it ends within a group of which only a part was whole when it was copied.
      end_offset_ = header.copy_end;
      torn_group_end_ = 0;
    }
    out_.bytes_read += chain.bytes_read();
    return {};
  }

  /// Step 4: marks are sought at every block, behind damage, and where the header is unreadable. A closed segment below
  /// the newest is left out: rolling over synced it, so that no mark in it can be above the newest's first sequence.
  Status find_marks() {
    for (std::size_t i = 0; i < files_.size(); ++i) {
      const SegmentFile& file = files_[i];
      const bool closed = file.state == HeaderState::kValid && out_.newest &&
                          file.header.number < files_[*out_.newest].header.number && file.header.reign <= out_.reign;
      if (!closed && file.state != HeaderState::kBlank) {
        if (Status done = scan(i); !done.ok()) return done;
      }
      if (closed) {
        if (Status done = scan_if_misled(i); !done.ok()) return done;
      }
      const Groups& groups = groups_[i];
      out_.reign_next = std::max(out_.reign_next, groups.reign_max);
      served_max_ = std::max(served_max_, groups.reign_served_max);
      if (groups.mark_max > out_.mark) out_.mark = groups.mark_max, mark_file_ = i, mark_offset_ = groups.mark_offset;
    }
    ++out_.reign_next;
    return {};
  }

  FileEvidence file_evidence(std::size_t i, bool needed) const {
    const SegmentFile& file = files_[i];
    FileEvidence found;
    found.header = file.state;
    found.opening = file.state == HeaderState::kValid && file.header.opening;
    found.own_group = groups_[i].own;
    found.needed = needed;
    found.reign_above = groups_[i].reign_max > out_.reign;
    found.mark_above_end =
        groups_[i].mark_max > out_.end || (file.state == HeaderState::kValid && file.header.mark > out_.end);
    found.cut_short = cut_short(i);
    return found;
  }

  /// Whether a file ends where none that may count does. What is superseded counts for nothing, and of format 1 nobody
  /// knows how long a file was.
  [[nodiscard]] bool cut_short(std::size_t i) const {
    const SegmentFile& file = files_[i];
    const std::uint64_t bytes = file.file->size();
    if (file.state != HeaderState::kValid) {
      return bytes < kBlockBytes && out_.newest && files_[*out_.newest].header.sized;
    }
    const std::uint64_t capacity = file.header.segment_bytes;
    if (!file.header.opening) return out_.newest == i && bytes < capacity;  // a roll-over takes what is full
    if (!file.header.sized || bytes >= capacity) return false;
    if (out_.newest == i) return bytes < block_up(std::max(end_offset_, torn_group_end_)) + std::uint64_t{kBlockBytes};
    return !groups_[i].own && file.header.reign > out_.reign &&
           bytes < std::uint64_t{file.header.copy_end} + kOpeningBytes + kBlockBytes;
  }

  /// The sequence that a checkpoint's file names although it cannot be read up to there, and the file's name.
  Result<std::optional<std::pair<Sequence, std::string>>> checkpoint_above_end() const {
    const auto names = disk_.list();
    if (!names.ok()) return names.error();
    std::optional<std::pair<Sequence, std::string>> highest;
    for (const std::string& name : *names) {
      const auto ref = checkpoint_of(name);
      if (!ref || (out_.newest && ref->through <= out_.end)) continue;
      if (!highest || ref->through > highest->first) highest = {ref->through, name};
    }
    return highest;
  }

  Status judge_files() {
    for (std::size_t i = 0; i < files_.size(); ++i) {
      SegmentFile& file = files_[i];
      file.verdict = judge(file_evidence(i, out_.newest == i));
      if (file.verdict == FileVerdict::kLostReign) {
        return corrupt(i, 0,
                       fmt::format("holds a group of reign {}, whose opening is not found; the highest reign in force "
                                   "is {}",
                                   groups_[i].reign_max.value(), out_.reign.value()));
      }
      if (file.verdict == FileVerdict::kLostEntries && !out_.newest) {
        return corrupt(i, mark_offset_,
                       fmt::format("a mark says that entries before {} are durable, but no segment of them can be read",
                                   out_.mark.value()));
      }
      if (file.verdict == FileVerdict::kCutShort) {
        out_.cut_short = true;
        return corrupt(
            i, file.file->size(),
            fmt::format("the file was cut short: it ends here, at {} bytes, where none of this journal does; "
                        "what stood behind that may have been durable",
                        file.file->size()));
      }
      if (file.verdict == FileVerdict::kUnreadable) {
        note(fmt::format("{}/{}: its header is unreadable and nothing in it was durable; it is free", disk_.name(),
                         file.name));
      }
    }
    // Nothing was ever served: whatever is here is left from starts that failed.
    finished_ = !out_.newest;
    return finished_ ? find_checkpoint() : Status();
  }

  Status judge_tail() {
    const std::size_t newest = *out_.newest;
    const SegmentFile& file = files_[newest];
    const Groups& groups = groups_[newest];
    TailEvidence tail;
    tail.mark_above_end = out_.mark > out_.end;
    const bool behind = groups.last_of_reign >= out_.end && groups.last_end > block_up(end_offset_);
    tail.groups_behind = torn_group_end_ != 0 || behind;
    const std::uint32_t at = block_up(end_offset_);
    if (end_offset_ < file.header.copy_end) {
      tail.block = EndBlock::kInsideCopy;
    } else {
      Window window(*file.file);
      bool whole = false;
      Status done = scan_groups(window, out_.seed, at, std::min<std::uint64_t>(at + kBlockBytes, file.file->size()),
                                [&](const FrameHeader&, std::uint32_t) {
                                  whole = true;
                                  return Status();
                                });
      if (!done.ok()) return done;
      const auto block = window.view(at, kBlockBytes);
      if (!block.ok()) return block.error();
      const bool zero = std::all_of(block->begin(), block->end(), [](std::byte b) { return b == std::byte{0}; });
      tail.block = zero ? EndBlock::kZero : whole ? EndBlock::kStale : EndBlock::kUnreadable;
      out_.stale_behind = tail.block == EndBlock::kStale;
    }
    switch (judge(tail)) {
      case TailVerdict::kClean:
        break;
      case TailVerdict::kCorrupt:
        if (!tail.mark_above_end) {
          return corrupt(
              newest, end_offset_,
              fmt::format("damaged inside what reign {} copied from the reign before it", out_.reign.value()));
        }
        return corrupt(newest, end_offset_,
                       fmt::format("damaged: entries can be read up to sequence {}, but a mark ({}) says that those "
                                   "before {} were durable",
                                   out_.end.value(), where(mark_file_, mark_offset_), out_.mark.value()));
      case TailVerdict::kTorn:
        out_.cut_bytes = kBlockBytes;
        note(fmt::format(
            "{}: the block behind the last entry (sequence below {}) is unreadable: a torn write, damage to "
            "what only the last sync covered, or left from the segment's earlier use; {} bytes are cut",
            where(newest, end_offset_), out_.end.value(), out_.cut_bytes));
        break;
      case TailVerdict::kTornWithGroups: {
        out_.cut_bytes = std::max(torn_group_end_, behind ? groups.last_end : 0) - end_offset_;
        note(fmt::format("{}: the tail is torn behind the last entry (sequence below {}): {} bytes are cut",
                         where(newest, end_offset_), out_.end.value(), out_.cut_bytes));
        break;
      }
    }
    out_.opening_unproven = file.header.opening && served_max_ < out_.reign;
    return {};
  }

  /// The newest that is readable, else the one before; a journal that had none yet is read from its start.
  Status find_checkpoint() {
    std::string damage;
    Bytes content[2];
    CheckpointState states[2] = {CheckpointState::kNone, CheckpointState::kNone};
    const std::optional<CheckpointRef> refs[2] = {out_.checkpoint_newest, out_.checkpoint_before};
    for (int i = 0; i < 2 && refs[i] && states[0] != CheckpointState::kWhole; ++i) {
      if (i == 1 && refs[1] == refs[0]) {
        states[1] = CheckpointState::kBroken;
        break;
      }
      auto bytes = read_checkpoint_file(disk_, out_.seed, *refs[i]);
      if (!bytes.ok() && bytes.error().code != Code::kCorrupt) return bytes.error();
      states[i] = bytes.ok() ? CheckpointState::kWhole : CheckpointState::kBroken;
      if (bytes.ok()) {
        out_.bytes_read += bytes->size();
        content[i] = std::move(*bytes);
      } else {
        damage += damage.empty() ? bytes.error().message : fmt::format(", and {}", bytes.error().message);
      }
    }
    const auto use = [&](int i) {
      out_.checkpoint_used = refs[i];
      out_.checkpoint_bytes = std::move(content[i]);
    };
    const auto above = checkpoint_above_end();
    if (!above.ok()) return above.error();
    switch (judge(CheckpointEvidence{states[0], states[1], above->has_value()})) {
      case CheckpointVerdict::kNewest:
        use(0);
        break;
      case CheckpointVerdict::kBefore:
        use(1);
        note(fmt::format("{}/{}; the checkpoint before it is used", disk_.name(), damage));
        break;
      case CheckpointVerdict::kBeginning:
        if (damage.empty()) break;
        note(fmt::format("{}/{}; there is none before it: the journal is read from its start", disk_.name(), damage));
        break;
      case CheckpointVerdict::kCorrupt:
        out_.fault = Fault{};
        return {Code::kCorrupt, fmt::format("{}/{}: no checkpoint is left to start from", disk_.name(), damage)};
      case CheckpointVerdict::kLostEntries: {
        out_.cut_short = true;
        const auto& [through, name] = **above;
        if (out_.newest) {
          return corrupt(
              *out_.newest, end_offset_,
              fmt::format("damaged: the journal can be read only up to {}, but {} is a checkpoint of what was "
                          "durable before sequence {}",
                          out_.end.value(), name, through.value()));
        }
        out_.fault = Fault{};
        return {Code::kCorrupt, fmt::format("{}/{}: is a checkpoint of what was durable before sequence {}, but no "
                                            "segment of the journal is left",
                                            disk_.name(), name, through.value())};
      }
    }
    return {};
  }

  /// Step 5: older segments by number and predecessor's reign. What a replay will read must be whole; what only records
  /// that wait, or an older checkpoint, still need is kept where it exists.
  Status walk_back() {
    const SegmentHeader* successor = &files_[*out_.newest].header;
    out_.chain = {*out_.newest};
    const Sequence from = out_.checkpoint_used ? out_.checkpoint_used->through : Sequence(0);
    const std::uint64_t must_min = out_.checkpoint_used ? out_.checkpoint_used->segment_needed_min : 1;
    std::uint64_t keep_min = must_min;
    Sequence keep_from = from;
    // Until this start is open, the checkpoints of the newest header may be those that count.
    for (const auto& ref :
         {successor->checkpoint_newest, successor->checkpoint_before, out_.checkpoint_newest, out_.checkpoint_before}) {
      keep_min = std::min(keep_min, ref ? ref->segment_needed_min : 1);
      keep_from = std::min(keep_from, ref ? ref->through : Sequence(0));
    }
    if (out_.end < from) {
      return corrupt(
          *out_.newest, end_offset_,
          fmt::format("the journal ends at sequence {}, before its checkpoint ({})", out_.end.value(), from.value()));
    }
    while (successor->number > 1) {
      std::optional<std::size_t> found;
      for (std::size_t i = 0; i < files_.size(); ++i) {
        const SegmentFile& file = files_[i];
        if (file.state != HeaderState::kValid || file.header.number != successor->number - 1) continue;
        if (file.header.reign == successor->reign_predecessor && (!file.header.opening || groups_[i].own)) found = i;
      }
      if (out_.chain.size() == 1) out_.predecessor = found;
      SegmentEvidence evidence;
      evidence.replayed = successor->sequence_first > from;
      evidence.needed = successor->number > must_min;
      evidence.kept = successor->sequence_first > keep_from || successor->number > keep_min;
      evidence.found = found.has_value();
      Status whole;
      if (evidence.found && evidence.replayed) {
        whole = verify_closed(*found, *successor);
        if (!whole.ok() && whole.error().code != Code::kCorrupt) return whole;
        evidence.whole = whole.ok();
      }
      const SegmentVerdict verdict = judge(evidence);
      if (verdict == SegmentVerdict::kEnough) break;
      if (verdict == SegmentVerdict::kDamaged) return whole;
      if (verdict == SegmentVerdict::kMissing) {
        out_.fault = Fault{{}, successor->number - 1, 0};
        return {
            Code::kCorrupt,
            fmt::format("{}: segment {} of reign {} is missing, {}", disk_.name(), successor->number - 1,
                        successor->reign_predecessor.value(),
                        evidence.replayed ? fmt::format("and the checkpoint holds only entries before {}", from.value())
                                          : "and records in it are still needed")};
      }
      out_.chain.insert(out_.chain.begin(), *found);
      files_[*found].verdict = judge(file_evidence(*found, true));
      successor = &files_[*found].header;
    }
    if (out_.chain.size() == 1 && !out_.predecessor) find_predecessor();
    return {};
  }

  void find_predecessor() {
    const SegmentHeader& newest = files_[*out_.newest].header;
    for (std::size_t i = 0; i < files_.size(); ++i) {
      const SegmentFile& file = files_[i];
      if (file.state == HeaderState::kValid && file.header.number + 1 == newest.number &&
          file.header.reign == newest.reign_predecessor) {
        out_.predecessor = i;
      }
    }
  }

  Status verify_closed(std::size_t index, const SegmentHeader& successor) {
    const SegmentFile& file = files_[index];
    ChainReader chain(*file.file, file.header);
    while (chain.sequence() < successor.sequence_first) {
      const auto entry = chain.next();
      if (!entry.ok()) return entry.error();
      if (!*entry) {
        return corrupt(index, chain.end_offset(),
                       fmt::format("damaged: entries of this closed segment can be read up to sequence {}, but segment "
                                   "{} starts at {}",
                                   chain.sequence().value(), successor.number, successor.sequence_first.value()));
      }
    }
    out_.bytes_read += chain.bytes_read();
    return {};
  }

  void note(const std::string& sentence) {
    if (!out_.report.empty()) out_.report += "\n";
    out_.report += sentence;
  }

  Disk& disk_;
  std::vector<SegmentFile>& files_;
  std::vector<Groups> groups_;
  History& out_;
  bool finished_ = false;
  Reign served_max_;
  std::size_t mark_file_ = 0;
  std::uint32_t mark_offset_ = 0;
  std::uint32_t end_offset_ = kBlockBytes;
  std::uint32_t torn_group_end_ = 0;
};

}  // namespace

Result<std::vector<SegmentFile>> open_segment_files(Disk& disk, std::uint64_t& bytes_read) {
  auto names = disk.list();
  if (!names.ok()) return names.error();
  std::vector<SegmentFile> files;
  for (const std::string& name : *names) {
    if (!segment_file_number(name)) continue;
    auto file = disk.open(name);
    if (!file.ok()) return file.error();
    Bytes block(kBlockBytes);
    const auto got = (*file)->read(0, block);
    if (!got.ok()) return got.error();
    block.resize(*got);
    bytes_read += *got;
    SegmentFile segment;
    segment.name = name;
    const auto state = decode(block, segment.header);
    if (!state.ok()) return {state.error().code, fmt::format("{}/{}: {}", disk.name(), name, state.error().message)};
    segment.state = *state;
    if (segment.state == HeaderState::kBlank) {
      // Whatever was synced in a file began at its second block: behind a header that became zero there is something.
      block.resize(kBlockBytes);
      const auto second = (*file)->read(kBlockBytes, block);
      if (!second.ok()) return second.error();
      bytes_read += *second;
      if (std::any_of(block.begin(), block.begin() + static_cast<std::ptrdiff_t>(*second),
                      [](std::byte b) { return b != std::byte{0}; })) {
        segment.state = HeaderState::kUnreadable;
      }
    }
    segment.file = std::move(*file);
    files.push_back(std::move(segment));
  }
  return files;
}

Status read_history(Disk& disk, std::vector<SegmentFile>& files, History& out) {
  return Historian(disk, files, out).run();
}

}  // namespace weir::journal
