// SPDX-License-Identifier: Apache-2.0
#include "stages/host/broker_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace weir::host {

using wire::MessageType;

namespace {

constexpr std::uint64_t kCapacityBytesMax = 32 << 20;
constexpr std::uint64_t kCapacityRecords = 1'000'000;
constexpr std::uint64_t kPeersBytesMax = 8 << 20;
/// Who sends at all often sends again within the least of these; and the end of a stream is not felt to be later by it,
/// where results may be late by commit_after, of which it is this part, or up to the most.
constexpr Monotonic kGatherGapMin = std::chrono::milliseconds(5);
constexpr Monotonic kGatherGapMax = std::chrono::milliseconds(50);
constexpr int kGatherGapPart = 20;

}  // namespace

Monotonic BrokerSession::gathers_until(Monotonic opened, Monotonic worked) const {
  const Monotonic gap = std::clamp<Monotonic>(commit_after_ / kGatherGapPart, kGatherGapMin, kGatherGapMax);
  return std::min(worked + gap, opened + commit_after_);
}

void BrokerSession::set_welcome(wire::WorkerWelcome welcome) {
  welcome_ = std::move(welcome);
  heard_ = beat_sent_ = clock();
}

void BrokerSession::start(const Topology& topology, std::uint32_t stage) {
  const StageSpec& spec = topology.stages[stage];
  commit_after_ = spec.commit_after;
  reads_ = spec.kind == PluginKind::kSource;
  durable_.through.reign = static_cast<std::uint32_t>(welcome_.incarnation.value() >> 32);
  for (const StageSpec& each : topology.stages) keeps_local_ |= each.host == stage && each.store == Store::kRocksDb;
  window_bytes_ = wire::commit_window(topology.broker.transaction_bytes_max, spec.memory_bytes);
  capacity_bytes_ = std::clamp<std::uint64_t>(spec.memory_bytes / 4, 64 << 10, kCapacityBytesMax);
  peers_inbox_.emplace(topology, welcome_.incarnation,
                       std::clamp<std::uint64_t>(spec.memory_bytes / 8, 64 << 10, kPeersBytesMax));
  outbox_.emplace(topology, welcome_.incarnation);
  publisher_.emplace(topology, stage, welcome_.incarnation);
  topology_ = &topology;
  send(MessageType::kReady, {});
  send_credit();
}

wire::MessageHeader BrokerSession::next_header(MessageType type) {
  return {type, wire::kWireVersion, 0, welcome_.incarnation.value(), ++sent_};
}

void BrokerSession::send(MessageType type, BytesView body, Follows follows) {
  transmit(wire::message(next_header(type), body), follows);
}

void BrokerSession::send_credit(Follows follows) {
  credited_ = worked_;
  send(MessageType::kCredit, wire::encode_totals({worked_.first + capacity_bytes_, worked_.second + kCapacityRecords}),
       follows);
}

void BrokerSession::worked_off(std::uint64_t bytes, std::uint64_t records) {
  worked_.first += bytes;
  worked_.second += records;
  // The broker judges by what is under way who is idle: small amounts are told too, but not one by one.
  const bool much = worked_.first - credited_.first >= std::min<std::uint64_t>(capacity_bytes_ / 4, 64 << 10);
  if (much || worked_.second - credited_.second >= kCapacityRecords / 4) send_credit();
}

void BrokerSession::commit(Bytes message) {
  ++committed_;
  const std::size_t size = wire::body_of(message).size();
  published_ += wire::publish_cost(size);
  unaccepted_.emplace_back(committed_, size);
  unaccepted_bytes_ += size;
  if (keeps_local_) {
    undurable_.emplace_back(committed_, size);
    undurable_bytes_ += size;
  }
  const bool leaves_at_once = unsent_.empty() && releases_.empty() && (!outbox_ || outbox_->acknowledged(committed_));
  if (worked_ != credited_) send_credit(leaves_at_once ? Follows::kMore : Follows::kNothing);
  unsent_.emplace_back(committed_, std::move(message));
  if (outbox_) serve_peers(false);
  send_commits();
}

