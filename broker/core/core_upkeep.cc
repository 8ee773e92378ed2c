// SPDX-License-Identifier: Apache-2.0
// The journal stays short: checkpoints, snapshots of state, and a brake for what would outrun them.
#include <algorithm>

#include "broker/core/core.h"

namespace weir::core {

namespace {

/// So many bytes of changes are worth a snapshot: a quarter of a segment within these bounds, since each rewrites the
/// whole state, and a restore reads what lies behind it.
constexpr std::uint64_t kTailBytesLeast = 4 << 20;
constexpr std::uint64_t kTailBytesMost = 16 << 20;
constexpr std::size_t kTailCountMax = 100'000;  ///< and so many changes, since memory names each
constexpr std::uint64_t kCrowdedPart = 8;       ///< of memory: at twice as much the index is full, and sources wait
constexpr std::uint64_t kSegmentsBehind = 3;    ///< closed segments that are held before upkeep hurries
constexpr std::uint64_t kSegmentsFreedMin = 2;  ///< what upkeep must be about to free before anything waits for it
constexpr std::uint64_t kQuickBytes = 8 << 20;  ///< a snapshot of so much is made in a moment ...
constexpr std::uint64_t kQuickTailBytes = 32 << 20;  ///< ... out of so many changes
constexpr std::uint64_t kTailBytesMax = 64 << 20;    ///< so many bytes of changes are taken into a snapshot at once
/// So many segments, beside four times the state, are held for a snapshot that takes long; of more ...
constexpr std::uint64_t kSegmentsHeldMin = 8;
constexpr Monotonic kSlot{20'000};              ///< ... there are deliveries only in one of several such slots,
constexpr std::uint64_t kSlotsMax = 64;         ///< of so many at last
constexpr Monotonic kTryAgainAfter{1'000'000};  ///< a snapshot or checkpoint that could not be written
constexpr Monotonic kOnFullDiskEvery{100'000};  ///< checkpoints follow each other then
constexpr std::uint64_t kCopiesBehind = 2;      ///< so many times what copies keep is held before anything waits

}  // namespace

void Core::on_durable(Sequence sequence) {
  durable_ = sequence;
  upkeep_.on_durable(sequence);
}

bool Core::upkeep_lags() const {
  if (upkeep_.copying &&
      upkeep_.segment_now - ledger_.segment_needed_min(upkeep_.segment_now) >= kCopiesBehind * segments_worth()) {
    return true;
  }
  if (!upkeep_.checkpoint_under_way() && !upkeep_.compacting) return false;
  const std::uint64_t from = upkeep_.segment_from();
  if (upkeep_.segment_now < from + kSegmentsBehind) return false;
  // A small state is written anew for every segment, and that is a matter of a moment. A large one is not: its changes
  // may pin some, and nobody stands still for the seconds that its snapshot takes.
  const std::uint64_t segment_bytes = topology_.broker.segment_bytes;
  if (ledger_.segment_needed_min(upkeep_.segment_now, std::min(segment_bytes, kQuickBytes), kQuickTailBytes) >=
      from + kSegmentsFreedMin) {
    return true;
  }
  // Only where changes come faster than snapshots can take them in, work slows down until they do.
  const std::uint64_t held_from = from + kSegmentsHeldMin + 4 * ledger_.snapshot_bytes() / segment_bytes;
  if (!upkeep_.compacting || upkeep_.segment_now < held_from) return false;
  const std::uint64_t slots = std::min(kSlotsMax, 4 * (1 + upkeep_.segment_now - held_from));
  return static_cast<std::uint64_t>(now_ / kSlot) % slots != 0;
}

void Core::consider_checkpoint() {
  // A copy under way lies in two places.
  if (upkeep_.checkpoint_under_way() || upkeep_.copying || now_ < upkeep_.checkpoint_from) return;
  // On a full disk whatever has been drained is given back at once, and nothing else may come that would make it due.
  if (low_on_space() && ledger_.segment_needed_min(upkeep_.segment_now) > upkeep_.segment_from()) {
    upkeep_.checkpoint_from = now_ + kOnFullDiskEvery;
    return take_checkpoint();
  }
  if (upkeep_.bytes_since_checkpoint == 0) return;
  const bool due = upkeep_.bytes_since_checkpoint >= topology_.broker.segment_bytes / 2;
  const bool frees = upkeep_.segment_now >= upkeep_.segment_from() + kSegmentsBehind &&
                     ledger_.segment_needed_min(upkeep_.segment_now) > upkeep_.segment_from();
  if (due || frees) take_checkpoint();
}

void Core::take_checkpoint() {
  release();
  upkeep_.bytes_since_checkpoint = 0;
  Upkeep::Pending pending;
  pending.segment_through = upkeep_.segment_now;
  pending.job.through = ledger_.next_sequence();
  pending.job.bytes = ledger_.encode_checkpoint(pending.fixups);
  // Of what it holds, not of what is needed once it is written: where a start does with it because the one behind it is
  // damaged, frames that a cursor has passed since are looked at again. The segment being written holds its tail.
  pending.job.segment_needed_min = ledger_.segment_needed_min(upkeep_.segment_now);
  if (!upkeep_.restoring_from.empty()) {
    pending.job.segment_needed_min = std::min(pending.job.segment_needed_min, *upkeep_.restoring_from.begin());
  }
  std::vector<std::uint64_t> files;
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    if (const auto& newest = ledger_.changelog(stage).newest()) files.push_back(newest->file);
  }
  pending.job.files_needed = files;
  pending.job.files_needed.insert(pending.job.files_needed.end(), upkeep_.files_of_last_checkpoint.begin(),
                                  upkeep_.files_of_last_checkpoint.end());
  pending.job.files_needed.insert(pending.job.files_needed.end(), upkeep_.files_restored.begin(),
                                  upkeep_.files_restored.end());
  pending.job.files_known = ++upkeep_.checkpoints_taken > 1;
  upkeep_.files_of_last_checkpoint = std::move(files);
  upkeep_.pending = std::move(pending);
  // It holds only what is on disk, and others may wait for it: not until some interval is over.
  outside_.sync();
}

void Core::finish_checkpoint() {
  // Settled is not enough: without fsync it means written, and a checkpoint holds only what a power cut cannot take.
  if (!upkeep_.pending || durable_ < upkeep_.pending->job.through) return;
  Upkeep::Pending& pending = *upkeep_.pending;
  if (pending.fixed < pending.fixups.size()) return;
  upkeep_.segment_from_writing = std::min(pending.job.segment_needed_min, pending.segment_through);
  upkeep_.writing = true;
  outside_.write_checkpoint(std::move(pending.job));
  upkeep_.pending.reset();
}

void Core::on_checkpoint(BytesView payload, bool lacks_room) {
  upkeep_.writing = false;
  upkeep_.checkpoint_lacks_room = lacks_room;
  if (payload.empty()) {  // it failed and says so elsewhere; it is as due as it was
    upkeep_.bytes_since_checkpoint += topology_.broker.segment_bytes;
    upkeep_.checkpoint_from = now_ + kTryAgainAfter;
    return;
  }
  const Sequence sequence = ledger_.next_sequence();
  ledger_.apply_checkpoint();
  upkeep_.entered = Upkeep::Entered{sequence, upkeep_.segment_from_writing};
  outside_.append({sequence, true, Durability::kNone, true, Buffer::of(Bytes(payload.begin(), payload.end()))});
  outside_.sync();
}

std::size_t Core::crowding_tail() const {
  std::size_t longest = 0;
  std::size_t all = 0;
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    const std::size_t size = ledger_.changelog(stage).tail().size();
    longest = std::max(longest, size);
    all += size;
  }
  const std::size_t slots = ledger_.slots();
  const bool crowds = slots * sizeof(FrameSlot) >= topology_.broker.memory_bytes / kCrowdedPart && 4 * all >= slots;
  return crowds ? longest : SIZE_MAX;
}

void Core::consider_compaction() {
  // What a snapshot is made of, and what a restore reads, stays where it is meanwhile.
  if (upkeep_.compacting || upkeep_.copying || !upkeep_.restoring_from.empty()) return;
  if (now_ < upkeep_.compaction_from) return;
  const std::size_t crowding = crowding_tail();
  // What came ahead of a lease has only the tail to come on top of it: a snapshot of that would have it sent anew.
  const bool ahead = std::any_of(leases_.begin(), leases_.end(), [](const auto& leases) { return leases.ahead; });
  if (ahead && crowding == SIZE_MAX) return;
  const std::uint64_t tail_bytes_min = std::clamp(topology_.broker.segment_bytes / 4, kTailBytesLeast, kTailBytesMost);
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    const Changelog& changelog = ledger_.changelog(stage);
    if (changelog.tail().empty() || changelog.tail().front().sequence >= settled_) continue;
    const std::uint64_t oldest = changelog.use().oldest().value_or(upkeep_.segment_now);
    const std::uint64_t before = changelog.newest() ? changelog.newest()->bytes : 0;
    const bool long_tail = changelog.tail_bytes() >= std::max(tail_bytes_min, before / 2) ||
                           changelog.tail().size() > kTailCountMax || changelog.tail().size() == crowding;
    // A small state that changes often must not hold on to segments.
    const bool old_tail = upkeep_.segment_now > oldest && before < topology_.broker.segment_bytes;
    if (!long_tail && !old_tail) continue;
    CompactJob job;
    job.stage = stage;
    job.file_before = changelog.newest() ? changelog.newest()->file : 0;
    job.file_reset = changelog.snapshot_reset();
    job.reset_before = changelog.reset_before();
    // So much at a time that it is over soon, also where changes came faster than they could be taken in; whole
    // entries.
    std::uint64_t bytes = 0;
    for (const ChangesPlace& changes : changelog.tail()) {
      if (changes.sequence >= settled_ || !changes.place.written()) break;
      if (bytes >= kTailBytesMax && changes.sequence != job.tail.back().sequence) break;
      bytes += changes.place.size;
      job.tail.push_back(changes);
    }
    if (job.tail.empty()) continue;
    job.result.file = ledger_.next_file();
    job.result.through = job.tail.back().sequence.value() + 1;
    upkeep_.compacting = stage;
    return outside_.compact(std::move(job));
  }
  upkeep_.snapshot_lacks_room = false;  // none is wanted any more
}

