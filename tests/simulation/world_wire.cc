// SPDX-License-Identifier: Apache-2.0
// Workers, producers and what lies between them and the broker.
#include <utility>

#include "sdk/wire/map.h"
#include "tests/simulation/model_producer.h"
#include "tests/simulation/worker_process.h"
#include "tests/simulation/world.h"

namespace weir::simulation {

void World::start_workers() {
  const std::vector<StageSpec>& stages = topology().stages;
  for (std::uint32_t stage = 0; stage < stages.size(); ++stage) {
    if (stages[stage].host != stage || stages[stage].resting) continue;
    for (std::uint32_t index = 0; index < wanted_workers(stage); ++index) start_worker_later(stage, index);
  }
}

void World::produce(std::uint32_t producer) {
  producers_[producer]->work();
  if (!producers_[producer]->done()) later(micros(20'000), [this, producer] { produce(producer); });
}

void World::answer_duplicate(const core::Client& client, BytesView message) {
  const auto map = wire::MapReader::parse(message);
  if (!map.ok() || map->op() != "publish" || !broker_) return;
  const auto number = static_cast<std::uint64_t>(map->integer("number", 0));
  std::uint64_t& most = published_[client];
  if (number > most) {
    most = number;
    return;
  }
  wire::MapWriter answer("acknowledged");
  answer.put("number", number);
  reply(client, std::move(answer).finish());
}

void World::ask(const core::Client& client, Bytes message) {
  if (chance(plan_.drops_per_million)) {
    ++outcome_.messages_dropped;
    return trace("dropped", 0);
  }
  const int times = chance(plan_.doubles_per_million) ? 2 : 1;
  outcome_.messages_doubled += times - 1;
  for (int i = 0; i < times; ++i) {
    on_connection(asked_[client], micros(3000), [this, client, message, sent = ++sent_] {
      count_overtaken(sent);
      trace("asked", 0, message);
      with_core([&] { broker_->core->on_client(client, message, now_); });
      if (has(Bug::kDuplicateAnswered)) answer_duplicate(client, message);
    });
  }
}

void World::start_worker(std::uint32_t stage, std::uint32_t index) {
  const std::int64_t pid = ++pids_;
  trace("worker", static_cast<std::uint64_t>(pid));
  auto& worker = workers_[pid];
  worker = std::make_unique<WorkerProcess>(*this, stage, index, pid);
  worker->begin();
  later(micros(1000), [this, pid] { work(pid); });
}

void World::work(std::int64_t pid) {
  const auto found = workers_.find(pid);
  if (found == workers_.end()) return;
  if (!found->second->alive()) {
    workers_.erase(found);
    return;
  }
  found->second->work();
  later(micros(20'000), [this, pid] { work(pid); });
}

void World::exited(WorkerProcess& worker, const std::optional<core::FatalRecord>& fatal) {
  ++outcome_.worker_deaths;
  trace("died", static_cast<std::uint64_t>(worker.pid()));
  const std::uint32_t stage = worker.stage();
  const std::uint32_t index = worker.index();
  if (fatal) ++outcome_.deaths_by_record;
  const auto blamed = has(Bug::kSigkillBlamed) ? worker.last_record() : fatal;
  later(micros(100'000), [this, stage, index, pid = worker.pid(), blamed] {
    with_core([&] { broker_->core->on_died(stage, index, pid, now_, blamed); });
  });
  // Where stages are scaled it may have been one too many, and be wanted by now.
  const bool superfluous = (plan_.scales || plan_.upgrades) && !stages_finished_.contains(stage);
  if (worker.stopped() && !superfluous) return;
  start_worker_later(stage, index);
}

void World::say_hello(const WorkerProcess& worker, Bytes message) {
  later(micros(2000), [this, client = std::to_string(worker.pid()), message = std::move(message)] {
    trace("hello", 0, message);
    with_core([&] { broker_->core->on_client(client, message, now_); });
  });
}

bool World::backlog_is_full() {
  for (std::uint32_t stream = 0; stream < topology_.streams.size(); ++stream) {
    if (topology_.streams[stream].transport != Transport::kQueue) continue;
    if (broker_->core->ledger().stream(stream).bytes_kept() >= topology_.streams[stream].backlog_bytes_max) return true;
  }
  return false;
}

void World::to_broker(std::int64_t pid, Bytes message) {
  if (has(Bug::kGapUnseen)) {
    auto header = *wire::decode_header(message);
    if (header.number != 0) header.number -= unseen_[pid];
    message = wire::message(header, Bytes(wire::body_of(message).begin(), wire::body_of(message).end()));
    if (header.type == wire::MessageType::kCommit && chance(5000)) {
      ++unseen_[pid];
      return trace("unseen", static_cast<std::uint64_t>(pid));
    }
  }
  if (chance(plan_.drops_per_million)) {
    ++outcome_.messages_dropped;
    return trace("dropped", static_cast<std::uint64_t>(pid));
  }
  const int times = chance(plan_.doubles_per_million) ? 2 : 1;
  outcome_.messages_doubled += times - 1;
  for (int i = 0; i < times; ++i) {
    on_connection(to_broker_[pid], micros(3000), in_flight(pid, [this, message, sent = ++sent_] {
                    count_overtaken(sent);
                    trace("to broker", 0, message);
                    const auto header = *wire::decode_header(message);
                    if (header.type == wire::MessageType::kCommit && has_no_rights(header.incarnation))
                      ++outcome_.zombie_commits;
                    const bool refused = has(Bug::kBacklogRefuses) && broker_ && broker_->core && backlog_is_full() &&
                                         header.type == wire::MessageType::kCommit;
                    if (refused) return;
                    with_core([&] { broker_->core->on_message(core::Buffer::of(message), now_); });
                  }));
  }
}

void World::to_peer(std::int64_t from, std::int64_t to, Bytes message) {
  on_connection(to_peer_[{from, to}], micros(3000), [this, to, message = std::move(message)] {
    trace("to peer", static_cast<std::uint64_t>(to), message);
    const auto found = workers_.find(to);
    if (found != workers_.end() && found->second->alive()) found->second->on_message(message);
  });
}

void World::reply(const core::Client& client, Bytes message) {
  if (client.starts_with(kPerson)) return answered(client, message);
  if (client.front() == 'p') {
    check_told(client, message);
    // ROUTER drops in silence what a producer is too slow for
    if (chance(plan_.drops_per_million)) {
      ++outcome_.messages_dropped;
      return trace("dropped", 0);
    }
    const Monotonic delay = micros(2000);
    Lane& lane = asked_["to " + client];
    // Answers on a connection come in order, which matters once many questions come at a time; in earlier eras they
    // might overtake each other.
    if (plan_.delays_per_million == 0) lane = Lane{0};
    return in_lane(lane, delay, [this, client, message = std::move(message)] {
      trace("answer", 0, message);
      for (const auto& producer : producers_) {
        if (producer->client() == client) producer->on_answer(message);
      }
    });
  }
  later(micros(2000), [this, pid = std::stoll(client), message = std::move(message)] {
    trace("reply", static_cast<std::uint64_t>(pid), message);
    const auto found = workers_.find(pid);
    if (found != workers_.end() && found->second->alive()) found->second->on_reply(message);
  });
}

void World::connect(Incarnation incarnation, const std::string& inbox) {
  inboxes_[incarnation] = {std::stoll(inbox), Lane{0}};
}

void World::disconnect(Incarnation incarnation) { inboxes_.erase(incarnation); }

void World::send(Incarnation incarnation, Bytes message) {
  const auto inbox = inboxes_.find(incarnation);
  if (inbox == inboxes_.end()) return problem("the core sent to an inbox that is not connected");
  if (chance(plan_.drops_per_million)) {
    ++outcome_.messages_dropped;
    return trace("dropped", incarnation.value());
  }
  auto& [pid, lane] = inbox->second;
  if (const auto worker = workers_.find(pid); worker != workers_.end()) {
    check_sent(*worker->second, message);
    check_grants(*worker->second, message);
  }
  on_connection(lane, micros(3000), in_flight(pid, [this, pid = pid, message = std::move(message)] {
                  trace("to worker", static_cast<std::uint64_t>(pid), message);
                  const auto found = workers_.find(pid);
                  if (found != workers_.end() && found->second->alive()) found->second->on_message(message);
                }));
}

}  // namespace weir::simulation
