// SPDX-License-Identifier: Apache-2.0
// Workers come and go; lanes are leased to those that are there.
#include <fmt/format.h>

#include <algorithm>

#include "broker/core/core.h"
#include "sdk/wire/changes.h"
#include "sdk/wire/library_hash.h"

namespace weir::core {

using wire::MessageType;

Worker* Core::find_worker(Incarnation incarnation) {
  const auto found = workers_.find(incarnation);
  return found == workers_.end() ? nullptr : &found->second;
}

std::vector<Worker*> Core::workers_of(std::uint32_t unit, bool only_ready) {
  std::vector<Worker*> found;
  for (auto& [incarnation, worker] : workers_) {
    if (worker.unit == unit && (!only_ready || worker.state == Worker::State::kReady)) found.push_back(&worker);
  }
  return found;
}

void Core::send(Worker& worker, MessageType type, BytesView body) {
  outside_.send(worker.incarnation,
                wire::message({type, wire::kWireVersion, 0, worker.incarnation.value(), ++worker.sent}, body));
}

void Core::send_built(Worker& worker, MessageType type, Bytes message) {
  wire::put_header(message, {type, wire::kWireVersion, 0, worker.incarnation.value(), ++worker.sent});
  outside_.send(worker.incarnation, std::move(message));
}

void Core::hello(const Client& client, const wire::WorkerHello& said, Monotonic now) {
  if (said.wire_version != wire::kWireVersion) {
    return refuse(
        client, wire::Refusal::kInvalid,
        fmt::format("this broker speaks version {} of the protocol, the worker {}: install the same Weir everywhere",
                    wire::kWireVersion, said.wire_version));
  }
  const StageSpec* spec = topology_.find_stage(said.stage);
  if (spec == nullptr || spec->resting)
    return refuse(client, wire::Refusal::kUnknown,
                  fmt::format("the topology \"{}\" has no stage \"{}\"", topology_.name, said.stage));
  const auto stage = static_cast<std::uint32_t>(spec - topology_.stages.data());
  if (said.trial) return hello_trial(client, said, stage, now);
  if (spec->host != stage) {
    return refuse(client, wire::Refusal::kInvalid,
                  fmt::format("\"{}\" is fused: start \"{}\" instead", said.stage, topology_.stages[spec->host].name));
  }
  const std::uint32_t unit = ledger_.unit_of(stage);
  if (draining_ || stopping_ || leases_[unit].stopped)
    return refuse(client, wire::Refusal::kLate, "the topology is stopping, or the stage has finished");
  const std::uint32_t wanted = ledger_.workers(stage);
  std::int64_t index = said.worker;
  // Who does not say what it runs finds out whether that is what is wanted, and goes where it is not.
  const std::string libraries = libraries_wanted(unit);
  if (!said.libraries.empty() && !wire::libraries_fit(said.libraries, libraries)) {
    return refuse(client, wire::Refusal::kLate,
                  fmt::format("stage \"{}\" is to run with {}, and this worker has another library", said.stage,
                              libraries_told(unit)));
  }
  const auto holder = [&](std::int64_t slot) -> Worker* {
    for (Worker* worker : workers_of(unit, false)) {
      if (worker->index == slot && !worker->trial && runs_what_is_wanted(*worker)) return worker;
    }
    return nullptr;
  };
  if (index >= std::int64_t{wanted}) {
    return refuse(
        client, wire::Refusal::kLate,
        fmt::format("stage \"{}\" is to have {} workers, and worker {} is none of them", said.stage, wanted, index));
  }
  if (index < 0) {
    const auto all = workers_of(unit, false);
    const auto staying = std::count_if(all.begin(), all.end(), [&](const Worker* worker) {
      return !worker->leaving && !worker->trial && runs_what_is_wanted(*worker);
    });
    index = 0;
    while (index < std::int64_t{wanted} && holder(index) != nullptr) ++index;
    if (index >= std::int64_t{wanted} || staying >= std::int64_t{wanted}) {
      return refuse(client, wire::Refusal::kTaken,
                    fmt::format("stage \"{}\" has all its {} workers; `weir scale {} N` gives it more", said.stage,
                                wanted, said.stage));
    }
  }
  // The newcomer is a restart that we have not heard the end of: its predecessor loses its rights first.
  if (Worker* before = holder(index)) fence(before->incarnation, "another process took its place");

  Worker worker;
  worker.incarnation = Incarnation(std::uint64_t{reign_.value()} << 32 | ++incarnations_);
  worker.unit = unit;
  worker.index = static_cast<std::uint32_t>(index);
  worker.pid = said.pid;
  if (said.host != options_.host) worker.host = said.host;
  worker.heard = worker.beat_sent = now;
  worker.inbox = said.inbox;
  worker.libraries = said.libraries.empty() ? libraries : said.libraries;
  worker.scan.assign(ledger_.units()[unit].inputs().size(), UINT64_MAX);
  const Incarnation incarnation = worker.incarnation;
  workers_.emplace(incarnation, std::move(worker));
  stage_probes_[{stage, static_cast<std::uint32_t>(index)}];
  outside_.connect(incarnation, said.inbox);
  wire::WorkerWelcome welcome;
  welcome.incarnation = incarnation;
  welcome.worker = static_cast<std::uint32_t>(index);
  welcome.commits = options_.commits_endpoint;
  welcome.news = options_.news_endpoint;
  welcome.journal = options_.journal;
  if (find_worker(incarnation)->host.empty()) welcome.state_dir = options_.state_dir;
  welcome.host = find_worker(incarnation)->host;
  welcome.topology = topology_text_;
  welcome.libraries = libraries;
  welcome.beat = options_.beat;
  welcome.silence = options_.silence;
  outside_.reply(client, wire::encode(welcome));
}

void Core::fence(Incarnation incarnation, const std::string& reason) {
  Worker* worker = find_worker(incarnation);
  if (worker == nullptr) return;
  if (worker->state != Worker::State::kConnecting) send(*worker, MessageType::kFenced, wire::encode_sentence(reason));
  outside_.notify({Notice::Kind::kFenced, ledger_.units()[worker->unit].stage(), worker->index, worker->pid, reason});
  forget(incarnation);
}

void Core::let_go(Worker& worker) {
  worker.leaving = true;
  if (worker.state != Worker::State::kReady) return;  // everyone is drained or stopped, or it has said so before
  peers_changed_ = true;
  if (takes_from_peers(ledger_.units()[worker.unit])) return;  // first nobody sends it anything more
  worker.state = Worker::State::kDraining;
  send(worker, MessageType::kDrain, {});
}

void Core::let_leave() {
  std::vector<Incarnation> leaving;
  for (const auto& [incarnation, worker] : workers_) {
    if (worker.leaving && worker.state == Worker::State::kDrained && worker.unsettled.empty() && !owes_peers(worker))
      leaving.push_back(incarnation);
  }
  for (const Incarnation incarnation : leaving) {
    Worker& worker = *find_worker(incarnation);
    tell_committed(worker);  // a source says so outside before it ends
    send(worker, MessageType::kStop, {});
    const std::uint32_t stage = ledger_.units()[worker.unit].stage();
    outside_.notify({Notice::Kind::kLeft, stage, worker.index, worker.pid, ""});
    if (worker.replaced) replaced_.emplace_back(worker.unit, worker.pid);
    if (replaced_.size() > kWorkersMax) replaced_.pop_front();  // of other machines no end is heard
    // What it counted stays counted; what it measured is no more.
    StageProbe& probe = stage_probes_[{stage, worker.index}];
    probe.busy_ratio = probe.blocked_ratio = 0;
    probe.state_bytes = 0;
    probe.hot_keys.clear();
    forget(incarnation);
  }
}

void Core::forget(Incarnation incarnation) {
  const auto found = workers_.find(incarnation);
  if (found == workers_.end()) return;
  const std::uint32_t unit = found->second.unit;
  UnitLeases& leases = leases_[unit];
  for (std::uint32_t lane = 0; lane < leases.lanes.size(); ++lane) {
    LaneLease& lease = leases.lanes[lane];
    for (LaneLease::Flow& flow : lease.flows) {
      for (auto it = flow.ranges.begin(); it != flow.ranges.end();) {
        if (it->second.to_worker != incarnation) {
          ++it;
          continue;
        }
        flow.redeliver.emplace(it->first, it->second);
        it = flow.ranges.erase(it);
      }
    }
    if (lease.holder == incarnation) release_lane(unit, lane);
  }
  std::erase_if(leases.requeued, [&](const auto& entry) { return entry.second.worker == incarnation; });
  for (Suspect& suspect : leases.suspects) suspect.on_gone(incarnation);
  if (leases.enumerator == incarnation) leases.enumerator = Incarnation();
  leases.dirty = true;
  forget_peer(incarnation);
  for (UnitLeases& each : leases_)
    std::erase_if(each.direct_suspects, [&](const auto& suspect) { return suspect.producer == incarnation; });
  workers_.erase(found);
  trials_.erase(incarnation);
  if (leases.ahead && leases.ahead->to == incarnation) call_off(unit);
  outside_.disconnect(incarnation);
}

void Core::release_lane(std::uint32_t unit, std::uint32_t lane) {
  LaneLease& lease = leases_[unit].lanes[lane];
  if (Worker* holder = find_worker(lease.holder)) {
    --holder->lanes;
    holder->local.erase(lane);
  }
  // Whoever did not let go as it was asked to may have left anything.
  const bool as_asked = lease.state == LaneLease::State::kRevoking;
  if (leases_[unit].ahead && leases_[unit].ahead->lane == lane && !as_asked) call_off(unit);
  for (Suspect& suspect : leases_[unit].suspects) {
    if (suspect.lane() == lane) suspect.on_gone(lease.holder);
  }
  lease.state = LaneLease::State::kFree;
  lease.holder = Incarnation();
  lease.finish_sent = false;
  for (LaneLease::Flow& flow : lease.flows) flow.watermark_sent = INT64_MIN;
  if (ledger_.units()[unit].intake() != Intake::kRanges)
    std::erase_if(leases_[unit].requeued, [&](const auto& entry) { return entry.second.lane == lane; });
  if (ledger_.units()[unit].intake() == Intake::kShards) {
    for (std::size_t i = 0; i < lease.flows.size(); ++i) {
      lease.flows[i].sent.clear();
      lease.flows[i].delivered_to = ledger_.units()[unit].lanes[lane].cursors[i].offset;
    }
  }
  leases_[unit].dirty = true;
}

void Core::lease(std::uint32_t unit, Monotonic now) {
  leases_[unit].dirty = false;
  let_superfluous_go(unit);
  switch (ledger_.units()[unit].intake()) {
    case Intake::kSplits:
      return lease_splits(unit, now);
    case Intake::kShards:
      return lease_lanes(unit, now);
    case Intake::kRanges:
      return;
  }
}

void Core::keep_those_with_the_right_library(std::vector<Worker*>& workers) const {
  const auto fits = [&](const Worker* worker) { return runs_what_is_wanted(*worker); };
  if (std::any_of(workers.begin(), workers.end(), fits))
    std::erase_if(workers, [&](const Worker* worker) { return !fits(worker); });
}

void Core::lease_lanes(std::uint32_t index, Monotonic now) {
  const UnitState& unit = ledger_.units()[index];
  UnitLeases& leases = leases_[index];
  auto workers = workers_of(index);
  const auto going = superfluous(index);
  const auto goes = [&](const Worker* each) { return std::find(going.begin(), going.end(), each) != going.end(); };
  std::erase_if(workers, [&](const Worker* each) { return each->leaving || goes(each); });
  keep_those_with_the_right_library(workers);
  if (workers.empty()) return;
  const bool any_fits = runs_what_is_wanted(*workers.front());
  const auto total = static_cast<std::uint32_t>(leases.lanes.size());
  // At first all wanted workers are expected; after a while lanes go to whoever is there.
  const bool early = now - serving_since_ < options_.settle_in;
  const std::size_t expected = ledger_.workers(unit.stage());
  const auto quota = unit.single() || !early
                         ? total
                         : static_cast<std::uint32_t>((total + expected - 1) / std::max<std::size_t>(expected, 1));
  if (unit.single()) {
    // One target, one holder: whoever holds a lane gets them all.
    const auto held =
        std::find_if(workers.begin(), workers.end(), [](const Worker* worker) { return worker->lanes != 0; });
    workers = {held != workers.end() ? *held : workers.front()};
  }
  std::map<Worker*, std::vector<std::uint32_t>,
           decltype([](const Worker* a, const Worker* b) { return a->incarnation < b->incarnation; })>
      granted;
  bool any_free = false;
  // Who comes a moment later, as a rule in the place of one that died, finds lanes that nobody has begun to restore.
  const std::uint32_t together = restored_together(unit);
  const bool withheld = withholds(unit);
  std::map<Incarnation, std::uint32_t> restoring;
  std::map<Incarnation, double> loads;
  for (std::uint32_t lane = 0; lane < total; ++lane) {
    const LaneLease& lease = leases.lanes[lane];
    if (lease.state == LaneLease::State::kRestoring) ++restoring[lease.holder];
    if (lease.state != LaneLease::State::kFree) loads[lease.holder] += leases.loads.weight(lane);
  }
  for (std::uint32_t lane = 0; lane < total; ++lane) {
    LaneLease& lease = leases.lanes[lane];
    if (lease.state != LaneLease::State::kFree) continue;
    // Only those that finished long ago need no holder; a sink's target belongs to its lanes together.
    if (unit.lanes[lane].finished && !unit.single()) continue;
    if (withheld && unit.barrier(lane) != nullptr) continue;
    if (!any_fits && wire::libraries_fit(lease.libraries, libraries_wanted(index))) {
      any_free = true;  // until one with the new library is back
      continue;
    }
    Worker* worker = *std::min_element(workers.begin(), workers.end(), [&](const Worker* a, const Worker* b) {
      return loads[a->incarnation] < loads[b->incarnation];
    });
    if (leases.ahead && leases.ahead->lane == lane) {
      const auto has_it = std::find_if(workers.begin(), workers.end(), [&](const Worker* each) {
        return each->incarnation == leases.ahead->to && each->lanes < quota;
      });
      if (has_it == workers.end()) {
        call_off(index);
      } else {
        worker = *has_it;
      }
    }
    const bool is_there = leases.ahead && leases.ahead->lane == lane;
    if (worker->lanes >= quota || (!is_there && restoring[worker->incarnation] >= together)) {
      any_free = true;
      continue;
    }
    if (is_there) leases.ahead.reset();
    if (ledger_.keeps_state(unit)) ++restoring[worker->incarnation];
    lease.state = ledger_.keeps_state(unit) ? LaneLease::State::kRestoring : LaneLease::State::kHeld;
    lease.holder = worker->incarnation;
    lease.libraries = worker->libraries;
    ++lease.epoch;
    ++worker->lanes;
    loads[worker->incarnation] += leases.loads.weight(lane);
    granted[worker].push_back(lane);
  }
  leases.dirty |= any_free;
  for (const auto& [worker, lanes] : granted) grant(*worker, lanes);
  if (any_free || unit.single() || early) return;
  // Nobody keeps more than a fair share while another has less, or anything while it is one too many: lanes move one at
  // a time, each only when the state of those before is there, so that the others hardly notice.
  const Sharing sharing = sharing_of(index);
  const auto move = next_move(index, sharing);
  if (!move) return call_off(index);
  const bool moving = std::any_of(leases.lanes.begin(), leases.lanes.end(), [](const LaneLease& lease) {
    return lease.state == LaneLease::State::kRevoking || lease.state == LaneLease::State::kRestoring;
  });
  if (moving || (goes_ahead(unit) && !send_ahead(index, move->lane, *find_worker(sharing.holders[move->to])))) {
    leases.dirty = true;
    return;
  }
  LaneLease& lease = leases.lanes[move->lane];
  lease.state = LaneLease::State::kRevoking;
  wire::Lease revoked;
  revoked.shard = move->lane;
  revoked.epoch = lease.epoch;
  send(*find_worker(lease.holder), MessageType::kRevoke, wire::encode_leases({revoked}));
}

/// Lanes whose state one worker is sent at a time: an eighth of all, since changes of many lanes lie in one entry, or
/// what is soon there.
std::uint32_t Core::restored_together(const UnitState& unit) const {
  constexpr std::uint64_t kSoonThere = 8 << 20;
  const std::uint64_t lanes = std::max<std::size_t>(unit.lanes.size(), 1);
  std::uint64_t bytes = 0;
  for (const std::uint32_t stage : unit.stages()) {
    const auto& snapshot = ledger_.changelog(stage).newest();
    bytes += (snapshot ? snapshot->bytes : 0) + ledger_.changelog(stage).tail_bytes();
  }
  const std::uint64_t soon = kSoonThere / std::max<std::uint64_t>(bytes / lanes, 1);
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(soon, (lanes + 7) / 8, lanes));
}

