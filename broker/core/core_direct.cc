// SPDX-License-Identifier: Apache-2.0
// Streams that go from worker to worker, past the broker: it says who is there, and keeps account of what arrives.
#include <algorithm>

#include "broker/core/core.h"

namespace weir::core {

using wire::MessageType;

namespace {

/// A stop waits so long for what is on its way between workers.
constexpr Monotonic kDrainPeers{5'000'000};

bool reads(const UnitState& unit, std::uint32_t stream) {
  const auto at = unit.find(stream, 0);
  return at && !unit.rests(unit.cursor(*at).input);
}

bool writes(const UnitState& unit, std::uint32_t stream) {
  return std::find(unit.outputs().begin(), unit.outputs().end(), stream) != unit.outputs().end();
}

bool any_direct(const Topology& topology, const std::vector<std::uint32_t>& streams) {
  return std::any_of(streams.begin(), streams.end(),
                     [&](std::uint32_t stream) { return is_direct(topology.streams[stream].transport); });
}

}  // namespace

bool Core::sends_to_peers(const UnitState& unit) const { return any_direct(topology_, unit.outputs()); }

bool Core::takes_from_peers(const UnitState& unit) const { return any_direct(topology_, unit.inputs()); }

bool Core::acknowledges_peers(const UnitState& unit) const {
  return std::any_of(unit.inputs().begin(), unit.inputs().end(), [&](std::uint32_t stream) {
    return topology_.streams[stream].transport == Transport::kSendReceive;
  });
}

bool Core::knows_its_peers(std::uint32_t unit) const {
  return !peers_changed_ && std::all_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    const Worker& worker = entry.second;
    return worker.unit != unit || worker.state != Worker::State::kReady || worker.peers_confirmed == worker.peers_told;
  });
}

void Core::lose_what_was_on_the_way() {
  // Whoever had it is void, as all incarnations before this start.
  std::vector<Lost> lost;
  for (std::uint32_t stream = 0; stream < topology_.streams.size(); ++stream) {
    if (!is_direct(topology_.streams[stream].transport)) continue;
    if (const std::uint64_t records = ledger_.on_the_way(stream); records != 0) lost.push_back({stream, records});
  }
  enter_lost(lost);
}

std::vector<wire::Peer> Core::peers_of(const Worker& worker) const {
  std::vector<wire::Peer> peers;
  const UnitState& unit = ledger_.units()[worker.unit];
  // Who is drained may still have something to send; who leaves, or has been told to drain, gets nothing more.
  const auto sends = [](const Worker& each) {
    return each.state != Worker::State::kConnecting && each.state != Worker::State::kStopping;
  };
  const auto takes = [](const Worker& each) { return each.state == Worker::State::kReady && !each.leaving; };
  std::vector<std::uint32_t> streams;
  std::set<std::uint32_t> not_yet;  // of what it is to publish
  for (std::uint32_t stream = 0; stream < topology_.streams.size(); ++stream) {
    if (is_direct(topology_.streams[stream].transport) && (writes(unit, stream) || reads(unit, stream)))
      streams.push_back(stream);
    if (is_published(stream) && writes(unit, stream) && !may_publish_to(stream, worker)) not_yet.insert(stream);
  }
  for (const auto& [incarnation, other] : workers_) {
    if (other.trial) continue;
    const UnitState& theirs = ledger_.units()[other.unit];
    wire::Peer peer{incarnation, other.inbox, {}, {}};
    for (const std::uint32_t stream : streams) {
      if (!not_yet.contains(stream) && writes(unit, stream) && reads(theirs, stream) && takes(other))
        peer.to.push_back(stream);
      if (writes(theirs, stream) && reads(unit, stream) && sends(other)) peer.from.push_back(stream);
    }
    if (!peer.to.empty() || !peer.from.empty()) peers.push_back(std::move(peer));
  }
  return peers;
}

bool Core::may_publish_to(std::uint32_t stream, const Worker& worker) const {
  if (published_waiting_.contains(stream)) return false;
  const bool begun = std::any_of(worker.peers.begin(), worker.peers.end(), [&](const wire::Peer& peer) {
    return std::find(peer.to.begin(), peer.to.end(), stream) != peer.to.end();
  });
  return begun || std::none_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
           return reads(ledger_.units()[entry.second.unit], stream) && !entry.second.producers_gone.empty();
         });
}