void BrokerSession::send_commits() {
  const auto let_go = [&] {
    for (; !releases_.empty() && (unsent_.empty() || unsent_.front().first > releases_.front().first);
         releases_.pop_front())
      send(MessageType::kReleased, releases_.front().second);
  };
  let_go();
  while (!unsent_.empty() && (!outbox_ || outbox_->acknowledged(unsent_.front().first))) {
    wire::put_header(unsent_.front().second, next_header(MessageType::kCommit));
    transmit(std::move(unsent_.front().second), Follows::kNothing);
    unsent_.pop_front();
    let_go();
  }
  if (!drained_) return;
  // Nobody is left who could acknowledge them: they are dropped, and their input comes again.
  if (!unsent_.empty() && outbox_->has_consumers()) return;
  unsent_.clear();
  drained_ = false;
  send(MessageType::kDrained, {});
}

void BrokerSession::commit_direct(DirectPart part) {
  const auto published =
      std::stable_partition(part.outputs.begin(), part.outputs.end(),
                            [&](const DirectOutput& output) { return !is_published(output.stream); });
  publisher_->hold(committed_ + 1, {std::make_move_iterator(published), std::make_move_iterator(part.outputs.end())});
  part.outputs.erase(published, part.outputs.end());
  outbox_->hold(committed_ + 1, std::move(part.outputs));
  peers_inbox_->commit(committed_ + 1, part.taken);
}

void BrokerSession::worked_off_direct(std::uint32_t stream, Incarnation producer, std::uint64_t bytes) {
  peers_inbox_->worked_off(stream, producer, bytes);
  serve_peers(false);
}

void BrokerSession::serve_peers(bool all_credit) {
  for (auto& [to, message] : peers_inbox_->credits(all_credit)) {
    if (peers_.contains(to)) transmit_to(to, std::move(message));
  }
  for (auto& [to, message] : peers_inbox_->acknowledgements(clock())) {
    if (peers_.contains(to)) transmit_to(to, std::move(message));
  }
  while (auto outgoing = outbox_->next()) transmit_to(outgoing->to, std::move(outgoing->message));
  while (auto outgoing = publisher_->next()) transmit_to(outgoing->to, std::move(outgoing->message));
}

void BrokerSession::hear_direct(const wire::DirectHeader& header, const Received& received) {
  if (header.to != welcome_.incarnation.value()) return;  // of one that had this place before
  if (header.type == MessageType::kRecordsCredit)
    return is_published(header.stream) ? publisher_->take_credit(header) : outbox_->take_credit(header);
  if (header.type == MessageType::kRecordsDone) return outbox_->take_done(header);
  peers_inbox_->receive(header, received.owner, wire::records_of(received.message));
}

void BrokerSession::hear_peers(wire::Peers peers) {
  std::set<Incarnation> now;
  std::set<Incarnation> producers;
  for (const wire::Peer& peer : peers.peers) {
    now.insert(peer.incarnation);
    if (!peer.from.empty()) producers.insert(peer.incarnation);
    if (peers_.insert(peer.incarnation).second) connect_peer(peer.incarnation, peer.inbox);
  }
  Unconfirmed unconfirmed{{peers.version, outbox_->set_peers(peers.peers)}, {}};
  for (const wire::Sent& sent : publisher_->set_peers(peers.peers)) unconfirmed.routed.sent.push_back(sent);
  for (const Incarnation producer : producers_) {
    if (!producers.contains(producer)) unconfirmed.parting.insert(producer);
  }
  for (auto peer = peers_.begin(); peer != peers_.end();) {
    if (now.contains(*peer)) {
      ++peer;
      continue;
    }
    disconnect_peer(*peer);
    peer = peers_.erase(peer);
  }
  producers_ = std::move(producers);
  peers_inbox_->set_peers(peers.peers);
  unconfirmed_.push_back(std::move(unconfirmed));
}