void Core::grant(Worker& worker, const std::vector<std::uint32_t>& lanes) {
  const UnitState& unit = ledger_.units()[worker.unit];
  std::vector<wire::Lease> list;
  for (const std::uint32_t lane : lanes) {
    look_again(worker, lane);
    wire::Lease lease;
    lease.kind = wire::LeaseKind::kShard;
    lease.shard = lane;
    lease.epoch = leases_[worker.unit].lanes[lane].epoch;
    lease.state_follows = ledger_.keeps_state(unit) || unit.is_sink();
    lease.watermark = unit.lanes[lane].advanced;
    list.push_back(lease);
  }
  send(worker, MessageType::kGrant, wire::encode_leases(list));
  if (unit.is_sink()) {
    // A sink's position is small and at hand.
    const auto sink = std::find_if(unit.stages().begin(), unit.stages().end(), [&](std::uint32_t stage) {
      return topology_.stages[stage].kind == PluginKind::kSink;
    });
    for (const std::uint32_t lane : lanes) {
      Bytes changes;
      if (!unit.lanes[lane].position.empty()) {
        wire::append_change(changes, {wire::Space::kPosition, {}, {}, BytesView(unit.lanes[lane].position)});
      }
      send_state(worker, {*sink, lane, !ledger_.keeps_state(unit), changes});
    }
  }
  // Whoever has a disk of its own says first what lies there.
  if (ledger_.keeps_state(unit) && !keeps_local(unit)) restore(worker, lanes);
}

