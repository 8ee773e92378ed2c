// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "broker/journal/growth.h"
#include "broker/journal/segment_reader.h"

namespace weir::journal {
namespace {

constexpr std::byte kZeros[kBlockBytes] = {};
/// A smaller group costs next to nothing to copy, and is synced in as many steps of the disk either way.
constexpr std::uint64_t kPastCacheMin = 64 << 10;

std::uint64_t size_of(const EntryView& entry) {
  std::uint64_t size = 0;
  for (const BytesView part : entry.parts) size += part.size();
  return size;
}

Bytes gather(const EntryView& entry) {
  Bytes bytes;
  for (const BytesView part : entry.parts) bytes.insert(bytes.end(), part.begin(), part.end());
  return bytes;
}

void count(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) {
  counter.fetch_add(by, std::memory_order_relaxed);
}

}  // namespace

Status Journal::fail(const Error& error) {
  // What the disk holds of an unsynced write is unknown from here on, and a second sync would say nothing about it.
  failure_ = Error{Code::kIo, fmt::format("{}; the journal takes no more writes in this life", error.message)};
  return *failure_;
}

Status Journal::write(std::uint64_t offset, std::span<const BytesView> parts, Follows follows) {
  std::uint64_t size = 0;
  for (const BytesView part : parts) size += part.size();
  File& file = *current_->file;
  const bool past_cache = follows == Follows::kSync && size >= kPastCacheMin;
  Status wrote = past_cache ? file.write_past_cache(offset, parts) : file.write(offset, parts);
  if (!wrote.ok()) return wrote;
  unsynced_ = true;
  count(writes_);
  count(bytes_written_, size);
  return {};
}

std::vector<Journal::Piece> Journal::cut_to_segments(std::span<const EntryView> group) const {
  std::vector<Piece> pieces;
  std::uint64_t at = offset_;
  Piece piece;
  for (std::size_t i = 0; i < group.size(); ++i) {
    const std::uint64_t payload = size_of(group[i]);
    WEIR_CHECK(payload <= entry_bytes_max(), "an entry fits into a segment of its own");
    const std::uint64_t bytes = frame_bytes(payload);
    if (at + bytes > usable_end()) {
      if (piece.count != 0) pieces.push_back(piece);
      piece = {i, 0, true};
      at = kBlockBytes;
    }
    at += bytes;
    ++piece.count;
  }
  pieces.push_back(piece);
  return pieces;
}

std::size_t Journal::fit_this_segment(std::span<const EntryView> group) const {
  const Piece first = cut_to_segments(group).front();
  return first.roll_over ? 0 : first.count;
}

Status Journal::find_room(std::size_t roll_overs) {
  // Held back also while nobody knows yet that the disk is full: whoever makes spares may be late.
  const std::size_t wanted = roll_overs + 1 + (last_segment_permitted_ ? 0 : held_back());
  if (pool_.ready() >= wanted) return {};
  // A sync may bring a checkpoint into force, and with it free segments.
  if (Status synced = sync(); !synced.ok()) return synced;
  if (pool_.ready() >= wanted) return {};
  const Status made = pool_.prepare(wanted, SegmentPool::Haste::kAwaited);
  if (made.ok()) return {};
  if (made.error().code != Code::kDiskFull) return fail(made.error());
  return {Code::kDiskFull, fmt::format("{}: no room for another segment of {} bytes ({}); free some space, the journal "
                                       "goes on by itself",
                                       disk_.name(), options_.segment_bytes, made.error().message)};
}

Status Journal::append(std::span<const EntryView> group, std::vector<Position>& out, Follows follows) {
  WEIR_CHECK(!read_only_, "a journal that was opened to be read takes no entries");
  if (failure_) return *failure_;
  if (group.empty()) return {};
  WEIR_CHECK(!syncing_ || fits_beside_sync(group), "nothing else syncs a file while a sync is under way");
  // Rolling over and growing sync what is written, and as before any sync that says first how far the last one came.
  if (unsynced_ && !fits_beside_sync(group)) {
    if (Status marked = mark_if_needed(); !marked.ok()) return marked;
  }
  const std::vector<Piece> pieces = cut_to_segments(group);
  const auto roll_overs = static_cast<std::size_t>(
      std::count_if(pieces.begin(), pieces.end(), [](const Piece& piece) { return piece.roll_over; }));
  if (roll_overs != 0) {
    Status room = find_room(roll_overs);
    last_segment_permitted_ = false;
    if (!room.ok()) return room;
  }
  for (const Piece& piece : pieces) {
    if (piece.roll_over) {
      if (Status rolled = roll_over(); !rolled.ok()) return rolled;
    }
    Status wrote = write_group(group.subspan(piece.first, piece.count), out, follows);
    if (wrote.ok()) continue;
    // Only the first segment of a directory grows while it is written; there nothing has been promised yet, and the
    // same place is written again. A segment that was written full can fill no disk.
    if (wrote.error().code == Code::kDiskFull && piece.first == 0 && !piece.roll_over) return wrote;
    return fail(wrote.error());
  }
  if (offset_ > warm_from(options_.segment_bytes)) warm_.store(true, std::memory_order_relaxed);
  filled_.store(offset_, std::memory_order_relaxed);
  return {};
}

Status Journal::grow_for(std::uint64_t end) {
  const std::uint64_t needed = file_bytes_for(end, options_.segment_bytes);
  if (grown_ >= needed) return {};
  File& file = *current_->file;
  // It may be longer than that already, as an earlier try left it, but counts only once it is synced.
  const auto lengthen = [&](std::uint64_t bytes) { return file.size() < bytes ? grow(file, bytes) : file.sync(); };
  Status grown = lengthen(grown_bytes(end, options_.segment_bytes));
  if (!grown.ok() && grown.error().code == Code::kDiskFull) grown = lengthen(needed);
  if (!grown.ok()) return grown;
  count(syncs_);
  grown_ = file.size();
  return {};
}

Status Journal::write_group(std::span<const EntryView> entries, std::vector<Position>& out, Follows follows) {
  frames_.clear();
  frames_.reserve(entries.size());
  parts_.clear();
  const std::uint64_t sequence_first = written_.load(std::memory_order_relaxed);
  std::uint64_t group_bytes = 0;
  for (const EntryView& entry : entries) group_bytes += frame_bytes(size_of(entry));
  std::uint64_t at = offset_;
  for (const EntryView& entry : entries) {
    const std::uint64_t payload = size_of(entry);
    FrameHeader& frame = frames_.emplace_back();
    frame.payload_bytes = static_cast<std::uint32_t>(payload);
    frame.sequence = sequence_first + frames_.size() - 1;
    frame.reign = reign_.value();
    frame.kind = static_cast<std::uint16_t>(entry.kind);
    if (frames_.size() == 1) {
      frame.group_bytes = static_cast<std::uint32_t>(group_bytes);
      frame.mark = durable_.load(std::memory_order_relaxed);
    }
    seal(frame, seed_, at, entry.parts);
    parts_.push_back(std::as_bytes(std::span(&frame, 1)));
    parts_.insert(parts_.end(), entry.parts.begin(), entry.parts.end());
    const std::uint64_t end = at + frame_bytes(payload);
    const std::uint64_t padding = end - at - sizeof(FrameHeader) - payload;
    if (padding != 0) parts_.push_back(BytesView(kZeros, static_cast<std::size_t>(padding)));
    at = end;
  }
  const std::uint32_t end = block_up(at);
  if (Status grown = grow_for(end); !grown.ok()) return grown;
  if (end != at) parts_.push_back(BytesView(kZeros, static_cast<std::size_t>(end - at)));
  if (Status wrote = write(offset_, parts_, follows); !wrote.ok()) return wrote;
  count(groups_);
  at = offset_;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    out.push_back({current_->header.number, static_cast<std::uint32_t>(at)});
    at += frame_bytes(frames_[i].payload_bytes);
    if (entries[i].kind == EntryKind::kCheckpoint) {
      const auto ref = decode_checkpoint_ref(gather(entries[i]));
      WEIR_CHECK(ref.ok(), "a checkpoint's entry holds what write_checkpoint_file() gave");
      checkpoints_pending_.push_back(*ref);
    }
  }
  mark_last_ = Sequence(frames_.front().mark);
  offset_ = end;
  written_.store(sequence_first + entries.size(), std::memory_order_release);
  return {};
}

