// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/archive.h"

#include <fmt/format.h>

#include <algorithm>

#include "broker/journal/lost_header.h"
#include "broker/journal/remains.h"

namespace weir::journal {

Result<Archive> Archive::open(Disk& disk, std::uint64_t segment_bytes) {
  Archive archive;
  archive.directory_ = disk.name();
  std::uint64_t bytes_read = 0;
  auto files = open_segment_files(disk, bytes_read);
  if (!files.ok()) return files.error();
  archive.files_ = std::move(*files);
  History& history = archive.history_;
  if (Status read = read_history(disk, archive.files_, history); !read.ok()) {
    if (read.error().code != Code::kCorrupt) return read.error();
    archive.refusal_ = read.error();
  }
  archive.segment_bytes_ = segment_bytes;
  for (const SegmentFile& file : archive.files_) {
    if (file.state == HeaderState::kValid) archive.segment_bytes_ = file.header.segment_bytes;
  }
  if (archive.refusal_) {
    if (Status rebuilt = archive.rebuild_headers(); !rebuilt.ok()) return rebuilt.error();
  }
  if (!history.newest) {
    return {Code::kCorrupt, fmt::format("{}: no segment of the journal can be read, so there is nothing to go by{}",
                                        disk.name(), archive.refusal_ ? ": " + archive.refusal_->message : "")};
  }
  archive.end_known_ = std::max(history.end, history.mark);
  if (archive.refusal_) {
    if (Status limited = archive.limit_to_lost_reigns(); !limited.ok()) return limited.error();
  } else {
    archive.limit_ = history.end;
  }
  // From the newest segment back, each by its number and its successor's word for the reign.
  std::optional<std::size_t> at = history.newest;
  Sequence stop = archive.end_known_;
  while (at) {
    const SegmentHeader& header = archive.files_[*at].header;
    if (Status walked = archive.walk(*at, stop); !walked.ok()) return walked.error();
    stop = header.sequence_first;
    auto found = archive.before(header);
    if (!found.ok()) return found.error();
    at = *found;
  }
  std::sort(archive.gaps_.begin(), archive.gaps_.end(), [](const Gap& a, const Gap& b) { return a.first < b.first; });
  if (Status found = archive.find_checkpoints(disk); !found.ok()) return found.error();
  return archive;
}

Result<std::optional<std::size_t>> Archive::before(const SegmentHeader& header) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const SegmentFile& file = files_[i];
    if (file.state == HeaderState::kValid && file.header.number + 1 == header.number &&
        file.header.reign == header.reign_predecessor) {
      found = i;
    }
  }
  if (found || header.number == 1) return found;
  // A closed segment whose header is lost: of the reign that is asked for, and it ends where its successor begins.
  for (const auto& [index, candidate] : candidates_) {
    if (files_[index].state == HeaderState::kValid || candidate.reign != header.reign_predecessor ||
        candidate.sequence_first >= header.sequence_first) {
      continue;
    }
    const auto end = end_of(index, candidate);
    if (!end.ok()) return end.error();
    if (*end != header.sequence_first) continue;
    SegmentHeader rebuilt = candidate;
    rebuilt.number = header.number - 1;
    // Whose predecessor it followed is not known: what is found of that number.
    for (const SegmentFile& file : files_) {
      const bool fits = file.state == HeaderState::kValid && file.header.number + 1 == rebuilt.number &&
                        file.header.reign <= rebuilt.reign && file.header.sequence_first < rebuilt.sequence_first;
      if (fits) rebuilt.reign_predecessor = std::max(rebuilt.reign_predecessor, file.header.reign);
    }
    take_rebuilt(index, rebuilt);
    return std::optional<std::size_t>(index);
  }
  return found;
}

Result<Sequence> Archive::end_of(std::size_t index, const SegmentHeader& header) {
  Remains remains(*files_[index].file, header);
  while (true) {
    const auto entry = remains.next();
    if (!entry.ok()) return entry.error();
    if (!*entry) return remains.sequence();
  }
}

void Archive::take_rebuilt(std::size_t index, const SegmentHeader& header) {
  files_[index].header = header;
  files_[index].state = HeaderState::kValid;
  rebuilt_.push_back(fmt::format("{}/{}: its header is lost; by what stands behind it, it is segment {} of reign {}",
                                 directory_, files_[index].name, header.number, header.reign.value()));
}

/// The newest segments may be those whose headers are lost: what stands behind them tells the rest, and what is known
/// of the others their numbers. A copy begins where another version of its segment begins; a roll-over, where the
/// segment before it ends.
Status Archive::rebuild_headers() {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    if (files_[i].state != HeaderState::kUnreadable) continue;
    if (!history_.seed_known) {
      Window window(*files_[i].file);
      const auto mark = find_opening_without_seed(window, files_[i].file->size());
      if (!mark.ok()) return mark.status();
      if (!*mark) continue;
      history_.seed = (*mark)->seed;
      history_.seed_known = true;
    }
    const auto header = rebuild_header(*files_[i].file, history_.seed, segment_bytes_);
    if (!header.ok()) return header.status();
    if (*header) candidates_[i] = **header;
  }
  for (bool more = true; more;) {
    more = false;
    for (auto& [index, header] : candidates_) {
      if (header.number != 0 || header.reign < history_.reign) continue;
      if (!history_.newest) {
        if (header.sequence_first.value() != 0) continue;
        header.number = 1;
      } else {
        const SegmentHeader newest = files_[*history_.newest].header;
        const auto end = end_of(*history_.newest, newest);
        if (!end.ok()) return end.status();
        if (header.opening && header.reign > newest.reign && header.sequence_first == newest.sequence_first) {
          header.number = newest.number;
          header.reign_predecessor = newest.reign_predecessor;
        } else if (!header.opening && header.reign == newest.reign && header.sequence_first == *end) {
          header.number = newest.number + 1;
          header.reign_predecessor = newest.reign;
        } else {
          continue;
        }
      }
      take_rebuilt(index, header);
      history_.newest = index;
      history_.reign = header.reign;
      history_.reign_next = std::max(history_.reign_next, Reign(header.reign.value() + 1));
      more = true;
      break;
    }
  }
  return {};
}

