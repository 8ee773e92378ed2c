// SPDX-License-Identifier: Apache-2.0
// The journal's side of the broker: what its threads do with the disk.
#include <iterator>
#include <utility>

#include "tests/simulation/world.h"

namespace weir::simulation {

using namespace std::chrono_literals;

/// Where in the body of an entry about a library its hash begins.
constexpr std::size_t kHashAt = 1 + sizeof(std::uint32_t);
/// Where in the body of an entry about boundaries the first of them begins, behind its kind.
constexpr std::size_t kBoundaryAt = 2 * sizeof(std::uint32_t) + 1;

void World::append(core::NewEntry entry) {
  trace("append", entry.sequence.value(), entry.payload.bytes);
  check(committed_.append(entry.sequence, entry.checkpoint, entry.payload.bytes));
  check_positions();
  if (has(Bug::kScaleForgotten) && !entry.checkpoint) {
    const auto header = core::decode_header(entry.payload.bytes);
    if (header.ok() && header->type == core::EntryType::kScaled)
      ++reinterpret_cast<std::uint8_t&>(entry.payload.bytes[sizeof(core::EntryHeader)]);
  }
  if (has(Bug::kUpgradeForgotten) && !entry.checkpoint) {
    const auto header = core::decode_header(entry.payload.bytes);
    if (header.ok() && header->type == core::EntryType::kUpgraded &&
        entry.payload.bytes.size() > sizeof(core::EntryHeader) + kHashAt)
      entry.payload.bytes[sizeof(core::EntryHeader) + kHashAt] = std::byte{'f'};
  }
  if (has(Bug::kBoundariesForgotten) && !entry.checkpoint) {
    const auto header = core::decode_header(entry.payload.bytes);
    if (header.ok() && header->type == core::EntryType::kBoundaries)
      ++reinterpret_cast<std::uint8_t&>(entry.payload.bytes[sizeof(core::EntryHeader) + kBoundaryAt]);
  }
  if (has(Bug::kRelocatedOnlyCopied) && !entry.checkpoint) {
    const auto header = core::decode_header(entry.payload.bytes);
    // The step comes first; what is copied is taken for all that there is to do.
    auto& step = reinterpret_cast<core::Relocated::Step&>(entry.payload.bytes[sizeof(core::EntryHeader)]);
    if (header.ok() && header->type == core::EntryType::kRelocated && step == core::Relocated::Step::kCopied)
      step = core::Relocated::Step::kDone;
  }
  const bool first = !broker_->gathering.due_at();
  broker_->gathering.add(std::move(entry), now_);
  write_gathered();
  if (!first || !broker_->gathering.due_at()) return;
  Lane lane{0};
  in_broker(lane, server::Gathering::kLongest, [this] { write_gathered(); });
}

void World::write_gathered() {
  if (!broker_->gathering.due(now_)) return;
  auto entries = broker_->gathering.take();
  std::move(entries.begin(), entries.end(), std::back_inserter(broker_->queue));
  write_soon();
}

void World::write_soon() {
  if (broker_->writing) return;
  broker_->writing = true;
  Lane lane{0};
  in_broker(lane, micros(500), [this] { write_group(); });
}

void World::sync() {
  broker_->gathering.hurry();
  write_gathered();
  broker_->sync_wanted = true;
  write_soon();
}

void World::write_group() {
  Broker& broker = *broker_;
  broker.writing = false;
  std::vector<core::NewEntry> group;
  group.swap(broker.queue);
  if (!group.empty()) {
    std::vector<BytesView> payloads;
    payloads.reserve(group.size());
    for (const core::NewEntry& entry : group) payloads.emplace_back(entry.payload.bytes);
    std::vector<journal::EntryView> views;
    for (std::size_t i = 0; i < group.size(); ++i) {
      views.push_back(
          {group[i].checkpoint ? journal::EntryKind::kCheckpoint : journal::EntryKind::kRecord, {&payloads[i], 1}});
    }
    if (broker.under_way && !broker.journal->fits_beside_sync(views)) {  // it waits for the sync's end
      std::move(broker.queue.begin(), broker.queue.end(), std::back_inserter(group));
      broker.queue = std::move(group);
      return;
    }
    if (broker.under_way) ++outcome_.groups_beside;
    std::vector<journal::Position> positions;
    const Status status = without_syncs(
        Bug::kRollOverUnsynced, [&] { return broker.journal->append(views, positions, journal::Follows::kSync); });
    broker.full = !status.ok() && status.error().code == Code::kDiskFull;
    if (broker.full) {
      ++outcome_.disk_refusals;
      broker.journal->permit_last_segment();
      std::move(broker.queue.begin(), broker.queue.end(), std::back_inserter(group));
      broker.queue = std::move(group);
      broker.writing = true;
      Lane lane{0};
      return in_broker(lane, micros(20'000), [this] { write_group(); });
    }
    if (!status.ok()) return failed(status.error(), "append");
    broker.unsynced = true;
    std::vector<std::pair<Sequence, journal::Position>> written;
    for (std::size_t i = 0; i < group.size(); ++i) {
      broker.needs_sync |= group[i].durability == Durability::kFsync;
      if (group[i].checkpoint) ++outcome_.checkpoints;
      written.emplace_back(group[i].sequence, positions[i]);
    }
    const Sequence end = group.back().sequence.plus(1);
    if (!plan_.power_cuts) committed_.settle(end);  // whoever is killed leaves what was written
    post([this, written, end,
          settled = (!broker.needs_sync && !broker.under_way) || has(Bug::kSettledAheadOfSync) ||
                    has(Bug::kSinkAheadOfSync)] {
      with_core([&] {
        for (const auto& [sequence, position] : written)
          broker_->core->on_written(sequence, position.segment, position.offset);
        if (has(Bug::kCheckpointAhead)) broker_->core->on_durable(end);
        if (settled) broker_->core->on_settled(end, now_);
      });
    });
  }
  if (broker.under_way) return;
  broker.needs_sync |= std::exchange(broker.sync_wanted, false) && broker.unsynced;
  if (broker.unsynced) {
    broker.writing = true;
    Lane lane{0};
    const bool waits = !broker.needs_sync && now_ - broker.synced < topology_.broker.interval;
    if (!waits && plan_.writes_beside) begin_sync();
    in_broker(lane, waits ? micros(2000) : micros(plan_.slow_disk ? 100'000 : 3000),
              [this, waits] { waits ? write_group() : sync_group(); });
  }
}

/// What comes until sync_group() is written beside it.
void World::begin_sync() {
  Broker& broker = *broker_;
  broker.under_way = broker.journal->begin_sync();
  broker.under_way_covers = disk_.blocks_written();
  broker.writing = broker.needs_sync = broker.unsynced = false;
}

void World::sync_group() {
  Broker& broker = *broker_;
  Status status;
  if (broker.under_way) {
    disk_.next_sync_covers(broker.under_way_covers);
    const journal::SyncUnderWay sync = *std::exchange(broker.under_way, std::nullopt);
    status = broker.journal->end_sync(sync, sync.run());
  } else {
    status = broker.journal->sync();
    broker.needs_sync = broker.unsynced = false;
  }
  if (!status.ok()) return failed(status.error(), "sync");
  broker.synced = now_;
  durable_before_ = std::exchange(durable_, broker.journal->durable());
  committed_.settle(durable_);
  const Sequence end = has(Bug::kSyncCoversAll) ? broker.journal->written() : broker.journal->durable();
  post([this, end, settled = broker.needs_sync ? end : broker.journal->written()] {
    with_core([&] {
      broker_->core->on_durable(end);
      broker_->core->on_settled(settled, now_);
    });
  });
  if (!broker.queue.empty() || broker.unsynced) return write_group();
  broker.writing = false;
  status = broker.journal->mark_if_needed();
  if (!status.ok()) failed(status.error(), "mark");
}

void World::read_frame(std::uint32_t stream, std::uint64_t frame, core::Place place) {
  trace("read", frame);
  ++outcome_.frames_read;
  in_broker(broker_->reader_lane, micros(2000), [this, stream, frame, place] {
    auto bytes = broker_->reader->read(place);
    const bool gone = !bytes.ok() && bytes.error().code == Code::kNotFound;
    if (!bytes.ok() && !gone) return failed(bytes.error(), "read");
    post([this, stream, frame, place, bytes = gone ? Bytes() : *bytes] {
      if (bytes.empty() && broker_->core->lies_at(stream, frame, place))
        problem("a frame is lost that is still needed");
      with_core([&] { broker_->core->on_frame(stream, frame, bytes); });
    });
  });
}

void World::restore(core::RestoreJob job) {
  trace("restore", job.incarnation.value());
  if (has(Bug::kSnapshotWithoutTail)) {
    for (core::RestoreJob::Part& part : job.parts) part.tail.clear();
  }
  if (has(Bug::kRelocatedWithoutTail) && job.incarnation == Incarnation()) {
    for (core::RestoreJob::Part& part : job.parts) part.tail.clear();
  }
  if (has(Bug::kResetForgotten)) {
    for (core::RestoreJob::Part& part : job.parts) {
      part.file_reset = false;
      part.reset_before = 0;
    }
  }
  in_broker(broker_->reader_lane, micros(5000), [this, job = std::move(job)]() mutable {
    const Status status = broker_->reader->restore(job, [&](const wire::StatePart& part) -> Status {
      post([this, incarnation = job.incarnation, part, held = Bytes(part.changes.begin(), part.changes.end())] {
        wire::StatePart posted = part;
        posted.changes = held;
        with_core([&] { broker_->core->on_state(incarnation, posted); });
      });
      return {};
    });
    if (!status.ok()) return failed(status.error(), "restore");
    post([this, job = std::move(job)] { with_core([&] { broker_->core->on_restored(job); }); });
  });
}

void World::compact(core::CompactJob job) {
  trace("compact", job.result.file);
  if (plan_.power_cuts && job.result.through > durable_.value())
    problem("a snapshot holds what no sync has covered (I6)");
  ++outcome_.compactions;
  in_broker(broker_->keeper_lane, micros(20'000), [this, job = std::move(job)]() mutable {
    plan_crash_in_job();
    const Status status = without_syncs(Bug::kSnapshotUnsynced, [&] { return broker_->keeper->compact(job); });
    if (!status.ok() && status.error().code != Code::kDiskFull) {
      outcome_.crashes_in_snapshot += disk_.crashed() ? 1 : 0;
      return failed(status.error(), "compact");
    }
    if (!status.ok()) job.result.file = 0;
    job.lacks_room = !status.ok();
    post([this, job] { with_core([&] { broker_->core->on_compacted(job); }); });
  });
}

void World::copy(core::CopyJob job) {
  trace("copy", job.items.size());
  ++outcome_.copies;
  ++broker_->copies;
  in_broker(broker_->reader_lane, micros(20'000), [this, job = std::move(job)]() mutable {
    const Status status = broker_->reader->copy(job);
    if (!status.ok()) return failed(status.error(), "copy");
    post([this, job] {
      --broker_->copies;
      with_core([&] { broker_->core->on_copied(job); });
    });
  });
}

void World::write_checkpoint(core::CheckpointJob job) {
  trace("checkpoint", job.through.value(), job.bytes);
  if (job.through > durable_) problem("a checkpoint holds what no sync has covered (I6)");
  in_broker(broker_->checkpoints_lane, micros(20'000), [this, job = std::move(job)]() mutable {
    plan_crash_in_job();
    const auto payload = without_syncs(Bug::kCheckpointUnsynced, [&] { return broker_->keeper->checkpoint(job); });
    if (!payload.ok() && payload.error().code != Code::kDiskFull) {
      outcome_.crashes_in_checkpoint += disk_.crashed() ? 1 : 0;
      return failed(payload.error(), "checkpoint");
    }
    post([this, payload = payload.ok() ? *payload : Bytes()] {
      with_core([&] { broker_->core->on_checkpoint(payload, payload.empty()); });
    });
  });
}

}  // namespace weir::simulation