void BrokerSession::confirm_peers() {
  // What waits to be sent is meant for the readers of before: it must come to the broker before the word of others.
  if (publisher_->publishes() && !unsent_.empty()) return;
  while (!unconfirmed_.empty()) {
    Unconfirmed& first = unconfirmed_.front();
    const bool through = std::all_of(first.parting.begin(), first.parting.end(),
                                     [&](Incarnation producer) { return peers_inbox_->through(producer); });
    if (!through) return;
    for (const Incarnation producer : first.parting) peers_inbox_->part_from(producer);
    send(MessageType::kRouted, wire::encode_routed(first.routed));
    publisher_->confirm();
    unconfirmed_.pop_front();
  }
}

void BrokerSession::release(const std::vector<wire::Lease>& leases) {
  releases_.emplace_back(committed_, wire::encode_leases(leases));
  send_commits();
}

void BrokerSession::beat(const wire::Measured& measured) {
  beat_sent_ = clock();
  if (sent_ == 0) return;
  transmit(wire::message({MessageType::kBeat, wire::kWireVersion, 0, welcome_.incarnation.value(), sent_},
                         wire::encode_measured(measured)),
           Follows::kNothing);
}

Event BrokerSession::lost(std::string sentence) {
  Event event;
  event.kind = Event::Kind::kLost;
  event.sentence = std::move(sentence);
  return event;
}

void BrokerSession::pump() {
  if (!leaving_ && asked_to_leave()) {
    leaving_ = true;
    send(MessageType::kLeaving, {});
  }
  while (!urgent_) {
    const auto received = receive();
    if (!received) break;
    if (const auto direct = wire::decode_direct(received->message)) {
      if (outbox_) hear_direct(*direct, *received);
      continue;
    }
    heard_ = clock();
    auto event = hear(*received);
    if (!event) continue;
    switch (event->kind) {
      case Event::Kind::kDrain:
      case Event::Kind::kStop:
      case Event::Kind::kFenced:
      case Event::Kind::kLost:
        urgent_ = std::move(event);
        break;
      default:
        events_.push_back(std::move(*event));
    }
  }
  // All that had come before is taken in: what a peer that is gone had sent is not thrown away with it.
  if (outbox_ && !urgent_) {
    send_commits();
    confirm_peers();
    serve_peers(false);
  }
  if (!urgent_ && clock() - heard_ > welcome_.silence) urgent_ = lost("the broker was silent for too long");
}

bool BrokerSession::urgent() {
  pump();
  return urgent_.has_value();
}