/// Groups of a reign whose headers are lost: it went on where its opening marks say, else somewhere behind what was
/// durable before it.
Status Archive::limit_to_lost_reigns() {
  Sequence went_on{UINT64_MAX};
  Sequence proven;
  bool lost = false;
  for (SegmentFile& file : files_) {
    if (file.state == HeaderState::kBlank) continue;
    Window window(*file.file);
    Status done = scan_groups(window, history_.seed, kBlockBytes, file.file->size(),
                              [&](const FrameHeader& frame, std::uint32_t) {
                                if (Reign(frame.reign) <= history_.reign) {
                                  proven = std::max(proven, Sequence(frame.mark));
                                  return Status();
                                }
                                lost = true;
                                end_known_ = std::max(end_known_, Sequence(frame.sequence));
                                if (frame.kind == static_cast<std::uint16_t>(FrameKind::kOpening)) {
                                  went_on = std::min(went_on, Sequence(frame.sequence));
                                }
                                return Status();
                              });
    if (!done.ok()) return done;
  }
  if (lost) limit_ = went_on.value() != UINT64_MAX ? went_on : proven;
  return {};
}

Status Archive::walk(std::size_t index, Sequence stop) {
  const SegmentFile& file = files_[index];
  segments_[file.header.number] = index;
  const auto lost = [&](Sequence first, Sequence end, std::uint32_t offset) {
    end = std::min({end, stop, limit_});
    if (first < end) gaps_.push_back({first, end, {file.header.number, offset}, file.name});
  };
  Remains remains(*file.file, file.header);
  Sequence next = file.header.sequence_first;
  while (true) {
    const auto found = remains.next();
    if (!found.ok()) return found.status();
    if (!*found) break;
    if ((*found)->is_mark()) continue;
    const bool newest = index == *history_.newest;
    if ((*found)->frame.sequence >= limit_.value() || (!newest && (*found)->frame.sequence >= stop.value())) break;
    const Remains::Entry& entry = **found;
    if (entry.gap()) lost(entry.lost_from, Sequence(entry.frame.sequence), entry.lost_at);
    const Position position{file.header.number, entry.offset};
    entries_[Sequence(entry.frame.sequence)] = {Sequence(entry.frame.sequence), position,
                                                static_cast<EntryKind>(static_cast<std::uint8_t>(entry.frame.kind)),
                                                entry.frame.payload_bytes};
    by_position_[position] = Sequence(entry.frame.sequence);
    next = Sequence(entry.frame.sequence + 1);
    end_known_ = std::max(end_known_, next);
  }
  lost(next, stop, remains.end_offset());
  return {};
}

Status Archive::find_checkpoints(Disk& disk) {
  const auto names = disk.list();
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    auto ref = checkpoint_of(name);
    if (!ref || ref->through > limit_) continue;
    auto file = disk.open(name);
    if (!file.ok()) return file.status();
    ref->file_bytes = (*file)->size();
    const auto bytes = read_checkpoint_file(disk, history_.seed, *ref);
    if (!bytes.ok() && bytes.error().code != Code::kCorrupt) return bytes.status();
    // Written of durable entries only, and its name holds its CRC: it needs no word of the journal's to be believed.
    if (bytes.ok()) checkpoints_.push_back(*ref);
  }
  std::sort(checkpoints_.begin(), checkpoints_.end(),
            [](const CheckpointRef& a, const CheckpointRef& b) { return b.through < a.through; });
  return {};
}

const Archive::Entry* Archive::find(Sequence sequence) const {
  const auto found = entries_.find(sequence);
  return found == entries_.end() ? nullptr : &found->second;
}

const Archive::Entry* Archive::find(Position position) const {
  const auto found = by_position_.find(position);
  return found == by_position_.end() ? nullptr : find(found->second);
}

Result<Bytes> Archive::read(const Entry& entry) const {
  const SegmentFile& file = files_[segments_.at(entry.position.segment)];
  const auto damaged = [&] {
    return Error{Code::kCorrupt, fmt::format("{}: segment {}, byte {}: entry {} is damaged", file.name,
                                             entry.position.segment, entry.position.offset, entry.sequence.value())};
  };
  FrameHeader frame{};
  const auto head = file.file->read(entry.position.offset, std::as_writable_bytes(std::span(&frame, 1)));
  if (!head.ok()) return head.error();
  if (*head != sizeof(frame) || frame.payload_bytes != entry.bytes) return damaged();
  Bytes payload(entry.bytes);
  const auto body = file.file->read(entry.position.offset + sizeof(frame), payload);
  if (!body.ok()) return body.error();
  if (*body != payload.size() || !check_payload(frame, history_.seed, entry.position.offset, payload)) return damaged();
  return payload;
}

}  // namespace weir::journal
