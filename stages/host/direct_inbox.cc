// SPDX-License-Identifier: Apache-2.0
#include "stages/host/direct_inbox.h"

#include <algorithm>

#include "sdk/wire/batch.h"

namespace weir::host {

namespace {

constexpr std::uint64_t kWindowMin = 64 << 10;
constexpr std::uint64_t kWindowMax = 1 << 20;
constexpr std::size_t kSuspectsMax = 256;
/// An acknowledgement has left this process by then, as a rule: what kills it comes behind.
constexpr Monotonic kOnItsWay{5'000};

}  // namespace

void DirectInbox::set_peers(const std::vector<wire::Peer>& peers) {
  std::uint64_t links = 0;
  for (const wire::Peer& peer : peers) links += peer.from.size();
  for (const wire::Peer& peer : peers) {
    for (const std::uint32_t stream : peer.from) {
      Link& link = links_[{peer.incarnation, stream}];
      // What one has been given stays.
      if (link.window == 0) link.window = std::clamp(bytes_max_ / links, kWindowMin, kWindowMax);
    }
  }
  std::erase_if(pieces_, [&](const Piece& piece) {
    if (topology_.streams[piece.header.stream].transport != Transport::kSendReceive) return false;
    const bool known = std::any_of(peers.begin(), peers.end(), [&](const wire::Peer& peer) {
      return peer.incarnation.value() == piece.header.from && !peer.from.empty();
    });
    if (known) return false;
    Link& link = links_.at({Incarnation(piece.header.from), piece.header.stream});
    --link.waiting;
    link.committed += piece.header.count;
    link.taken += piece.header.count;
    return true;
  });
}

void DirectInbox::receive(const wire::DirectHeader& header, std::shared_ptr<void> owner, BytesView records) {
  const auto found = links_.find({Incarnation(header.from), header.stream});
  if (found == links_.end() || header.to != self_.value() || header.count == 0) return;
  Link& link = found->second;
  if (header.type == wire::MessageType::kRecordsLast) {
    ++link.waiting;
    pieces_.push_back({header, std::move(owner), records, 0});
    return;
  }
  if (header.number < link.expected) return;  // said before
  const std::uint64_t missing = header.number - link.expected;
  link.expected = header.number + header.count;
  ++link.waiting;
  pieces_.push_back({header, std::move(owner), records, missing});
}

void DirectInbox::suspect(wire::Suspect suspect) {
  if (suspect.stream >= topology_.streams.size() ||
      topology_.streams[suspect.stream].transport != Transport::kSendReceive)
    return;
  auto& of_link = suspects_[{suspect.producer, suspect.stream}];
  of_link[suspect.offset] = std::move(suspect);
  if (of_link.size() > kSuspectsMax) of_link.erase(of_link.begin());
  if (suspects_.size() > kSuspectsMax) suspects_.erase(suspects_.begin());
}

const wire::Suspect* DirectInbox::suspect_in(const Piece& piece) const {
  if (suspects_.empty() || piece.header.type == wire::MessageType::kRecordsLast) return nullptr;
  const auto of_link = suspects_.find({Incarnation(piece.header.from), piece.header.stream});
  if (of_link == suspects_.end()) return nullptr;
  const auto first = of_link->second.lower_bound(piece.header.offset);
  const bool inside = first != of_link->second.end() && first->first < piece.header.offset + piece.header.count;
  return inside ? &first->second : nullptr;
}

bool DirectInbox::quiet(const Link& link, Monotonic now) {
  return link.taken == link.done_said && now - link.said >= kOnItsWay;
}

DirectInbox::Piece DirectInbox::cut(std::deque<Piece>::iterator piece, std::uint32_t records) {
  if (records == piece->header.count) {
    Piece whole = std::move(*piece);
    pieces_.erase(piece);
    return whole;
  }
  Piece first = *piece;
  first.header.count = records;
  piece->header.count -= records;
  piece->header.number += records;
  piece->header.offset += records;
  piece->missing = 0;
  if (piece->header.compression != 0) {
    first.cut = piece->cut = true;
    piece->skip += records;
  } else {
    wire::BatchReader reader(piece->records);
    for (std::uint32_t i = 0; i < records; ++i) reader.next();
    first.records = piece->records.first(reader.position());
    piece->records = piece->records.subspan(reader.position());
  }
  ++links_.at({Incarnation(first.header.from), first.header.stream}).waiting;
  return first;
}

std::optional<Event> DirectInbox::take(Monotonic now) {
  std::set<LinkKey> held;  // of those nothing may overtake what waits
  for (auto at = pieces_.begin(); at != pieces_.end(); ++at) {
    const LinkKey key{Incarnation(at->header.from), at->header.stream};
    if (held.contains(key)) continue;
    Link& link = links_.at(key);
    const wire::Suspect* suspect = suspect_in(*at);
    const bool alone = suspect != nullptr && suspect->offset == at->header.offset;
    if ((alone || link.alone) && !quiet(link, now)) {
      held.insert(key);
      continue;
    }
    link.alone = alone;
    holds_ = false;
    Event event;
    event.alone = alone;
    if (alone && suspect->attempts != 0) {
      event.given_up = true;
      event.condemned = {key.second, 0, suspect->offset, 0, suspect->attempts, suspect->reason};
    }
    const std::uint64_t records = alone                ? 1
                                  : suspect == nullptr ? at->header.count
                                                       : suspect->offset - at->header.offset;
    const bool last = records == at->header.count;
    Piece piece = cut(at, static_cast<std::uint32_t>(records));
    --link.waiting;
    if (piece.header.type != wire::MessageType::kRecordsLast) link.taken += piece.missing + piece.header.count;
    event.kind = Event::Kind::kDeliver;
    event.owner = std::move(piece.owner);
    event.producer = key.first;
    event.missing = piece.missing;
    event.last_values = piece.header.type == wire::MessageType::kRecordsLast;
    wire::DeliveryHeader header;
    header.stream = piece.header.stream;
    header.count = piece.header.count;
    // Of a compressed piece that was cut the credit is given back with its last part.
    header.bytes = piece.cut && !last ? 0 : static_cast<std::uint32_t>(piece.records.size());
    header.offset = piece.header.offset;
    header.watermark = INT64_MIN;
    header.origin_us = piece.header.origin_us;
    header.compression = static_cast<std::uint16_t>(piece.header.compression);
    header.skip = piece.skip;
    header.cut = piece.cut ? 1 : 0;
    event.delivery.batches.push_back(header);
    event.delivery.records.push_back(piece.records);
    return event;
  }
  holds_ = !held.empty();
  return std::nullopt;
}

void DirectInbox::worked_off(std::uint32_t stream, Incarnation producer, std::uint64_t bytes) {
  const auto found = links_.find({producer, stream});
  if (found != links_.end()) found->second.worked += bytes;
}

void DirectInbox::commit(std::uint64_t transaction, const std::vector<wire::DirectTaken>& taken) {
  for (const wire::DirectTaken& one : taken) {
    const auto found = links_.find({Incarnation(one.producer), one.stream});
    if (found == links_.end()) continue;
    found->second.committed += one.records + one.lost;
    if (topology_.streams[one.stream].transport == Transport::kSendReceive)
      unaccepted_.push_back({transaction, found->first, found->second.committed});
  }
}

void DirectInbox::accepted(std::uint64_t transaction) {
  for (; !unaccepted_.empty() && unaccepted_.front().transaction <= transaction; unaccepted_.pop_front()) {
    const auto found = links_.find(unaccepted_.front().link);
    if (found != links_.end()) found->second.done = unaccepted_.front().through;
  }
}

std::vector<DirectInbox::Outgoing> DirectInbox::acknowledgements(Monotonic now) {
  std::vector<Outgoing> due;
  for (auto& [key, link] : links_) {
    if (link.done == link.done_said) continue;
    link.done_said = link.done;
    link.said = now;
    wire::DirectHeader header;
    header.type = wire::MessageType::kRecordsDone;
    header.stream = key.second;
    header.from = self_.value();
    header.to = key.first.value();
    header.number = link.done;
    due.push_back({key.first, wire::direct_message(header)});
  }
  return due;
}

bool DirectInbox::through(Incarnation producer) const {
  for (auto link = links_.lower_bound({producer, 0}); link != links_.end() && link->first.first == producer; ++link) {
    if (link->second.waiting != 0 || link->second.committed != link->second.expected) return false;
  }
  return true;
}

void DirectInbox::part_from(Incarnation producer) {
  std::erase_if(links_, [&](const auto& entry) { return entry.first.first == producer; });
  std::erase_if(suspects_, [&](const auto& entry) { return entry.first.first == producer; });
}

std::vector<DirectInbox::Outgoing> DirectInbox::credits(bool all) {
  std::vector<Outgoing> due;
  for (auto& [key, link] : links_) {
    const std::uint64_t unsaid = link.worked - link.credited;
    const bool due_now = !link.greeted || (all ? unsaid != 0 : unsaid >= link.window / 4);
    if (!due_now) continue;
    link.greeted = true;
    link.credited = link.worked;
    wire::DirectHeader header;
    header.type = wire::MessageType::kRecordsCredit;
    header.stream = key.second;
    header.from = self_.value();
    header.to = key.first.value();
    header.number = link.worked + link.window;
    due.push_back({key.first, wire::direct_message(header)});
  }
  return due;
}

}  // namespace weir::host