void Core::look_again(Worker& worker, std::uint32_t lane) {
  for (const Cursor& cursor : ledger_.units()[worker.unit].lanes[lane].cursors) {
    worker.scan[cursor.input] = std::min(worker.scan[cursor.input], cursor.frame);
  }
}

void Core::restore(Worker& worker, const std::vector<std::uint32_t>& lanes) {
  const UnitState& unit = ledger_.units()[worker.unit];
  const bool local = keeps_local(unit);
  std::set<std::uint32_t> on_top;
  for (const std::uint32_t lane : lanes) {
    const auto has = worker.local.find(lane);
    if (has != worker.local.end() && fits(unit, has->second)) on_top.insert(lane);
  }
  RestoreJob job = restore_job(worker, lanes, std::move(on_top), ledger_.next_sequence());
  job.through = local ? durable_.value() : 0;
  const bool unwritten = std::any_of(job.parts.begin(), job.parts.end(), [](const auto& part) {
    return !part.tail.empty() && !part.tail.back().place.written();
  });
  // On a disk of its own a worker has nothing that this one may lose, nor lacks what a reset has made void that this
  // one may forget.
  const bool undurable = local && std::any_of(job.parts.begin(), job.parts.end(), [&](const auto& part) {
                           return (!part.tail.empty() && part.tail.back().sequence >= durable_) ||
                                  (part.reset_before != 0 && Sequence(part.reset_before) >= durable_);
                         });
  if (undurable) want_durable();
  // What is not written yet cannot be read back: pump() comes again when it is.
  if (unwritten || undurable) {
    restores_waiting_.push_back({worker.incarnation, lanes});
    return;
  }
  upkeep_.on_restore(job);
  outside_.restore(std::move(job));
}

