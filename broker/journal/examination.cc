// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/examination.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "broker/journal/remains.h"

namespace weir::journal {
namespace {

class Examiner {
 public:
  explicit Examiner(Disk& disk) : disk_(disk) {}

  Result<Examination> run() {
    std::uint64_t bytes_read = 0;
    auto files = open_segment_files(disk_, bytes_read);
    if (!files.ok()) {
      if (files.error().code != Code::kRefused) return files.error();
      out_.refusal = files.error();
      out_.damage.push_back({DamageMeans::kStartRefused, "", 0, 0, 0, files.error().message});
      return std::move(out_);
    }
    files_ = std::move(*files);
    if (Status read = read_history(disk_, files_, out_.history); !read.ok()) {
      if (read.error().code != Code::kCorrupt && read.error().code != Code::kRefused) return read.error();
      refuse(read.error());
    }
    for (Status (Examiner::*step)() :
         {&Examiner::look_at_checkpoints, &Examiner::walk_back, &Examiner::list_the_rest}) {
      if (Status done = (this->*step)(); !done.ok()) return done.error();
    }
    std::sort(out_.segments.begin(), out_.segments.end(), [](const SegmentFacts& a, const SegmentFacts& b) {
      const auto rank = [](const SegmentFacts& facts) {
        const bool free = facts.role != SegmentFacts::Role::kOpen && facts.role != SegmentFacts::Role::kClosed;
        return std::tuple(free, free ? 0 : facts.header.number, facts.file);
      };
      return rank(a) < rank(b);
    });
    return std::move(out_);
  }

 private:
  void refuse(const Error& error) {
    out_.refusal = error;
    const Fault fault = out_.history.fault.value_or(Fault{});
    out_.damage.push_back({DamageMeans::kStartRefused, fault.file ? files_[*fault.file].name : "", fault.segment,
                           fault.offset, 0, error.message});
  }

  void add(DamageMeans means, std::size_t index, std::uint64_t offset, std::uint64_t offset_end,
           const std::string& what) {
    const SegmentFile& file = files_[index];
    const auto same = [&](const Damage& known) { return known.file == file.name && known.offset == offset; };
    if (std::any_of(out_.damage.begin(), out_.damage.end(), same)) return;  // what the start is refused for
    out_.damage.push_back({means, file.name, file.header.number, offset, offset_end,
                           fmt::format("{}/{}: segment {}, reign {}, byte {}: {}", disk_.name(), file.name,
                                       file.header.number, file.header.reign.value(), offset, what)});
  }

  /// Every checkpoint file, whether the journal names it or not: its name holds its CRC.
  Status look_at_checkpoints() {
    const History& history = out_.history;
    std::vector<std::string> named;
    for (const auto& ref : {history.checkpoint_newest, history.checkpoint_before}) {
      if (!ref || std::find(named.begin(), named.end(), checkpoint_file_name(*ref)) != named.end()) continue;
      CheckpointFacts facts{*ref, true, ref == history.checkpoint_used, false};
      named.push_back(checkpoint_file_name(*ref));
      const auto bytes = read_checkpoint_file(disk_, history.seed, *ref);
      if (!bytes.ok() && bytes.error().code != Code::kCorrupt) return bytes.error();
      facts.whole = bytes.ok();
      if (!facts.whole) {
        // Where no checkpoint is left the start is refused, and that has been said.
        out_.damage.push_back({DamageMeans::kHarmless, named.back(), 0, 0, 0,
                               fmt::format("{}/{}; a start does without it", disk_.name(), bytes.error().message)});
      }
      out_.checkpoints.push_back(facts);
    }
    const auto names = disk_.list();
    if (!names.ok()) return names.error();
    for (const std::string& name : *names) {
      const auto ref = checkpoint_of(name);
      if (!ref || std::find(named.begin(), named.end(), name) != named.end()) continue;
      auto file = disk_.open(name);
      if (!file.ok()) return file.error();
      CheckpointFacts facts{*ref};
      facts.ref.file_bytes = (*file)->size();
      facts.whole = read_checkpoint_file(disk_, history.seed, facts.ref).ok();
      out_.checkpoints.push_back(facts);
    }
    return {};
  }

  std::optional<std::size_t> version_of(std::uint64_t number, Reign reign) const {
    for (std::size_t i = 0; i < files_.size(); ++i) {
      const SegmentFile& file = files_[i];
      if (file.state == HeaderState::kValid && file.header.number == number && file.header.reign == reign) return i;
    }
    return std::nullopt;
  }