void Core::open_published() {
  std::erase_if(published_waiting_, [&](std::uint32_t stream) {
    const bool all = std::all_of(ledger_.units().begin(), ledger_.units().end(), [&](const UnitState& unit) {
      if (!reads(unit, stream)) return true;
      const auto is_there = [&](const auto& entry) {
        return &ledger_.units()[entry.second.unit] == &unit && entry.second.state == Worker::State::kReady;
      };
      return std::count_if(workers_.begin(), workers_.end(), is_there) >= ledger_.workers(unit.stage());
    });
    const bool opens = all || now_ - serving_since_ >= options_.silence;
    peers_changed_ |= opens;
    return opens;
  });
}

void Core::tell_peers() {
  open_published();
  if (!peers_changed_) return;
  peers_changed_ = false;
  for (auto& [incarnation, worker] : workers_) {
    const UnitState& unit = ledger_.units()[worker.unit];
    if (worker.state == Worker::State::kConnecting || worker.state == Worker::State::kStopping) continue;
    if (worker.trial) continue;
    if (!sends_to_peers(unit) && !takes_from_peers(unit)) continue;
    std::vector<wire::Peer> peers = peers_of(worker);
    if (peers == worker.peers) continue;
    worker.peers = std::move(peers);
    // What it stops taking from is known when it confirms this version.
    send(worker, MessageType::kPeers, wire::encode_peers({++worker.peers_told, worker.peers}));
    worker.readers_told.emplace_back(worker.peers_told, wire::readers_among(worker.peers, topology_));
  }
}

void Core::on_routed(Worker& worker, const wire::Routed& routed) {
  if (routed.version <= worker.peers_confirmed || routed.version > worker.peers_told)
    return fence(worker.incarnation, "it confirms peers that it was not told of");
  for (const wire::Sent& sent : routed.sent) {
    const bool known = sent.stream < topology_.streams.size() && counts_arrivals(sent.stream) &&
                       writes(ledger_.units()[worker.unit], sent.stream);
    if (!known) return fence(worker.incarnation, "it says that it sent to a stream that it does not write");
    const std::string wrong = is_published(sent.stream)
                                  ? published_.withdrawn(worker.incarnation, sent.to, sent.stream, sent.records)
                                  : accounts_.withdrawn(worker.incarnation, sent.to, find_worker(sent.to) == nullptr,
                                                        sent.stream, sent.records);
    if (!wrong.empty()) return fence(worker.incarnation, wrong);
  }
  worker.peers_confirmed = routed.version;
  for (; !worker.readers_told.empty() && worker.readers_told.front().first <= routed.version;
       worker.readers_told.pop_front())
    worker.readers = std::move(worker.readers_told.front().second);
  std::set<Incarnation> through;
  for (auto gone = worker.producers_gone.begin(); gone != worker.producers_gone.end();) {
    if (gone->second > routed.version) {
      ++gone;
      continue;
    }
    through.insert(gone->first);
    gone = worker.producers_gone.erase(gone);
  }
  const auto& inputs = ledger_.units()[worker.unit].inputs();
  const bool subscribes = std::any_of(inputs.begin(), inputs.end(), [&](auto stream) { return is_published(stream); });
  peers_changed_ |= subscribes && !through.empty();  // another may begin to publish to it
  accounts_.through(worker.incarnation, through);
  published_.through(worker.incarnation, through);
  enter_lost(accounts_.collect());
  enter_lost(published_.collect());
}

void Core::forget_peer(Incarnation incarnation) {
  peers_changed_ = true;
  std::set<Incarnation> consumers;
  for (auto& [other, worker] : workers_) {
    const bool takes = std::any_of(worker.peers.begin(), worker.peers.end(), [&](const wire::Peer& peer) {
      return peer.incarnation == incarnation && !peer.from.empty();
    });
    if (!takes || other == incarnation) continue;
    consumers.insert(other);
    worker.producers_gone[incarnation] = worker.peers_told + 1;  // which leaves it out
  }
  accounts_.producer_gone(incarnation, consumers);
  accounts_.consumer_gone(incarnation);
  published_.producer_gone(incarnation, consumers);
  published_.reader_gone(incarnation);
  enter_lost(accounts_.collect());
  enter_lost(published_.collect());
}

std::string Core::judge_taken(const Worker& worker, const wire::DirectTaken& taken) const {
  if (!counts_arrivals(taken.stream)) return "";
  const Incarnation from(taken.producer);
  return is_published(taken.stream)
             ? published_.judge(worker.incarnation, from, taken.stream, taken.records, taken.lost)
             : accounts_.judge(from, taken.stream, taken.records, taken.lost);
}

