// SPDX-License-Identifier: Apache-2.0
#include "broker/core/core.h"

#include <algorithm>

#include "broker/core/revision.h"
#include "sdk/topology/resolved_file.h"
#include "sdk/topology/revise.h"

namespace weir::core {

namespace {

constexpr Monotonic kTellEvery{5'000};

}  // namespace

using wire::Refusal;

Core::Core(const Topology& topology, CoreOptions options, Outside& outside)
    : options_(std::move(options)), outside_(outside), ledger_(topology), topology_(ledger_.topology()) {}

Result<std::vector<std::string>> Core::revise(const Topology& wanted) {
  if (!ledger_.opened()) {  // nothing has a number yet
    revision_ = wanted;
    return std::vector<std::string>();
  }
  auto plan = plan_revision(ledger_, wanted);
  if (!plan.ok()) return plan.error();
  const bool same = ledger_.says_topology() && encode_resolved(plan->topology) == encode_resolved(topology_);
  if (!same) revision_ = std::move(plan->topology);
  return std::move(plan->sentences);
}

void Core::start(Reign reign, SegmentSpan kept, Monotonic now) {
  upkeep_.segment_from_newest = upkeep_.segment_from_before = kept.oldest;
  upkeep_.segment_now = kept.newest;
  reign_ = reign;
  now_ = now;
  serving_since_ = now;
  settled_ = written_ = durable_ = began_ = ledger_.next_sequence();
  const bool finished = ledger_.opened() && ledger_.finished();
  if (!ledger_.opened() || revision_) {
    // Every group is in the journal before the first record that it may see.
    append({EntryType::kTopology}, as_bytes(encode_resolved_briefly(topology())), Durability::kFsync);
    revision_.reset();
  }
  finished_before_ = finished && ledger_.finished();
  tell_topology();
  stream_probes_.resize(topology_.streams.size());
  lose_what_was_on_the_way();
  for (std::uint32_t stream = 0; stream < topology_.streams.size(); ++stream) {
    if (is_published(stream)) published_waiting_.insert(stream);
  }
  restarts_.resize(topology_.stages.size());
  stage_failed_.resize(topology_.stages.size());
  for (const Stream& stream : topology_.streams) {
    sharding_.emplace_back(stream);
    compressors_.emplace_back(stream.compression);
    leaves_.push_back(stream.external_out);
    if (stream.learns_boundaries && !stream.resting) {
      const auto index = static_cast<std::uint32_t>(sharding_.size() - 1);
      learners_.try_emplace(index, options_.learned_keys_max);
      sharding_.back().follow(ledger_.stream(index).boundaries);
    }
    if (stream.external_in && stream.hot_keys == weir::HotKeys::kSplit)
      sketches_.try_emplace(static_cast<std::uint32_t>(sharding_.size() - 1), stream.shards);
  }
  for (const UnitState& unit : ledger_.units()) {
    const bool out = unit.is_sink() || sends_to_peers(unit);
    for (const std::uint32_t stream : unit.inputs()) leaves_[stream] = leaves_[stream] || out;
    UnitLeases leases(options_.load_records_min);
    leases.lanes.resize(unit.lanes.size());
    leases.scan.assign(unit.inputs().size(), UINT64_MAX);
    for (const std::uint32_t stream : unit.inputs())
      leases.turns.emplace_back(topology_.streams[stream].priority.weights);
    for (std::size_t lane = 0; lane < unit.lanes.size(); ++lane) {
      for (const Cursor& cursor : unit.lanes[lane].cursors) {
        LaneLease::Flow flow;
        flow.delivered_to = cursor.offset;
        flow.walk.frame = cursor.frame;
        leases.lanes[lane].flows.push_back(std::move(flow));
        leases.scan[cursor.input] = std::min(leases.scan[cursor.input], cursor.frame);
      }
    }
    const StageSpec& spec = topology_.stages[unit.stage()];
    if (spec.workers_max != 0 && !unit.resting())
      leases.follower.emplace(spec.workers, std::min(spec.workers_max, unit.workers_max()));
    leases_.push_back(std::move(leases));
  }
  for (std::uint32_t stream = 0; stream < topology_.streams.size(); ++stream)
    hot_.add(ledger_.stream(stream).first_frame(), ledger_.stream(stream).end_frame());
  find_streams_behind();
}

Sequence Core::append(EntryHeader header, BytesView body, Durability durability) {
  Bytes payload = encode_header(header);
  ByteWriter(payload).raw(body);
  return append(Buffer::of(std::move(payload)), durability);
}

Sequence Core::append(Buffer payload, Durability durability, bool awaited) {
  const Sequence sequence = ledger_.next_sequence();
  const Status applied = ledger_.apply(sequence, payload, Place{}, true);
  WEIR_CHECK(applied.ok(), applied.ok() ? "" : applied.error().message);
  upkeep_.bytes_since_checkpoint += payload.bytes.size();
  outside_.append({sequence, false, durability, awaited, std::move(payload), ledger_.holds_changes(sequence)});
  return sequence;
}

void Core::on_written(Sequence sequence, std::uint64_t segment, std::uint32_t offset) {
  written_ = sequence.plus(1);
  ledger_.placed(sequence, segment, offset);
  upkeep_.on_written(sequence, segment, offset);
  settle_letters();
}

void Core::on_settled(Sequence sequence, Monotonic now) {
  now_ = now;
  settled_ = sequence;
  for (auto& [incarnation, worker] : workers_) settle(worker);
  unsettled_.settle(settled_);
  for (auto& [client, session] : sessions_) settle(client, session);
  settle_letters();
  settle_consumers();
}

bool Core::lies_at(std::uint32_t stream, std::uint64_t frame, const Place& place) const {
  const StreamState& state = ledger_.stream(stream);
  return state.holds(frame) && state.slot(frame).place == place;
}

void Core::on_frame(std::uint32_t stream, std::uint64_t frame, Bytes bytes) {
  --loads_;
  StreamState& state = ledger_.stream(stream);
  if (!state.holds(frame)) return;
  FrameSlot& slot = state.slot(frame);
  slot.loading = false;
  if (slot.bytes || bytes.empty()) return;
  hot_.came_back(stream, frame, bytes.size());
  slot.bytes = Buffer::of(std::move(bytes));
}

void Core::on_client(const Client& client, BytesView message, Monotonic now) {
  now_ = now;
  const auto map = wire::MapReader::parse(message);
  if (!map.ok()) return refuse(client, Refusal::kInvalid, map.error().message);
  const std::string op = map->op();
  if (op == "worker_hello") {
    const auto said = wire::decode_worker_hello(message);
    return said.ok() ? hello(client, *said, now) : refuse(client, Refusal::kInvalid, said.error().message);
  }
  if (op == "open") return open_session(client, *map, now);
  if (op == "publish") return publish(client, *map, now);
  if (op == "end") return end_stream(client, *map);
  if (op == "tail") return tail(client, *map, now);
  if (op == "consume") return open_consumer(client, *map, now);
  if (op == "credit") return take_consumer_credit(client, *map, now);
  if (op == "acknowledge") return acknowledge(client, *map, now);
  if (op == "leave") return leave_group(client, *map);
  if (op == "drop_group") return drop_group(client, *map);
  if (op == "scale") return scale(client, *map);
  if (op == "upgrade") return upgrade(client, *map);
  if (op == "ping") {
    const auto session = sessions_.find(client);
    if (session == sessions_.end() && consumers_.contains(client)) {
      Consumer* consumer = consumer_of(client, *map);
      if (consumer == nullptr) return;
      consumer->heard = now;
      wire::MapWriter answer("pong");
      answer.put("session", consumer->id);
      answer.put("sent", consumer->sent);  // so that a delivery that was lost is missed, were it the last one
      return outside_.reply(client, std::move(answer).finish());
    }
    if (session == sessions_.end()) return refuse(client, Refusal::kClosed, "this session is not open; say open first");
    session->second.heard = now;
    return outside_.reply(client, wire::MapWriter("pong").finish());
  }
  if (op == "status") return outside_.reply(client, status_message());
  refuse(client, Refusal::kInvalid,
         "\"" + op +
             "\" is no operation of this broker (open, publish, end, consume, credit, acknowledge, leave, drop_group, "
             "tail, ping, "
             "status, dead_letters, drop_letters, requeue_letters, replay, scale, upgrade)");
}

void Core::on_message(const Buffer& message, Monotonic now) {
  now_ = now;
  const auto header = wire::decode_header(message.bytes);
  if (!header) return;
  Worker* worker = find_worker(Incarnation(header->incarnation));
  if (worker == nullptr) return;  // of a dead or fenced incarnation: stale
  if (header->version != wire::kWireVersion)
    return fence(worker->incarnation, "it speaks another version of the protocol");
  worker->heard = now;
  if (header->type == wire::MessageType::kPulse) return;
  const BytesView body = wire::body_of(message.bytes);
  if (header->type == wire::MessageType::kBeat) {
    if (header->number != worker->received) return fence(worker->incarnation, "a message from it was lost");
    const auto measured = wire::decode_measured(body);
    if (!measured.ok()) return fence(worker->incarnation, measured.error().message);
    if (worker->trial) return;
    StageProbe& probe = stage_probes_[{ledger_.units()[worker->unit].stage(), worker->index}];
    probe.busy_ratio = measured->busy_ratio;
    probe.blocked_ratio = measured->blocked_ratio;
    probe.state_bytes = measured->state_bytes;
    const auto add = [](std::vector<std::uint64_t>& to, const std::vector<std::uint64_t>& from) {
      to.resize(wire::kBucketCount);
      for (std::size_t i = 0; i < std::min(to.size(), from.size()); ++i) to[i] += from[i];
    };
    probe.hot_keys = measured->hot_keys;
    add(probe.process_buckets, measured->process_buckets);
    probe.process_seconds += measured->process_seconds;
    add(probe.end_to_end_buckets, measured->end_to_end_buckets);
    probe.end_to_end_seconds += measured->end_to_end_seconds;
    return;
  }
  if (header->number <= worker->received) return;  // a duplicate on the way
  if (header->number != worker->received + 1) return fence(worker->incarnation, "a message from it was lost");
  worker->received = header->number;
  const bool tries = header->type == wire::MessageType::kReady || header->type == wire::MessageType::kCredit ||
                     header->type == wire::MessageType::kTaken;
  if (worker->trial && !tries) return forget(worker->incarnation);
  switch (header->type) {
    case wire::MessageType::kReady:
      worker->state = Worker::State::kReady;
      if (worker->trial) {
        worker->state = Worker::State::kTrying;
        return;
      }
      leases_[worker->unit].dirty = peers_changed_ = true;
      // Its stage may have finished, or everything have been told to stop, while it was connecting.
      if (leases_[worker->unit].stopped || stopping_) {
        worker->state = Worker::State::kStopping;
        send(*worker, wire::MessageType::kStop, {});
      } else if (draining_) {
        worker->state = Worker::State::kDraining;
        send(*worker, wire::MessageType::kDrain, {});
      } else {
        // Before anybody hears of this worker, and sends it such a record.
        for (const DirectSuspect& suspect : leases_[worker->unit].direct_suspects) tell_suspect(*worker, suspect);
      }
      return;
    case wire::MessageType::kCommit:
      return on_commit(*worker, message, now);
    case wire::MessageType::kCredit: {
      const auto totals = wire::decode_totals(body);
      if (!totals.ok() || totals->first < worker->credit.first || totals->second < worker->credit.second) {
        return fence(worker->incarnation, "its credit went back");
      }
      worker->on_credit(*totals, now);
      return;
    }
    case wire::MessageType::kReleased: {
      const auto leases = wire::decode_leases(body);
      if (!leases.ok()) return fence(worker->incarnation, leases.error().message);
      for (const wire::Lease& lease : *leases) {
        auto& lanes = leases_[worker->unit].lanes;
        if (lease.shard >= lanes.size() || lanes[lease.shard].holder != worker->incarnation) continue;
        release_lane(worker->unit, lease.shard);
      }
      return;
    }
    case wire::MessageType::kLocal: {
      const auto states = wire::decode_local(body);
      if (!states.ok()) return fence(worker->incarnation, states.error().message);
      return on_local(*worker, *states);
    }
    case wire::MessageType::kTaken: {
      const auto taken = wire::decode_leases(body);
      if (!taken.ok()) return fence(worker->incarnation, taken.error().message);
      return worker->trial ? on_tried(*worker, *taken) : on_taken(*worker, *taken);
    }
    case wire::MessageType::kDrained:
      // It has never begun, and will not: its place is free.
      if (worker->state == Worker::State::kConnecting) return forget(worker->incarnation);
      if (worker->state == Worker::State::kDraining) worker->state = Worker::State::kDrained;
      return;
    case wire::MessageType::kRouted: {
      const auto routed = wire::decode_routed(body);
      if (!routed.ok()) return fence(worker->incarnation, routed.error().message);
      return on_routed(*worker, *routed);
    }
    case wire::MessageType::kLeaving:
      return let_go(*worker);
    case wire::MessageType::kFailed: {
      const auto sentence = wire::decode_sentence(body);
      const std::string why = sentence.ok() ? *sentence : std::string("it gave no reason");
      if (laid_to_library(*worker, why)) return fence(worker->incarnation, why);
      const std::uint32_t stage = ledger_.units()[worker->unit].stage();
      stage_failed_[stage] = true;
      failed_ = true;
      outside_.notify({Notice::Kind::kStageFailed, stage, worker->index, worker->pid, why});
      return;
    }
    default:
      return fence(worker->incarnation, "it sent a message that no worker sends");
  }
}

void Core::on_died(std::uint32_t stage, std::uint32_t index, std::int64_t pid, Monotonic now,
                   const std::optional<FatalRecord>& fatal) {
  now_ = now;
  // Who has nothing left to do, or is too many, ends too, and is not started again.
  const bool superfluous = index >= ledger_.workers(topology_.stages[stage].host);
  const bool outdated = std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return entry.second.pid == pid && entry.second.unit == ledger_.unit_of(stage) && !runs_what_is_wanted(entry.second);
  });
  const bool replaced = std::erase(replaced_, std::pair(ledger_.unit_of(stage), pid)) != 0;
  const bool comes_again = !superfluous && !outdated && !replaced && !ledger_.units()[ledger_.unit_of(stage)].finished;
  if (!draining_ && !stopping_ && comes_again) ++restarts_[stage];
  for (auto& [incarnation, worker] : workers_) {
    if (ledger_.units()[worker.unit].stage() != stage || worker.index != index || worker.pid != pid || worker.trial)
      continue;
    if (fatal) suspect(worker, *fatal);
    return forget(incarnation);
  }
}