RestoreJob Core::restore_job(const Worker& worker, std::vector<std::uint32_t> lanes, std::set<std::uint32_t> on_top,
                             Sequence end) const {
  const std::set<std::uint32_t> wanted(lanes.begin(), lanes.end());
  RestoreJob job;
  job.incarnation = worker.incarnation;
  job.lanes = std::move(lanes);
  job.on_top = std::move(on_top);
  job.segment_from = UINT64_MAX;
  for (const std::uint32_t stage : ledger_.units()[worker.unit].stages()) {
    const Changelog& changelog = ledger_.changelog(stage);
    RestoreJob::Part part;
    part.stage = stage;
    part.file = changelog.newest() ? changelog.newest()->file : 0;
    part.file_reset = changelog.snapshot_reset();
    part.reset_before = changelog.reset_before();
    for (const ChangesPlace& changes : changelog.tail()) {
      if (changes.sequence >= end) break;
      if (wanted.count(changes.lane) == 0) continue;
      const bool has_it =
          job.on_top.contains(changes.lane) && changes.sequence.value() < worker.local.at(changes.lane).through;
      if (has_it) continue;
      job.segment_from = std::min(job.segment_from, changes.place.segment);
      part.tail.push_back(changes);
    }
    job.parts.push_back(std::move(part));
  }
  return job;
}