Status Journal::roll_over() {
  // In every durability: a sync of one file says nothing about the one before, and recovery counts on a closed segment
  // being whole.
  if (unsynced_) {
    if (Status synced = current_->file->sync(); !synced.ok()) return fail(synced.error());
    count(syncs_);
    unsynced_ = false;
    durable_.store(written_.load(), std::memory_order_release);
    settle_checkpoints(checkpoints_pending_.size());
  }
  Segment next;
  next.file = pool_.take();
  next.header = current_->header;
  next.header.number = current_->header.number + 1;
  next.header.sequence_first = written();
  next.header.sequence_end_last = written();
  next.header.mark = durable();
  next.header.reign = reign_;
  next.header.reign_predecessor = reign_;
  next.header.copy_end = kBlockBytes;
  next.header.opening = false;
  next.header.checkpoint_newest = checkpoint_newest_;
  next.header.checkpoint_before = checkpoint_before_;
  const std::uint64_t number = next.header.number;
  {
    const std::scoped_lock lock(shared_mutex_);
    current_ = &segments_.insert_or_assign(number, std::move(next)).first->second;
  }
  grown_ = current_->file->size();
  segment_newest_.store(number, std::memory_order_release);
  warm_.store(true, std::memory_order_relaxed);
  const Bytes block = encode(current_->header);
  const BytesView part = block;
  if (Status wrote = write(0, std::span(&part, 1)); !wrote.ok()) return fail(wrote.error());
  offset_ = kBlockBytes;
  filled_.store(offset_, std::memory_order_relaxed);
  mark_last_ = durable();
  return {};
}