void Core::drain(Monotonic now) {
  now_ = now;
  draining_ = true;
  drain_began_ = now;
  while (!trials_.empty()) fence(trials_.begin()->first, "the topology is stopping");
  for (auto& [incarnation, worker] : workers_) {
    if (worker.state == Worker::State::kStopping) continue;
    if (worker.state == Worker::State::kConnecting) {
      worker.state = Worker::State::kDrained;
      continue;
    }
    if (waits_for_peers(worker)) continue;
    worker.state = Worker::State::kDraining;
    send(worker, wire::MessageType::kDrain, {});
  }
}

void Core::stop() {
  stopping_ = true;
  while (!trials_.empty()) fence(trials_.begin()->first, "the topology is stopping");
  for (auto& [incarnation, worker] : workers_) {
    if (worker.state == Worker::State::kConnecting || worker.state == Worker::State::kStopping) continue;
    worker.state = Worker::State::kStopping;
    send(worker, wire::MessageType::kStop, {});
  }
}

void Core::pump(Monotonic now) {
  now_ = now;
  if (!restores_waiting_.empty()) retry_restores();
  if (!restores_paused_.empty()) resume_restores();
  const PublishTerms terms = publish_terms();
  for (std::uint32_t unit = 0; unit < leases_.size(); ++unit) {
    UnitLeases& leases = leases_[unit];
    if (leases.stopped || ledger_.units()[unit].resting()) continue;
    const auto owing = [&](const auto& entry) { return entry.second.unit == unit && owes_peers(entry.second); };
    if (ledger_.units()[unit].finished && settled_ == ledger_.next_sequence() &&
        std::none_of(workers_.begin(), workers_.end(), owing)) {
      leases.stopped = true;
      // First the launcher: of a worker that ends it shall know that it has nothing left to do.
      outside_.notify({Notice::Kind::kStageFinished, ledger_.units()[unit].stage(), 0, 0, ""});
      for (Worker* worker : workers_of(unit, false)) {
        if (worker->state == Worker::State::kConnecting || worker->trial) continue;
        worker->state = Worker::State::kStopping;
        tell_committed(*worker);
        send(*worker, wire::MessageType::kStop, {});
      }
      continue;
    }
    if (draining_ || stopping_) continue;
    relocate(unit);
    if (leases.dirty) lease(unit, now);
    deliver(unit, now);
    send_finishes(unit);
    send_publish_credit(unit, terms);
  }
  for (auto& [incarnation, worker] : workers_) {
    // Each wakes the worker, which waits for none of them: its window is far from full, and a source tells its own
    // outside soon enough.
    const UnitState& unit = ledger_.units()[worker.unit];
    const bool sends = worker.told.second != worker.settled && sends_to_peers(unit);
    const bool answers = worker.told.first != worker.transactions && acknowledges_peers(unit);
    if (sends || answers || worker.untold_bytes >= tell_bytes(worker) || now - worker.told_at >= kTellEvery)
      tell_committed(worker);
  }
  tell_durable();
  drain_behind_peers();
  tell_peers();
  let_leave();
  if (!trials_.empty()) go_on_trying();
  serve_groups();
  // Where nothing has come since, it is left to the next tick: with many lanes it is long to look for.
  if (hot_.total() != hot_bytes_left_) drop_passed_bytes();
  consider_checkpoint();
  finish_checkpoint();
  consider_compaction();
  consider_copy();
  if (!finished_told_ && ledger_.finished() && settled_ == ledger_.next_sequence()) {
    finished_told_ = true;
    outside_.notify({Notice::Kind::kFinished, 0, 0, 0, ""});
  }
  if (draining_ && !drained_told_ && settled_ == ledger_.next_sequence()) {
    const bool waiting = std::any_of(workers_.begin(), workers_.end(), [](const auto& entry) {
      return entry.second.state == Worker::State::kDraining || entry.second.state == Worker::State::kReady;
    });
    if (!waiting) {
      drained_told_ = true;
      outside_.notify({Notice::Kind::kDrained, 0, 0, 0, ""});
    }
  }
}

