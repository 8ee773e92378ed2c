// SPDX-License-Identifier: Apache-2.0
// Streams that are partitioned by range and learn where: their records are dealt out here, their boundaries move, and
// the state of keys follows.
#include <fmt/format.h>

#include <algorithm>

#include "broker/core/core.h"
#include "broker/core/range_balance.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/frame_writer.h"
#include "sdk/wire/key.h"

namespace weir::core {

using wire::MessageType;

namespace {

constexpr std::size_t kChangeOverhead = 32;  ///< with what names its stage and shard
constexpr std::size_t kDealtBytesKept = 64 << 10;
constexpr std::size_t kKeysPerShardMin = 16;  ///< that are known before anything is learned from them

}  // namespace

void Core::learn_from(std::uint32_t stream, BytesView key) {
  const auto learner = learners_.find(stream);
  if (learner == learners_.end() || !learner->second.sample.next()) return;
  if (const auto ordinal = wire::ordinal_of_key(key)) learner->second.sample.add(*ordinal);
}

void Core::learn_from(std::uint32_t stream, const wire::FrameView& frame) {
  std::size_t at = frame.batches_start();
  for (std::uint32_t i = 0; i < frame.header().batches; ++i) {
    const wire::BatchHeader batch = frame.batch(i);
    const auto records = decompressor_.records(batch.compression, frame.bytes().subspan(at, batch.bytes),
                                               wire::batch_bytes_max(topology_));
    at += batch.bytes;
    if (!records.ok()) return;  // who deals it out says so
    wire::BatchReader reader(*records);
    while (const auto record = reader.next()) learn_from(stream, record->key);
  }
}

void Core::move_boundaries(std::uint32_t stream) {
  const auto found = learners_.find(stream);
  if (found == learners_.end()) return;
  Learner& learner = found->second;
  const StreamState& state = ledger_.stream(stream);
  const Stream& spec = topology_.streams[stream];
  if (draining_ || stopping_ || low_on_space() || state.ended || !trials_.empty()) return;
  const std::size_t enough = std::min(std::max<std::size_t>(kKeysPerShardMin * spec.shards, options_.learned_keys_min),
                                      options_.learned_keys_max);
  if (learner.sample.size() < enough || !ledger_.boundaries_rest(stream)) return;
  BoundariesMoved moved;
  moved.stream = stream;
  if (state.boundaries.empty()) {
    moved.boundaries = even_boundaries(learner.sample.sorted(), spec.shards);
  } else {
    if (now_ - learner.moved < options_.boundaries_every || learner.looked_at == learner.sample.added()) return;
    learner.looked_at = learner.sample.added();
    auto next = next_boundaries(learner.sample.sorted(), state.boundaries);
    learner.moved = now_;  // to look takes its time too
    if (!next) return;
    moved.boundaries = std::move(*next);
  }
  learner.moved = now_;
  append({EntryType::kBoundaries, {}, 0, 0}, encode(moved), spec.durability);
}

void Core::look_at_boundaries() {
  for (auto& [stream, learner] : learners_) {
    learner.sample.look(now_);
    move_boundaries(stream);
  }
}

Result<Buffer> Core::dealt_out(const Buffer& message, const wire::Commit& commit) {
  const auto stream_of = [&](const wire::FrameAt& frame) {
    return wire::FrameView::parse(message.bytes.subspan(frame.position, frame.size))->header().stream;
  };
  const auto learns = [&](const wire::FrameAt& frame) { return learners_.contains(stream_of(frame)); };
  if (learners_.empty() || std::none_of(commit.frames.begin(), commit.frames.end(), learns)) return message;
  Bytes out;
  out.reserve(message.bytes.size() + 4096);
  std::uint64_t room = options_.entry_bytes_max;
  std::size_t copied = 0;
  const auto copy_to = [&](std::size_t end) {
    const BytesView part = message.bytes.subspan(copied, end - copied);
    out.insert(out.end(), part.begin(), part.end());
    copied = end;
  };
  for (const wire::FrameAt& frame : commit.frames) {
    if (!learns(frame)) continue;
    const auto view = wire::FrameView::parse(message.bytes.subspan(frame.position, frame.size));
    const std::uint32_t stream = view->header().stream;
    // What comes first of all is dealt out by what is learned from it.
    const bool first = ledger_.stream(stream).boundaries.empty();
    if (first) {
      learn_from(stream, *view);
      move_boundaries(stream);
    }
    copy_to(frame.position - sizeof(std::uint32_t));
    const std::size_t at = out.size();
    ByteWriter(out).put(std::uint32_t{0});
    if (Status status = deal_out(*view, !first, room, out); !status.ok()) return status.error();
    const auto size = static_cast<std::uint32_t>(out.size() - at - sizeof(std::uint32_t));
    std::memcpy(out.data() + at, &size, sizeof(size));
    copied = frame.position + frame.size;
  }
  copy_to(message.bytes.size());
  return Buffer::of(std::move(out));
}

Status Core::deal_out(const wire::FrameView& frame, bool learn, std::uint64_t& room, Bytes& out) {
  const std::uint32_t stream = frame.header().stream;
  const std::vector<Boundary>& boundaries = ledger_.stream(stream).boundaries;
  dealt_.resize(std::max<std::size_t>(dealt_.size(), topology_.streams[stream].shards));
  for (Dealt& dealt : dealt_) {
    dealt.count = 0;
    dealt.origin_us = 0;
    dealt.records.clear();
  }
  std::size_t at = frame.batches_start();
  for (std::uint32_t i = 0; i < frame.header().batches; ++i) {
    const wire::BatchHeader batch = frame.batch(i);
    const auto records = decompressor_.records(batch.compression, frame.bytes().subspan(at, batch.bytes),
                                               wire::batch_bytes_max(topology_));
    at += batch.bytes;
    if (!records.ok()) return records.error();
    if (records->size() > room) {
      return {Code::kInvalid, fmt::format("it emits more than {} bytes, uncompressed, to streams with boundaries "
                                          "\"auto\": as much as one entry of the journal takes",
                                          options_.entry_bytes_max)};
    }
    room -= records->size();
    wire::BatchReader reader(*records);
    std::uint32_t count = 0;
    for (std::size_t from = 0;; from = reader.position(), ++count) {
      const auto record = reader.next();
      if (!record) break;
      const auto shard = wire::shard_by_learned_range(record->key, boundaries);
      if (!shard) return shard.error();
      if (learn) learn_from(stream, record->key);
      Dealt& dealt = dealt_[shard->value()];
      const BytesView bytes = records->subspan(from, reader.position() - from);
      dealt.records.insert(dealt.records.end(), bytes.begin(), bytes.end());
      ++dealt.count;
      if (dealt.origin_us == 0 || (batch.origin_us != 0 && batch.origin_us < dealt.origin_us))
        dealt.origin_us = batch.origin_us;
    }
    if (!reader.ok() || count != batch.count)
      return {Code::kInvalid, "it emits a batch that holds other records than it says"};
  }
  const auto filled = std::count_if(dealt_.begin(), dealt_.end(), [](const Dealt& dealt) { return dealt.count != 0; });
  wire::FrameWriter writer(stream, static_cast<std::uint32_t>(filled), out, compressors_[stream]);
  for (std::uint32_t shard = 0; shard < dealt_.size(); ++shard) {
    const Dealt& dealt = dealt_[shard];
    if (dealt.count != 0) writer.add(shard, dealt.count, dealt.records, dealt.origin_us);
  }
  writer.finish();
  // Memory is kept for the next frame, but not as much for each shard as one of them ever took.
  for (Dealt& dealt : dealt_) {
    if (dealt.records.capacity() > kDealtBytesKept) dealt.records = Bytes();
  }
  return {};
}

bool Core::withholds(const UnitState& unit) const {
  if (!unit.relocation || !ledger_.keeps_state(unit) || !unit.at_barriers()) return false;
  // What was requeued before the boundaries moved is worked off where it is.
  const auto& barriers = unit.relocation->barriers;
  return std::none_of(barriers.begin(), barriers.end(),
                      [&](const Relocation::Barrier& barrier) { return ledger_.requeued_waits(unit, barrier.shard); });
}

void Core::relocate(std::uint32_t index) {
  const UnitState& unit = ledger_.units()[index];
  UnitLeases& leases = leases_[index];
  if (!unit.relocation) return;
  if (!ledger_.keeps_state(unit)) {
    if (unit.at_barriers()) enter_relocated(index, Relocated::Step::kDone);
    return;
  }
  if (!withholds(unit)) return;
  // Nobody holds a shard whose state comes or goes: who gets it next gets what there is then.
  if (leases.ahead && unit.barrier(leases.ahead->lane) != nullptr) call_off(index);
  bool free = true;
  std::map<Incarnation, std::vector<wire::Lease>> revoked;
  std::vector<std::uint32_t> givers;
  for (const Relocation::Barrier& barrier : unit.relocation->barriers) {
    if (barrier.gives) givers.push_back(barrier.shard);
    LaneLease& lease = leases.lanes[barrier.shard];
    free = free && lease.state == LaneLease::State::kFree;
    if (lease.state != LaneLease::State::kHeld) continue;
    lease.state = LaneLease::State::kRevoking;
    wire::Lease back;
    back.shard = barrier.shard;
    back.epoch = lease.epoch;
    revoked[lease.holder].push_back(back);
  }
  for (const auto& [holder, list] : revoked)
    send(*find_worker(holder), MessageType::kRevoke, wire::encode_leases(list));
  if (!free) return;
  if (leases.relocating) return go_on_relocating(index);
  if (givers.empty()) return enter_relocated(index, Relocated::Step::kDone);
  Worker reader;
  reader.unit = index;
  RestoreJob job = restore_job(reader, std::move(givers), {}, ledger_.next_sequence());
  const bool unwritten = std::any_of(job.parts.begin(), job.parts.end(), [](const RestoreJob::Part& part) {
    return !part.tail.empty() && !part.tail.back().place.written();
  });
  if (unwritten) return;
  job.ahead = ++copies_ahead_;
  leases.relocating = UnitLeases::Relocating{job.ahead, unit.relocation->copied, {}, 0, {}, {}};
  upkeep_.on_restore(job);
  outside_.restore(std::move(job));
}

Core::UnitLeases::Relocating* Core::relocating(std::uint32_t number, std::uint32_t& index) {
  for (index = 0; index < leases_.size(); ++index) {
    auto& relocating = leases_[index].relocating;
    if (relocating && relocating->number == number) return &*relocating;
  }
  return nullptr;
}

void Core::on_relocated_state(const wire::StatePart& part) {
  std::uint32_t index = 0;
  UnitLeases::Relocating* relocating = this->relocating(part.ahead, index);
  if (relocating == nullptr) return;
  const UnitState& unit = ledger_.units()[index];
  const std::vector<Boundary>& boundaries = ledger_.stream(unit.relocation->stream).boundaries;
  const std::size_t bytes_max =
      std::min<std::size_t>(options_.relocated_bytes, topology_.broker.transaction_bytes_max / 2);
  wire::ChangesReader reader(part.changes);
  while (const auto change = reader.next()) {
    if (change->space != wire::Space::kState) continue;
    // What a stage keeps under other keys than its records have stays where it is; and of keys that lay elsewhere there
    // may be what was before they went there.
    const auto key = wire::ordinal_of_key(change->key);
    if (!key || wire::shard_by_learned_range(*key, unit.relocation->before).value() != part.shard) continue;
    const std::uint32_t to = wire::shard_by_learned_range(*key, boundaries).value();
    if (to == part.shard) continue;
    wire::Change moved = *change;
    if (relocating->erases) moved.value.reset();
    const std::size_t bytes =
        moved.name.size() + moved.key.size() + (moved.value ? moved.value->size() : 0) + kChangeOverhead;
    if (relocating->bytes != 0 && relocating->bytes + bytes > bytes_max)
      enter_relocated(index, Relocated::Step::kPortion);
    wire::append_change(relocating->changes[{part.stage, relocating->erases ? part.shard : to}], moved);
    relocating->bytes += bytes;
  }
}

void Core::enter_relocated(std::uint32_t index, Relocated::Step step) {
  const UnitState& unit = ledger_.units()[index];
  UnitLeases& leases = leases_[index];
  Relocated relocated;
  relocated.step = step;
  if (leases.relocating) {
    for (const auto& [at, changes] : leases.relocating->changes)
      relocated.changes.push_back({at.first, at.second, changes});
  }
  const std::vector<Relocation::Barrier> barriers = unit.relocation->barriers;
  const Durability durability = topology_.streams[unit.relocation->stream].durability;
  append({EntryType::kRelocated, {}, unit.stage(), 0}, encode(relocated), durability);
  if (leases.relocating) {
    leases.relocating->changes.clear();
    leases.relocating->bytes = 0;
    leases.relocating->entered = ledger_.next_sequence();
  }
  if (step != Relocated::Step::kDone) return;
  leases.dirty = true;
  for (const Relocation::Barrier& barrier : barriers) {
    if (Worker* holder = find_worker(leases.lanes[barrier.shard].holder)) look_again(*holder, barrier.shard);
  }
}

void Core::on_relocated(RestoreJob job) {
  std::uint32_t index = 0;
  UnitLeases::Relocating* relocating = this->relocating(job.ahead, index);
  if (relocating == nullptr || job.finished || draining_ || stopping_) upkeep_.on_restored(job);
  if (relocating == nullptr) return;
  if (job.finished) {
    enter_relocated(index, relocating->erases ? Relocated::Step::kDone : Relocated::Step::kCopied);
    leases_[index].relocating.reset();
  } else if (draining_ || stopping_) {
    leases_[index].relocating.reset();  // the next run begins the step again
  } else {
    relocating->paused = std::move(job);
    go_on_relocating(index);
  }
}

void Core::go_on_relocating(std::uint32_t index) {
  // No more of it waits to be written than one reading gives, and what is left of a full disk is not for this.
  UnitLeases::Relocating& relocating = *leases_[index].relocating;
  if (!relocating.paused || written_ < relocating.entered || out_of_space_) return;
  RestoreJob job = std::move(*relocating.paused);
  relocating.paused.reset();
  outside_.restore(std::move(job));
}

}  // namespace weir::core