Status Journal::sync() {
  if (failure_) return *failure_;
  const std::optional<SyncUnderWay> sync = begin_sync();
  if (sync) return end_sync(*sync, sync->run());
  return failure_ ? Status(*failure_) : Status();
}

std::optional<SyncUnderWay> Journal::begin_sync() {
  WEIR_CHECK(!syncing_, "one sync is under way at a time");
  if (failure_ || durable() == written()) return std::nullopt;
  // What was written beside the last sync does not say how far that came: only what this one covers is to have no mark
  // behind it when the power is cut.
  if (!mark_if_needed().ok()) return std::nullopt;
  syncing_ = true;
  unsynced_ = false;
  return SyncUnderWay(*current_->file, written(), checkpoints_pending_.size());
}

Status Journal::end_sync(const SyncUnderWay& sync, const Status& outcome) {
  WEIR_CHECK(syncing_, "a sync ends that has begun");
  syncing_ = false;
  if (failure_) return *failure_;
  if (!outcome.ok()) return fail(outcome.error());
  count(syncs_);
  durable_.store(sync.through_.value(), std::memory_order_release);
  settle_checkpoints(sync.checkpoints_);
  return {};
}

bool Journal::fits_beside_sync(std::span<const EntryView> group) const {
  std::uint64_t end = offset_;
  for (const EntryView& entry : group) end += frame_bytes(size_of(entry));
  end = block_up(end);
  return end <= usable_end() && grown_ >= file_bytes_for(end, options_.segment_bytes);
}

Status Journal::mark_if_needed() {
  if (failure_) return *failure_;
  // Where a segment is full, the blocks kept for a start have room for it: no start copies a mark that comes last.
  if (mark_last_ >= durable() || offset_ > usable_end()) return {};
  const Bytes mark = encode_mark(seed_, reign_, written(), durable(), offset_);
  // A zero block behind it: what lies there from the file's earlier use would look like a torn write to the next start.
  const BytesView parts[] = {mark, BytesView(kZeros)};
  if (Status wrote = write(offset_, parts); !wrote.ok()) {
    if (wrote.error().code == Code::kDiskFull) return {};  // a mark is evidence, not a promise
    return fail(wrote.error());
  }
  offset_ += kBlockBytes;
  mark_last_ = durable();
  return {};
}

void Journal::settle_checkpoints(std::size_t synced) {
  if (synced == 0) return;
  const auto end = checkpoints_pending_.begin() + static_cast<std::ptrdiff_t>(synced);
  {
    const std::scoped_lock lock(shared_mutex_);
    for (const CheckpointRef& ref : std::span(checkpoints_pending_.begin(), end)) {
      if (checkpoint_newest_ && ref.through <= checkpoint_newest_->through) continue;  // as recovery reads it
      if (checkpoint_before_ && checkpoint_before_ != checkpoint_newest_) {
        checkpoints_old_.push_back(checkpoint_file_name(*checkpoint_before_));
      }
      checkpoint_before_ = checkpoint_newest_;
      checkpoint_newest_ = ref;
    }
  }
  checkpoints_pending_.erase(checkpoints_pending_.begin(), end);
  recycle();
}