std::optional<std::string> Core::judge_published(const Worker& worker, const wire::Commit& commit) const {
  std::size_t published = 0;
  for (const wire::DirectEmitted& emitted : commit.emitted) {
    if (!is_published(emitted.stream)) continue;
    ++published;
    const auto said = std::find_if(commit.published.begin(), commit.published.end(),
                                   [&](const auto& one) { return one.stream == emitted.stream; });
    const auto readers = worker.readers.find(emitted.stream);
    const std::size_t known = readers == worker.readers.end() ? 0 : readers->second.size();
    if (said == commit.published.end() || said->readers != known) return "it publishes to others than it was told of";
  }
  if (published != commit.published.size()) return "it publishes what it does not emit";
  return std::nullopt;
}

void Core::enter_direct(const Worker& worker, const wire::Commit& commit) {
  for (const wire::DirectTaken& taken : commit.taken) {
    if (!counts_arrivals(taken.stream)) continue;
    const Incarnation from(taken.producer);
    const std::string wrong = is_published(taken.stream)
                                  ? published_.take(worker.incarnation, from, taken.stream, taken.records, taken.lost)
                                  : accounts_.take(worker.incarnation, from, taken.stream, taken.records, taken.lost);
    WEIR_CHECK(wrong.empty(), "a transaction was judged before it is entered: " + wrong);
    stream_probes_[taken.stream].lost += taken.lost;
  }
  for (const wire::DirectEmitted& emitted : commit.emitted) {
    StreamProbe& probe = stream_probes_[emitted.stream];
    probe.records += emitted.records;
    probe.bytes += emitted.bytes;
    if (!is_published(emitted.stream)) {
      if (counts_arrivals(emitted.stream)) accounts_.emit(worker.incarnation, emitted.stream, emitted.records);
      continue;
    }
    probe.deliveries += emitted.records * commit.readers(emitted.stream);
    std::vector<Incarnation> there;
    const auto readers = worker.readers.find(emitted.stream);
    if (readers == worker.readers.end()) {
      probe.lost += emitted.records;  // as the ledger counts it
      continue;
    }
    for (const Incarnation reader : readers->second) {
      if (find_worker(reader) != nullptr) there.push_back(reader);
    }
    published_.emit(worker.incarnation, emitted.stream, emitted.records, there);
    published_.lose(emitted.stream, emitted.records * (readers->second.size() - there.size()));
  }
}

void Core::enter_lost(const std::vector<Lost>& lost) {
  if (lost.empty()) return;
  append({EntryType::kLost}, encode(lost), Durability::kNone);
  for (const Lost& one : lost) stream_probes_[one.stream].lost += one.records;
}

bool Core::owes_peers(const Worker& worker) const {
  return accounts_.on_the_way(worker.incarnation) + published_.on_the_way(worker.incarnation) != 0;
}

bool Core::parted_from_producers(const Worker& worker) const {
  for (const auto& [incarnation, producer] : workers_) {
    if (!sends_to_peers(ledger_.units()[producer.unit]) || producer.state == Worker::State::kStopping) continue;
    if (producer.trial) continue;
    const bool sends = std::any_of(producer.peers.begin(), producer.peers.end(), [&](const wire::Peer& peer) {
      return peer.incarnation == worker.incarnation && !peer.to.empty();
    });
    if (sends || producer.peers_confirmed != producer.peers_told) return false;
  }
  return accounts_.quiet(worker.incarnation) && published_.quiet(worker.incarnation);
}

bool Core::waits_for_peers(const Worker& worker) const {
  const UnitState& unit = ledger_.units()[worker.unit];
  if (!takes_from_peers(unit) || now_ - drain_began_ > kDrainPeers) return false;
  for (const std::uint32_t stream : unit.inputs()) {
    if (!is_direct(topology_.streams[stream].transport)) continue;
    if (ledger_.on_the_way(stream) != 0) return true;
    const bool more = std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
      const Worker& other = entry.second;
      return writes(ledger_.units()[other.unit], stream) &&
             (other.state == Worker::State::kReady || other.state == Worker::State::kDraining);
    });
    if (more) return true;
  }
  return false;
}

void Core::drain_behind_peers() {
  for (auto& [incarnation, worker] : workers_) {
    const bool leaves = worker.leaving && worker.state == Worker::State::kReady && parted_from_producers(worker);
    const bool drains = draining_ && worker.state == Worker::State::kReady && !waits_for_peers(worker);
    if (!leaves && !drains) continue;
    worker.state = Worker::State::kDraining;
    peers_changed_ = true;
    send(worker, MessageType::kDrain, {});
  }
}

}  // namespace weir::core
