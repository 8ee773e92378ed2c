// SPDX-License-Identifier: Apache-2.0
#include "stages/host/publisher.h"

#include <algorithm>
#include <utility>

#include "sdk/base/log.h"

namespace weir::host {

namespace {

/// Last values come again and again, each with an offset that no record of the stream has.
constexpr std::uint64_t kLastValuesFrom = std::uint64_t{1} << 52;

}  // namespace

Publisher::Outflow::Outflow(const Stream& stream)
    : cutter(stream.compression), last_values_cutter(stream.compression, kLastValuesFrom) {
  if (stream.last_values_bytes != 0) last_values.emplace(stream.last_values_bytes);
}

Publisher::Publisher(const Topology& topology, std::uint32_t stage, Incarnation self)
    : topology_(topology), self_(self) {
  for (const StageSpec& each : topology.stages) {
    if (each.host != stage) continue;
    for (const PortBinding& output : each.outputs) {
      const Stream& stream = topology.streams[output.stream];
      if (stream.transport == Transport::kPubSub && outflows_.try_emplace(output.stream, stream).second)
        streams_.push_back(output.stream);
    }
  }
}

Publisher::Link* Publisher::find(Outflow& outflow, Incarnation to) {
  const auto link = std::find_if(outflow.links.begin(), outflow.links.end(), [&](const Link& l) { return l.to == to; });
  return link == outflow.links.end() ? nullptr : &*link;
}

void Publisher::put(Link& link, const std::shared_ptr<Sheet>& sheet) {
  if (sheet->left++ == 0) bytes_ += sheet->piece.records.size();
  link.queue.push_back(sheet);
}

void Publisher::take_off(const std::shared_ptr<Sheet>& sheet) {
  if (--sheet->left == 0) bytes_ -= sheet->piece.records.size();
}

std::vector<wire::Sent> Publisher::set_peers(const std::vector<wire::Peer>& peers) {
  wire::Readers now = wire::readers_among(peers, topology_);
  std::erase_if(now, [&](const auto& entry) { return !outflows_.contains(entry.first); });
  std::vector<wire::Sent> left_out;
  for (auto& [stream, outflow] : outflows_) {
    const std::vector<Incarnation>& readers = now[stream];
    std::erase_if(outflow.links, [&, stream = stream](const Link& link) {
      if (std::find(readers.begin(), readers.end(), link.to) != readers.end()) return false;
      left_out.push_back({stream, link.to, link.records});
      for (const auto& sheet : link.queue) take_off(sheet);
      return true;
    });
    for (const Incarnation reader : readers) {
      if (find(outflow, reader) != nullptr) continue;
      Link& link = outflow.links.emplace_back();
      link.to = reader;
      if (const std::uint64_t early = early_.take(reader, stream); early != 0) link.credit.take(early);
    }
  }
  unconfirmed_.push_back(std::move(now));
  return left_out;
}

void Publisher::confirm() {
  readers_ = std::move(unconfirmed_.front());
  unconfirmed_.pop_front();
  for (auto& [stream, readers] : readers_) {
    std::sort(readers.begin(), readers.end());
    for (const Incarnation reader : readers) {
      Link* link = find(outflows_.at(stream), reader);
      if (link != nullptr && !link->joined) link->joined = held_last_;
    }
  }
  greet();
}

std::uint32_t Publisher::readers(std::uint32_t stream) const {
  const auto found = readers_.find(stream);
  return found == readers_.end() ? 0 : static_cast<std::uint32_t>(found->second.size());
}

bool Publisher::is_heard() const {
  return std::all_of(streams_.begin(), streams_.end(), [&](std::uint32_t stream) { return readers(stream) != 0; });
}

void Publisher::hold(std::uint64_t transaction, std::vector<DirectOutput> outputs) {
  for (DirectOutput& output : outputs) {
    bytes_ += output.records.size();
    const auto readers = readers_.find(output.stream);
    std::vector<Incarnation> to = readers == readers_.end() ? std::vector<Incarnation>() : readers->second;
    held_.push_back({transaction, std::move(output), std::move(to)});
    held_last_ = transaction;
  }
}

void Publisher::release(std::uint64_t transaction) {
  while (!held_.empty() && held_.front().transaction <= transaction) {
    greet();
    send_out(held_.front());
    bytes_ -= held_.front().output.records.size();
    held_.pop_front();
  }
  greet();
}

void Publisher::send_out(const Held& held) {
  const std::uint32_t stream = held.output.stream;
  Outflow& outflow = outflows_.at(stream);
  for (Piece& piece : outflow.cutter.cut(held.transaction, held.output)) {
    const auto sheet = std::make_shared<Sheet>(Sheet{std::move(piece)});
    for (Link& link : outflow.links) {
      if (std::binary_search(held.to.begin(), held.to.end(), link.to)) put(link, sheet);
    }
  }
  if (!outflow.last_values) return;
  outflow.last_values->take(held.output.records, held.output.count);
  tell_forgotten(stream, outflow);
}

void Publisher::greet() {
  for (auto& [stream, outflow] : outflows_) {
    if (!outflow.last_values) continue;
    std::vector<std::shared_ptr<Sheet>> sheets;
    for (Link& link : outflow.links) {
      const bool all_released = held_.empty() || (link.joined && *link.joined < held_.front().transaction);
      if (link.greeted || !link.joined || !all_released) continue;
      link.greeted = true;
      if (sheets.empty() && outflow.last_values->count() != 0) {
        const DirectOutput output{stream, outflow.last_values->count(), outflow.last_values->records(), 0};
        for (Piece& piece : outflow.last_values_cutter.cut(0, output))
          sheets.push_back(std::make_shared<Sheet>(Sheet{std::move(piece), wire::MessageType::kRecordsLast}));
      }
      for (const auto& sheet : sheets) put(link, sheet);
    }
  }
}

void Publisher::tell_forgotten(std::uint32_t stream, Outflow& outflow) {
  const std::uint64_t forgotten = outflow.last_values->forgotten();
  if (forgotten == 0 || forgotten < 10 * outflow.forgotten_told) return;
  outflow.forgotten_told = forgotten;
  log::warning(
      "the last values of stream \"{}\" take more than its \"last_values\": {} keys, those that were published longest "
      "ago, were forgotten so far, and readers that come later do not get them",
      topology_.streams[stream].name, forgotten);
}

void Publisher::take_credit(const wire::DirectHeader& credit) {
  const Incarnation from(credit.from);
  const auto found = outflows_.find(credit.stream);
  Link* link = found == outflows_.end() ? nullptr : find(found->second, from);
  link != nullptr ? link->credit.take(credit.number) : early_.keep(from, credit.stream, credit.number);
}

std::optional<DirectOutbox::Outgoing> Publisher::next() {
  for (auto& [stream, outflow] : outflows_) {
    for (std::size_t i = 0; i < outflow.links.size(); ++i) {
      Link& link = outflow.links[outflow.link_next++ % outflow.links.size()];
      if (link.queue.empty() || !link.credit.admits(link.queue.front()->piece.records.size())) continue;
      const std::shared_ptr<Sheet> sheet = std::move(link.queue.front());
      link.queue.pop_front();
      const Piece& piece = sheet->piece;
      wire::DirectHeader header = piece.header(sheet->type, stream);
      header.from = self_.value();
      header.to = link.to.value();
      header.number = link.records;
      DirectOutbox::Outgoing outgoing{link.to, wire::direct_message(header, piece.records)};
      if (sheet->type == wire::MessageType::kRecords) link.records += piece.count;
      link.credit.bytes += piece.records.size();
      take_off(sheet);
      return outgoing;
    }
  }
  return std::nullopt;
}

}  // namespace weir::host