std::uint64_t Journal::segment_of(Sequence sequence) const {
  std::uint64_t number = segments_.begin()->first;
  for (const auto& [each, segment] : segments_) {
    if (segment.header.sequence_first <= sequence) number = each;
  }
  return number;
}

void Journal::recycle() {
  if (!checkpoint_newest_ || !checkpoint_before_) return;
  const std::uint64_t needed_min = std::min(
      {checkpoint_newest_->segment_needed_min, checkpoint_before_->segment_needed_min,
       segment_of(checkpoint_newest_->through), segment_of(checkpoint_before_->through), current_->header.number});
  std::vector<std::unique_ptr<File>> freed;
  {
    const std::scoped_lock lock(shared_mutex_);
    while (segments_.begin()->first < needed_min) {
      freed.push_back(std::move(segments_.begin()->second.file));
      segments_.erase(segments_.begin());
    }
  }
  for (auto& file : freed) pool_.give(std::move(file));
}

Status Journal::prepare_spare() {
  WEIR_CHECK(!read_only_, "a journal that was opened to be read changes nothing");
  std::vector<std::string> old;
  {
    const std::scoped_lock lock(shared_mutex_);
    old.swap(checkpoints_old_);
  }
  for (const std::string& name : old) {
    Status removed = disk_.remove(name);
    if (!removed.ok() && removed.error().code != Code::kNotFound) return removed;
  }
  const std::uint64_t lately = bytes_written_.load(std::memory_order_relaxed) - written_when_asked_;
  Status done = warm_.load(std::memory_order_relaxed) ? keep_spares(lately) : Status();
  // What came meanwhile says nothing of the pace: it may have taken long.
  written_when_asked_ = bytes_written_.load(std::memory_order_relaxed);
  return done;
}

Status Journal::keep_spares(std::uint64_t lately) {
  // Where there is no room for it nothing is wrong yet.
  if (Status kept = reserve_.fill(pool_.pieces()); !kept.ok() && kept.error().code != Code::kDiskFull) return kept;
  const std::size_t target = 1 + std::size_t{options_.segments_reserve};
  // What a roll-over took, a checkpoint brings back as a rule; a new file is made only when it is late.
  const bool one_short = pool_.ready() + 1 == target && pool_.ready() >= 2;
  if (one_short && !pool_.low() && !past(options_.segment_bytes / 2, 2 * lately)) return {};
  // Before the disk, shared, has written three of them.
  const bool soon = past(options_.segment_bytes, 16 * lately);
  return pool_.prepare(target, soon ? SegmentPool::Haste::kAwaited : SegmentPool::Haste::kNone);
}

Result<CheckpointRef> Journal::write_checkpoint_file(Sequence through, std::uint64_t segment_needed_min,
                                                     BytesView bytes) {
  WEIR_CHECK(!read_only_, "a journal that was opened to be read changes nothing");
  WEIR_CHECK(through <= durable(), "a checkpoint holds only durable history");
  const CheckpointRef ref{through, segment_needed_min, bytes.size(), checkpoint_crc(seed_, bytes)};
  {
    const std::scoped_lock lock(shared_mutex_);
    if (checkpoint_through_last_ && through <= *checkpoint_through_last_) {
      return {Code::kRefused, fmt::format("a checkpoint through {} exists already", checkpoint_through_last_->value())};
    }
  }
  Status wrote = write_checkpoint_bytes(disk_, ref, bytes);
  if (!wrote.ok() && wrote.error().code == Code::kDiskFull) {
    const Result<bool> room = give_up_reserve();
    if (!room.ok()) return room.error();
    if (*room) wrote = write_checkpoint_bytes(disk_, ref, bytes);
  }
  if (!wrote.ok()) return wrote.error();
  const std::scoped_lock lock(shared_mutex_);
  checkpoint_through_last_ = through;
  return ref;
}

