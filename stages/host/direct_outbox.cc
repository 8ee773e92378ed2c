// SPDX-License-Identifier: Apache-2.0
#include "stages/host/direct_outbox.h"

#include <algorithm>
#include <utility>

namespace weir::host {

std::vector<wire::Sent> DirectOutbox::set_peers(const std::vector<wire::Peer>& peers) {
  std::map<std::uint32_t, std::vector<Incarnation>> consumers;
  for (const wire::Peer& peer : peers) {
    for (const std::uint32_t stream : peer.to) {
      if (topology_.streams[stream].transport != Transport::kPubSub) consumers[stream].push_back(peer.incarnation);
    }
  }
  std::vector<wire::Sent> left_out;
  for (auto& [stream, outflow] : outflows_) {
    const std::vector<Incarnation>& now = consumers[stream];
    const bool counted = topology_.streams[stream].transport == Transport::kPushPull;
    std::erase_if(outflow.links, [&, stream = stream, &to = outflow](Link& link) {
      if (std::find(now.begin(), now.end(), link.to) != now.end()) return false;
      if (counted) left_out.push_back({stream, link.to, link.records});
      if (link.done_of_next != 0) {
        Piece& begun = link.sent.front();
        bytes_ -= begun.records.size();
        begun.drop_first(link.done_of_next, wire::batch_bytes_max(topology_));
        bytes_ += begun.records.size();
      }
      for (; !link.sent.empty(); link.sent.pop_back()) to.pieces.push_front(std::move(link.sent.back()));
      return true;
    });
  }
  for (const auto& [stream, now] : consumers) {
    Outflow& to = outflow(stream);
    for (const Incarnation consumer : now) {
      const auto known = [&](const Link& link) { return link.to == consumer; };
      if (std::any_of(to.links.begin(), to.links.end(), known)) continue;
      Link link;
      link.to = consumer;
      if (const std::uint64_t early = early_.take(consumer, stream); early != 0) link.credit.take(early);
      to.links.push_back(std::move(link));
    }
  }
  return left_out;
}

DirectOutbox::Outflow& DirectOutbox::outflow(std::uint32_t stream) {
  return outflows_.try_emplace(stream, topology_.streams[stream].compression).first->second;
}

void DirectOutbox::hold(std::uint64_t transaction, std::vector<DirectOutput> outputs) {
  std::erase_if(outputs, [&](const DirectOutput& output) {
    bytes_ += output.records.size();
    if (topology_.streams[output.stream].transport == Transport::kPushPull) return false;
    cut(transaction, output);
    return true;
  });
  if (!outputs.empty()) held_.push_back({transaction, std::move(outputs)});
}

void DirectOutbox::release(std::uint64_t transaction) {
  for (; !held_.empty() && held_.front().transaction <= transaction; held_.pop_front()) {
    for (const DirectOutput& output : held_.front().outputs) cut(held_.front().transaction, output);
  }
}

void DirectOutbox::cut(std::uint64_t transaction, const DirectOutput& output) {
  Outflow& to = outflow(output.stream);
  bytes_ -= output.records.size();
  for (Piece& piece : to.cutter.cut(transaction, output)) {
    if (topology_.streams[output.stream].transport == Transport::kSendReceive) ++unacknowledged_[transaction];
    bytes_ += piece.records.size();
    to.pieces.push_back(std::move(piece));
  }
}

void DirectOutbox::take_credit(const wire::DirectHeader& credit) {
  const Incarnation from(credit.from);
  const auto found = outflows_.find(credit.stream);
  if (found != outflows_.end()) {
    for (Link& link : found->second.links) {
      if (link.to != from) continue;
      return link.credit.take(credit.number);
    }
  }
  early_.keep(from, credit.stream, credit.number);
}

void DirectOutbox::take_done(const wire::DirectHeader& done) {
  const auto found = outflows_.find(done.stream);
  if (found == outflows_.end()) return;
  for (Link& link : found->second.links) {
    if (link.to.value() != done.from) continue;
    while (!link.sent.empty() && link.done + link.sent.front().count <= done.number) {
      const Piece& piece = link.sent.front();
      link.done += piece.count;
      link.done_of_next = 0;
      bytes_ -= piece.records.size();
      const auto left = unacknowledged_.find(piece.transaction);
      if (--left->second == 0) unacknowledged_.erase(left);
      link.sent.pop_front();
    }
    if (!link.sent.empty() && done.number > link.done)
      link.done_of_next = static_cast<std::uint32_t>(done.number - link.done);
  }
}

bool DirectOutbox::has_consumers() const {
  return std::any_of(outflows_.begin(), outflows_.end(), [](const auto& entry) { return !entry.second.links.empty(); });
}

DirectOutbox::Link* DirectOutbox::choose(Outflow& outflow, Dispatch dispatch, std::uint64_t size) {
  if (outflow.links.empty()) return nullptr;
  if (dispatch == Dispatch::kRoundRobin) {
    Link& link = outflow.links[outflow.link_next % outflow.links.size()];
    if (!link.credit.admits(size)) return nullptr;
    ++outflow.link_next;
    return &link;
  }
  // Who is slow has more under way, since its credit comes back later. Among equals each in turn.
  Link* best = nullptr;
  for (std::size_t i = 0; i < outflow.links.size(); ++i) {
    Link& link = outflow.links[(outflow.link_next + i) % outflow.links.size()];
    if (link.credit.admits(size) && (best == nullptr || link.credit.under_way() < best->credit.under_way()))
      best = &link;
  }
  if (best != nullptr) ++outflow.link_next;
  return best;
}

std::optional<DirectOutbox::Outgoing> DirectOutbox::next() {
  for (auto& [stream, outflow] : outflows_) {
    if (outflow.pieces.empty()) continue;
    Piece& piece = outflow.pieces.front();
    Link* link = choose(outflow, topology_.streams[stream].dispatch, piece.records.size());
    if (link == nullptr) continue;
    wire::DirectHeader header = piece.header(wire::MessageType::kRecords, stream);
    header.from = self_.value();
    header.to = link->to.value();
    header.number = link->records;
    Outgoing outgoing{link->to, wire::direct_message(header, piece.records)};
    link->records += piece.count;
    link->credit.bytes += piece.records.size();
    if (topology_.streams[stream].transport == Transport::kSendReceive) {
      link->sent.push_back(std::move(piece));
    } else {
      bytes_ -= piece.records.size();
    }
    outflow.pieces.pop_front();
    return outgoing;
  }
  return std::nullopt;
}

}  // namespace weir::host