std::optional<Event> BrokerSession::take(bool waits) {
  if (urgent_) {
    // What came before is not begun any more: its records stay with the broker.
    events_.clear();
    if (peers_inbox_) peers_inbox_->drop();
    return std::exchange(urgent_, std::nullopt);
  }
  // Nothing is under way that a commit will tell of: the broker waits for this, if its next batch needs all there is.
  if (waits && events_.empty() && worked_ != credited_) send_credit();
  if (peers_inbox_ && !peers_inbox_->empty()) {
    const bool others = !events_.empty();
    const bool records_next = others && (events_.front().kind == Event::Kind::kDeliver);
    // None waits for another, and what changes leases waits for nobody.
    if (has_window() && may_publish() && (!others || (records_next && !peer_was_last_))) {
      if (auto event = peers_inbox_->take(clock())) {
        peer_was_last_ = true;
        return event;
      }
      if (!others) serve_peers(true);
    }
  } else if (peers_inbox_ && events_.empty()) {
    serve_peers(true);
  }
  peer_was_last_ = false;
  const auto carries_records = [](const Event& event) {
    return event.kind == Event::Kind::kDeliver || event.kind == Event::Kind::kRequeued;
  };
  const bool held = !events_.empty() && carries_records(events_.front()) && !has_window();
  if (events_.empty() || held) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::optional<Event> BrokerSession::hear(const Received& received) {
  const BytesView message = received.message;
  const auto header = wire::decode_header(message);
  if (!header || header->incarnation != welcome_.incarnation.value())
    return std::nullopt;  // stale, or nobody's of ours
  if (header->type == MessageType::kBeatDown) {
    if (header->number != received_)
      return lost(fmt::format("a message from the broker was lost: {} of {} came", received_, header->number));
    return std::nullopt;
  }
  if (header->number != received_ + 1)
    return lost(fmt::format("message {} of the broker came where {} was due", header->number, received_ + 1));
  received_ = header->number;
  const BytesView body = wire::body_of(message);
  const auto broken = [&](const Error& error) { return lost("the broker sent " + error.message); };
  Event event;
  event.owner = received.owner;
  switch (header->type) {
    case MessageType::kGrant:
    case MessageType::kRevoke: {
      auto leases = wire::decode_leases(body);
      if (!leases.ok()) return broken(leases.error());
      event.kind = header->type == MessageType::kGrant ? Event::Kind::kGrant : Event::Kind::kRevoke;
      event.leases = std::move(*leases);
      return event;
    }
    case MessageType::kState: {
      const auto part = wire::decode_state(body);
      if (!part.ok()) return broken(part.error());
      event.kind = Event::Kind::kState;
      event.state = *part;
      return event;
    }
    case MessageType::kDeliver: {
      auto delivery = wire::decode_delivery(body);
      if (!delivery.ok()) return broken(delivery.error());
      event.kind = Event::Kind::kDeliver;
      event.delivery = std::move(*delivery);
      return event;
    }
    case MessageType::kRequeued: {
      const auto requeued = wire::decode_requeued(body);
      if (!requeued.ok()) return broken(requeued.error());
      event.kind = Event::Kind::kRequeued;
      event.requeued = *requeued;
      return event;
    }
    case MessageType::kCondemned: {
      auto condemned = wire::decode_condemned(body);
      if (!condemned.ok()) return broken(condemned.error());
      event.kind = Event::Kind::kCondemned;
      event.condemned = std::move(*condemned);
      return event;
    }
    case MessageType::kCommitted: {
      const auto totals = wire::decode_totals(body);
      if (!totals.ok()) return broken(totals.error());
      accepted_ = totals->first;
      settled_ = totals->second;
      if (outbox_) outbox_->release(settled_);
      if (publisher_) publisher_->release(settled_);
      if (peers_inbox_) peers_inbox_->accepted(accepted_);
      while (!unaccepted_.empty() && unaccepted_.front().first <= accepted_) {
        unaccepted_bytes_ -= unaccepted_.front().second;
        unaccepted_.pop_front();
      }
      return std::nullopt;
    }
    case MessageType::kDurable: {
      const auto totals = wire::decode_totals(body);
      if (!totals.ok()) return broken(totals.error());
      durable_.transaction = totals->first;
      durable_.through.through = totals->second;
      while (!undurable_.empty() && undurable_.front().first <= durable_.transaction) {
        undurable_bytes_ -= undurable_.front().second;
        undurable_.pop_front();
      }
      return std::nullopt;
    }
    case MessageType::kSuspect: {
      auto suspect = wire::decode_suspect(body);
      if (!suspect.ok()) return broken(suspect.error());
      if (peers_inbox_) peers_inbox_->suspect(std::move(*suspect));
      return std::nullopt;
    }
    case MessageType::kPeers: {
      auto peers = wire::decode_peers(body);
      if (!peers.ok()) return broken(peers.error());
      hear_peers(std::move(*peers));
      return std::nullopt;
    }
    case MessageType::kPublish: {
      const auto totals = wire::decode_totals(body);
      if (!totals.ok()) return broken(totals.error());
      publish_granted_ = totals->first;
      if (totals->second != 0) publish_at_once_ = totals->second;
      return std::nullopt;
    }
    case MessageType::kFinish: {
      auto shards = wire::decode_shards(body);
      if (!shards.ok()) return broken(shards.error());
      event.kind = Event::Kind::kFinish;
      event.shards = std::move(*shards);
      return event;
    }
    case MessageType::kDrain:
      event.kind = Event::Kind::kDrain;
      return event;
    case MessageType::kStop:
      event.kind = Event::Kind::kStop;
      return event;
    case MessageType::kFenced: {
      const auto sentence = wire::decode_sentence(body);
      event.kind = Event::Kind::kFenced;
      event.sentence = sentence.ok() ? *sentence : std::string();
      return event;
    }
    default:
      return lost(fmt::format("the broker sent a message of unknown type {}", static_cast<int>(header->type)));
  }
}

}  // namespace weir::host