Result<Bytes> Journal::read(Position position) const {
  const auto broken = [&](std::string_view what) {
    return Error{Code::kCorrupt,
                 fmt::format("{}: segment {}, byte {}: {}", disk_.name(), position.segment, position.offset, what)};
  };
  const auto gone = [&] {
    return Error{Code::kNotFound, fmt::format("{}: segment {} is not kept any more", disk_.name(), position.segment)};
  };
  File* file = nullptr;
  Reign reign;
  std::uint32_t copy_end = 0;
  Sequence first;
  Sequence end = written();
  {
    const std::scoped_lock lock(shared_mutex_);
    const auto found = segments_.find(position.segment);
    if (found == segments_.end()) return gone();
    first = found->second.header.sequence_first;
    if (const auto next = std::next(found); next != segments_.end()) end = next->second.header.sequence_first;
    file = found->second.file.get();
    reign = found->second.header.reign;
    copy_end = found->second.header.copy_end;
  }
  auto verdict = [&]() -> Result<Bytes> {
    FrameHeader frame{};
    const auto got = file->read(position.offset, std::as_writable_bytes(std::span(&frame, 1)));
    if (!got.ok()) return got.error();
    if (*got != sizeof(frame) || check_header(frame, seed_, position.offset) != FrameCheck::kValid ||
        frame.kind > static_cast<std::uint16_t>(FrameKind::kCheckpoint)) {
      return broken("no entry starts here: damaged");
    }
    if (position.offset < copy_end ? Reign(frame.reign) > reign : Reign(frame.reign) != reign) {
      return broken(fmt::format("the entry is of reign {}, which is not of this history", frame.reign));
    }
    // A block of another segment's file may have come here: its frames fit this place as well as their own.
    if (Sequence(frame.sequence) < first || Sequence(frame.sequence) >= end) {
      return broken(fmt::format("entry {} stands here, which is not of this segment: damaged", frame.sequence));
    }
    if (std::uint64_t{position.offset} + frame_bytes(frame.payload_bytes) > options_.segment_bytes) {
      return broken("the entry does not fit into the segment");
    }
    Bytes payload(frame.payload_bytes);
    const auto body = file->read(position.offset + sizeof(frame), payload);
    if (!body.ok()) return body.error();
    if (*body != payload.size() || !check_payload(frame, seed_, position.offset, payload)) {
      return broken(fmt::format("entry {} is damaged (its CRC does not match)", frame.sequence));
    }
    return payload;
  }();
  if (!verdict.ok()) {
    // Recycled while we read? Then what we saw says nothing about the disk.
    const std::scoped_lock lock(shared_mutex_);
    const auto found = segments_.find(position.segment);
    if (found == segments_.end() || found->second.file.get() != file) return gone();
    return verdict.error();
  }
  return verdict;
}

Status Journal::replay(const Visit& visit) {
  if (segments_.empty()) return {};
  const Sequence end = written();
  for (auto at = segments_.find(segment_of(replay_from_)); at != segments_.end(); ++at) {
    const auto next = std::next(at);
    const Sequence stop = next == segments_.end() ? end : next->second.header.sequence_first;
    ChainReader chain(*at->second.file, at->second.header);
    while (chain.sequence() < stop) {
      const auto entry = chain.next();
      if (!entry.ok()) return entry.error();
      if (!*entry) {
        return {Code::kCorrupt,
                fmt::format("{}: segment {}, byte {}: damaged: entries can be read up to sequence {}, "
                            "but those before {} are part of the history",
                            disk_.name(), at->first, chain.end_offset(), chain.sequence().value(), stop.value())};
      }
      if ((*entry)->sequence < replay_from_) continue;
      if (Status seen = visit((*entry)->sequence, {at->first, (*entry)->offset}, (*entry)->kind, (*entry)->payload);
          !seen.ok()) {
        return seen;
      }
    }
  }
  return {};
}

std::uint64_t Journal::segment_oldest() const {
  const std::scoped_lock lock(shared_mutex_);
  return segments_.empty() ? segment_newest() : segments_.begin()->first;
}

JournalProbe Journal::probe() const {
  JournalProbe probe;
  {
    const std::scoped_lock lock(shared_mutex_);
    for (const auto& [number, segment] : segments_) probe.bytes_on_disk += segment.file->size();
    probe.segments_in_use = segments_.size();
  }
  probe.segments = probe.segments_in_use + pool_.files();
  probe.bytes_on_disk += pool_.bytes();
  probe.segments_created = pool_.created();
  probe.segments_recycled = pool_.recycled();
  probe.syncs = syncs_.load(std::memory_order_relaxed);
  probe.writes = writes_.load(std::memory_order_relaxed);
  probe.bytes_written = bytes_written_.load(std::memory_order_relaxed);
  probe.groups = groups_.load(std::memory_order_relaxed);
  return probe;
}

}  // namespace weir::journal