void Core::tell_committed(Worker& worker) {
  if (worker.told.first == worker.transactions && worker.told.second == worker.settled) return;
  worker.told = {worker.transactions, worker.settled};
  worker.told_at = now_;
  worker.untold_bytes = 0;
  send(worker, wire::MessageType::kCommitted, wire::encode_totals(worker.told));
}

std::uint64_t Core::tell_bytes(const Worker& worker) const {
  const std::uint64_t memory = topology_.stages[ledger_.units()[worker.unit].stage()].memory_bytes;
  return wire::commit_window(topology_.broker.transaction_bytes_max, memory) / 4;
}

void Core::tick(Monotonic now) {
  // After a jump of time everyone gets a fresh start: what waits in the sockets is read before anybody counts as
  // silent.
  if (now - ticked_ > options_.silence / 2) {
    for (auto& [incarnation, worker] : workers_) worker.heard = now;
    for (auto& [client, session] : sessions_) session.heard = now;
    for (auto& [client, consumer] : consumers_) consumer.heard = now;
    for (UnitLeases& leases : leases_) leases.proving_since.reset();
  }
  ticked_ = now;
  now_ = now;
  std::vector<Incarnation> silent;
  for (auto& [incarnation, worker] : workers_) {
    if (now - worker.heard > options_.silence) silent.push_back(incarnation);
    if (worker.state != Worker::State::kConnecting && now - worker.beat_sent >= options_.beat) {
      worker.beat_sent = now;
      outside_.send(incarnation, wire::message({wire::MessageType::kBeatDown, wire::kWireVersion, 0,
                                                incarnation.value(), worker.sent}));
    }
  }
  for (const Incarnation incarnation : silent) {
    // Who was told to exit has nothing to lose, and has done so.
    const bool told_to_exit = find_worker(incarnation)->state == Worker::State::kStopping;
    told_to_exit ? forget(incarnation) : fence(incarnation, "it was silent for too long");
  }
  std::erase_if(sessions_, [&](const auto& entry) { return now - entry.second.heard > 6 * options_.silence; });
  std::vector<Client> silent_consumers;
  for (const auto& [client, consumer] : consumers_) {
    if (now - consumer.heard > consumer.silence) silent_consumers.push_back(client);
  }
  for (const Client& client : silent_consumers)
    end_consumer(client, Refusal::kClosed, "this consumer was silent for too long: its shards go to others");
  std::erase_if(taps_, [&](const auto& entry) { return now - entry.second.asked > std::chrono::seconds(2); });
  for (std::uint32_t unit = 0; unit < leases_.size(); ++unit) {
    leases_[unit].dirty = true;
    if (!draining_ && !stopping_ && !leases_[unit].stopped && !ledger_.units()[unit].resting()) send_watermarks(unit);
  }
  look_at_loads();
  look_at_boundaries();
  follow_load();
  settle_upgrades();
  // What is kept only for a replay yields to what is waited for.
  release(started_us_ + (now - serving_since_).count(), topology_.broker.memory_bytes / 8 / sizeof(FrameSlot));
  pump(now);
}

std::vector<RestoreJob::Part> Core::dead_letter_parts() const {
  std::vector<RestoreJob::Part> parts;
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    const Changelog& changelog = ledger_.changelog(stage);
    RestoreJob::Part part;
    part.stage = stage;
    part.file = changelog.newest() ? changelog.newest()->file : 0;
    for (const ChangesPlace& changes : changelog.tail()) {
      if (changes.place.written()) part.tail.push_back(changes);
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

}  // namespace weir::core