  /// All segments from the newest back to the oldest that either checkpoint still needs.
  Status walk_back() {
    const History& history = out_.history;
    if (!history.newest) return {};
    std::optional<CheckpointRef> used = history.checkpoint_used;
    std::uint64_t needed_min = UINT64_MAX;
    for (const CheckpointFacts& facts : out_.checkpoints) {
      if (!facts.in_force) continue;
      if (!used && facts.whole) used = facts.ref;
      needed_min = std::min(needed_min, facts.ref.segment_needed_min);
    }
    if (!used) needed_min = 1;
    const Sequence from = used ? used->through : Sequence(0);
    if (Status seen = look_into(*history.newest, std::max(history.end, history.mark), true); !seen.ok()) return seen;
    const SegmentHeader* successor = &files_[*history.newest].header;
    while (successor->number > 1 && (successor->number > needed_min || successor->sequence_first > from)) {
      const std::uint64_t number = successor->number - 1;
      const bool replayed = successor->sequence_first > from;
      const auto found = version_of(number, successor->reign_predecessor);
      if (!found) {
        const bool told = history.fault && history.fault->segment == number;
        const bool needed = replayed || !used || number >= used->segment_needed_min;
        if (!told && needed) {
          out_.damage.push_back({replayed ? DamageMeans::kStartRefused : DamageMeans::kStopsLater, "", number, 0, 0,
                                 fmt::format("{}: segment {} of reign {} is missing", disk_.name(), number,
                                             successor->reign_predecessor.value())});
        }
        break;
      }
      if (Status seen = look_into(*found, successor->sequence_first, replayed); !seen.ok()) return seen;
      successor = &files_[*found].header;
    }
    return {};
  }

  /// Reads a segment to its end, behind damage too. Entries before `stop` were durable.
  Status look_into(std::size_t index, Sequence stop, bool replayed) {
    const SegmentFile& file = files_[index];
    SegmentFacts facts;
    facts.role = index == *out_.history.newest ? SegmentFacts::Role::kOpen : SegmentFacts::Role::kClosed;
    facts.file = file.name;
    facts.file_bytes = file.file->size();
    facts.header = file.header;
    facts.mark_max = file.header.mark;
    const DamageMeans means = replayed ? DamageMeans::kStartRefused : DamageMeans::kStopsLater;
    const auto lost = [&](std::uint64_t at, std::uint64_t at_end, Sequence first, Sequence end) {
      end = std::min(end, stop);
      if (first >= end) return;
      add(means, index, at, at_end,
          end.value() - first.value() == 1
              ? fmt::format("damaged: entry {} cannot be read", first.value())
              : fmt::format("damaged: entries {} to {} cannot be read", first.value(), end.value() - 1));
    };
    Remains remains(*file.file, file.header);
    facts.end = file.header.sequence_first;
    facts.content_end = kBlockBytes;
    while (true) {
      const auto entry = remains.next();
      if (!entry.ok()) return entry.error();
      if (!*entry) break;
      const FrameHeader& frame = (*entry)->frame;
      // Behind the end lies what a start cuts.
      if (!out_.refusal && facts.role == SegmentFacts::Role::kOpen && frame.sequence >= stop.value() &&
          !(*entry)->is_mark()) {
        break;
      }
      if (frame.group_bytes != 0) facts.mark_max = std::max(facts.mark_max, Sequence(frame.mark));
      if ((*entry)->is_mark()) {
        ++(frame.kind == static_cast<std::uint16_t>(FrameKind::kMark) ? facts.marks : facts.opening_marks);
        continue;
      }
      if ((*entry)->gap()) {
        lost((*entry)->lost_at, (*entry)->offset, (*entry)->lost_from, Sequence(frame.sequence));
      }
      ++facts.entries;
      facts.end = remains.sequence();
      facts.content_end = remains.content_end();
    }
    if (facts.end < stop) lost(remains.end_offset(), file.header.segment_bytes, facts.end, stop);
    looked_into_.push_back(index);
    out_.segments.push_back(facts);
    return {};
  }

  Status list_the_rest() {
    for (std::size_t i = 0; i < files_.size(); ++i) {
      if (std::find(looked_into_.begin(), looked_into_.end(), i) != looked_into_.end()) continue;
      SegmentFacts facts;
      facts.file = files_[i].name;
      facts.file_bytes = files_[i].file->size();
      facts.header = files_[i].header;
      facts.role = files_[i].state == HeaderState::kValid   ? SegmentFacts::Role::kFree
                   : files_[i].state == HeaderState::kBlank ? SegmentFacts::Role::kSpare
                                                            : SegmentFacts::Role::kUnreadable;
      out_.segments.push_back(facts);
    }
    return {};
  }

  Disk& disk_;
  std::vector<SegmentFile> files_;
  std::vector<std::size_t> looked_into_;
  Examination out_;
};

}  // namespace

Result<Examination> examine(Disk& disk) { return Examiner(disk).run(); }

}  // namespace weir::journal