void Core::retry_restores() {
  std::vector<std::pair<Incarnation, std::vector<std::uint32_t>>> waiting;
  waiting.swap(restores_waiting_);
  for (const auto& [incarnation, lanes] : waiting) {
    if (Worker* worker = find_worker(incarnation)) restore(*worker, lanes);
  }
}

void Core::send_state(Worker& worker, const wire::StatePart& part) {
  worker.on_sent(part.changes.size(), 0, now_);
  send(worker, MessageType::kState, wire::encode_state(part));
}

void Core::on_restored(RestoreJob job) {
  if (job.incarnation == Incarnation()) return on_relocated(std::move(job));
  if (job.finished) return upkeep_.on_restored(job);
  restores_paused_.push_back(std::move(job));
  resume_restores();
}

void Core::resume_restores() {
  for (std::size_t left = restores_paused_.size(); left != 0; --left) {
    RestoreJob job = std::move(restores_paused_.front());
    restores_paused_.pop_front();
    const Worker* worker = find_worker(job.incarnation);
    if (worker == nullptr || (job.ahead != 0 && !is_ahead(job))) {
      upkeep_.on_restored(job);
    } else if (worker->admits(0, 0) && worker->under_way() <= shards_under_way_max() / 4) {
      // So much is read ahead that the worker need not wait, and the rest is left to records for its other lanes.
      outside_.restore(std::move(job));
    } else {
      restores_paused_.push_back(std::move(job));
    }
  }
}