void Core::on_compacted(const CompactJob& job) {
  upkeep_.compacting.reset();
  upkeep_.snapshot_lacks_room = job.lacks_room;
  if (job.result.file == 0) {  // it failed and says so elsewhere; the tail is kept
    upkeep_.compaction_from = now_ + kTryAgainAfter;
    return;
  }
  append({EntryType::kSnapshot, {}, job.stage, 0}, encode(job.result), Durability::kNone);
}

std::uint64_t Core::segments_worth() const {
  return options_.segments_slack + 2 * (ledger_.bytes_needed() / topology_.broker.segment_bytes + 1);
}

void Core::consider_copy() {
  if (upkeep_.copying || upkeep_.pending) return;
  const std::uint64_t oldest = ledger_.segment_needed_min(upkeep_.segment_now);
  if (upkeep_.segment_now < oldest + segments_worth()) return;
  CopyJob job;
  for (CopyItem& item : ledger_.needed_in(oldest, topology_.broker.transaction_bytes_max)) {
    if (may_move(item)) job.items.push_back(item);
  }
  if (job.items.empty()) return;
  upkeep_.copying = true;
  outside_.copy(std::move(job));
}

bool Core::may_move(const CopyItem& item) const {
  if (item.kind == CopyItem::Kind::kChanges) return upkeep_.compacting != item.index;
  return !ledger_.stream(item.index).slot(item.number).loading;
}

void Core::on_copied(const CopyJob& job) {
  upkeep_.copying = false;
  std::vector<CopyItem> items;
  std::vector<BytesView> bytes;
  for (std::size_t i = 0; i < job.bytes.size(); ++i) {
    const Place now = ledger_.place_of(job.items[i]);
    if (now.segment != job.items[i].place.segment || !may_move(job.items[i])) continue;
    items.push_back(job.items[i]);
    bytes.emplace_back(job.bytes[i]);
  }
  if (items.empty()) return;
  upkeep_.copying = true;
  upkeep_.copied = append({EntryType::kCopied, {}, 0, 0}, encode_copied(items, bytes), Durability::kNone);
}

}  // namespace weir::core