void Core::on_state(Incarnation incarnation, const wire::StatePart& part) {
  if (incarnation == Incarnation()) return on_relocated_state(part);
  Worker* worker = find_worker(incarnation);
  if (worker == nullptr) return;
  if (part.ahead != 0) return on_state_ahead(*worker, part);
  send_state(*worker, part);
  if (!part.last) return;
  LaneLease& lease = leases_[worker->unit].lanes[part.shard];
  if (lease.holder != incarnation || lease.state != LaneLease::State::kRestoring) return;
  lease.state = LaneLease::State::kHeld;
  leases_[worker->unit].dirty = true;  // the next one may move
  // What came meanwhile was passed over for the sake of the worker's other lanes.
  look_again(*worker, part.shard);
}

void Core::send_finishes(std::uint32_t index) {
  const UnitState& unit = ledger_.units()[index];
  UnitLeases& leases = leases_[index];
  bool any_ended = unit.intake() == Intake::kSplits && unit.stages().size() > 1;
  for (std::uint32_t input = 0; input < unit.inputs().size(); ++input)
    any_ended |= !unit.rests(input) && ledger_.stream(unit.inputs()[input]).ended;
  if (!any_ended || unit.finished) return;
  // All of a loop's stages finish behind its end, so that what one emits then can never go round.
  if (unit.loop != 0 && !ledger_.loop_ended(unit.loop)) return;
  if (acknowledges_peers(unit) && !knows_its_peers(index)) return;
  std::map<Incarnation, std::vector<std::uint32_t>> finishes;
  for (std::uint32_t lane = 0; lane < leases.lanes.size(); ++lane) {
    LaneLease& lease = leases.lanes[lane];
    if (unit.lanes[lane].finished || lease.finish_sent || unit.barrier(lane) != nullptr) continue;
    if (unit.intake() == Intake::kSplits && !unit.lanes[lane].split_ended) continue;
    const bool consumed =
        std::all_of(unit.lanes[lane].cursors.begin(), unit.lanes[lane].cursors.end(), [&](const Cursor& cursor) {
          const StreamState& stream = ledger_.stream(unit.inputs()[cursor.input]);
          if (unit.rests(cursor.input)) return true;
          return stream.ended && cursor.offset == stream.next_offset(cursor.shard);
        });
    if (!consumed || ledger_.requeued_waits(unit, lane)) continue;
    if (unit.intake() == Intake::kRanges) {
      if (lease.state == LaneLease::State::kFree) {
        const auto workers = workers_of(index);
        if (workers.empty()) return;
        lease.holder = workers[leases.worker_next++ % workers.size()]->incarnation;
        lease.state = LaneLease::State::kHeld;
        ++find_worker(lease.holder)->lanes;
      }
    }
    if (lease.state != LaneLease::State::kHeld) continue;
    lease.finish_sent = true;
    finishes[lease.holder].push_back(lane);
  }
  for (const auto& [incarnation, lanes] : finishes) {
    if (Worker* worker = find_worker(incarnation)) send(*worker, MessageType::kFinish, wire::encode_shards(lanes));
  }
}

}  // namespace weir::core
