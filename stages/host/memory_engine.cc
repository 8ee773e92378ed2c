// SPDX-License-Identifier: Apache-2.0
#include "stages/host/memory_engine.h"

#include <algorithm>

#include "sdk/wire/changes.h"

namespace weir::host {

using wire::Space;

MemoryEngine::MemoryEngine(const Topology& topology, std::uint32_t head, MemoryJournal& journal)
    : topology_(topology), head_(head), journal_(journal), source_(topology.stages[head].kind == PluginKind::kSource) {
  journal.begin_incarnation();
  for (const auto& [where, input] : journal.inputs()) flows_[where].delivered_to = input.cursor;
  lease_all();
}

void MemoryEngine::lease_all() {
  Event grant;
  grant.kind = Event::Kind::kGrant;
  if (source_) {
    if (!journal_.enumeration_ended()) {
      wire::Lease lease;
      lease.kind = wire::LeaseKind::kEnumerate;
      grant.leases.push_back(lease);
      post(std::move(grant));
    }
    return;
  }
  if (journal_.by_ranges()) return;
  for (std::uint32_t lane = 0; lane < journal_.lanes(); ++lane) {
    wire::Lease lease;
    lease.shard = lane;
    lease.epoch = 1;
    lease.state_follows = true;
    lease.watermark = journal_.advanced(lane);
    grant.leases.push_back(lease);
  }
  post(std::move(grant));
  std::vector<std::uint32_t> members;
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    if (topology_.stages[stage].host == head_) members.push_back(stage);
  }
  for (std::uint32_t lane = 0; lane < journal_.lanes(); ++lane) {
    for (const std::uint32_t stage : members) post_state(stage, lane, stage == members.back());
  }
}

void MemoryEngine::post_state(std::uint32_t stage, std::uint32_t lane, bool last) {
  auto changes = std::make_shared<Bytes>();
  for (const Space space : {Space::kState, Space::kPosition}) {
    for (const auto& [key, value] : journal_.entries(stage, lane, space)) {
      const auto& [name, rest] = key;
      wire::append_change(*changes, {space, as_bytes(name), as_bytes(rest), BytesView(value)});
    }
  }
  Event event;
  event.kind = Event::Kind::kState;
  event.state = {stage, lane, last, *changes};
  event.owner = changes;
  post(std::move(event));
}

void MemoryEngine::lease_splits() {
  Event grant;
  grant.kind = Event::Kind::kGrant;
  auto kept = std::make_shared<std::vector<MemoryJournal::Split>>(journal_.splits());
  for (; splits_leased_ < kept->size(); ++splits_leased_) {
    const MemoryJournal::Split& split = (*kept)[splits_leased_];
    if (split.ended) continue;
    wire::Lease lease;
    lease.kind = wire::LeaseKind::kSplit;
    lease.shard = static_cast<std::uint32_t>(splits_leased_);
    lease.epoch = 1;
    lease.watermark = split.watermark;
    lease.split = split.id;
    lease.position = split.position;
    grant.leases.push_back(lease);
  }
  grant.owner = kept;
  if (!grant.leases.empty()) post(std::move(grant));
}

void MemoryEngine::deliver() {
  Event event;
  event.kind = Event::Kind::kDeliver;
  auto kept = std::make_shared<std::deque<Bytes>>();
  for (const auto& [where, input] : journal_.inputs()) {
    Flow& flow = flows_[where];
    wire::DeliveryHeader header;
    header.stream = where.first;
    header.shard = where.second;
    header.offset = flow.delivered_to;
    if (flow.delivered_to < input.next_offset) {
      wire::BatchReader reader(input.records);
      for (std::uint64_t at = input.cursor; at < flow.delivered_to; ++at) reader.next();
      const std::size_t start = reader.position();
      while (header.count < delivery_records_max_ && reader.next()) ++header.count;
      const auto begin = input.records.begin() + static_cast<std::ptrdiff_t>(start);
      const Bytes& records =
          kept->emplace_back(begin, input.records.begin() + static_cast<std::ptrdiff_t>(reader.position()));
      header.bytes = static_cast<std::uint32_t>(records.size());
      header.watermark = flow.watermark_sent;
      flow.delivered_to += header.count;
      event.delivery.batches.push_back(header);
      event.delivery.records.emplace_back(records);
    } else if (!journal_.by_ranges() && input.watermark > flow.watermark_sent) {
      flow.watermark_sent = header.watermark = input.watermark;
      event.delivery.batches.push_back(header);
      event.delivery.records.emplace_back();
    }
  }
  event.owner = kept;
  if (!event.delivery.batches.empty()) post(std::move(event));
}

void MemoryEngine::send_finishes() {
  if (!journal_.ended()) return;
  Event event;
  event.kind = Event::Kind::kFinish;
  for (std::uint32_t lane = 0; lane < journal_.lanes(); ++lane) {
    if (journal_.finished_lanes().contains(lane) || finishes_sent_.contains(lane)) continue;
    const auto consumed = [&](const auto& entry) {
      return journal_.lane_of(entry.first.first, entry.first.second) != lane ||
             entry.second.cursor == entry.second.next_offset;
    };
    if (!std::all_of(journal_.inputs().begin(), journal_.inputs().end(), consumed)) continue;
    finishes_sent_.insert(lane);
    event.shards.push_back(lane);
  }
  if (!event.shards.empty()) post(std::move(event));
}

Event MemoryEngine::next(Monotonic) {
  if (crashed_ || !failure_.empty()) {
    Event lost;
    lost.kind = Event::Kind::kLost;
    lost.sentence = crashed_ ? "killed by the test" : failure_;
    return lost;
  }
  if (events_.empty()) lease_splits();
  if (events_.empty()) deliver();
  if (events_.empty()) send_finishes();
  idle_ = events_.empty();
  if (idle_) return {};
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void MemoryEngine::commit(Bytes message) {
  if (crashing_) crashed_ = true;
  if (crashed_) return;
  ++committed_;
  const BytesView body = wire::body_of(message);
  published_ += wire::publish_cost(body.size());
  if (const Status status = journal_.commit(body); !status.ok() && failure_.empty()) {
    failure_ = "the commit is refused: " + status.error().message;
  }
}

void MemoryEngine::worked_off(std::uint64_t bytes, std::uint64_t records) {
  worked_.first += bytes;
  worked_.second += records;
}

void MemoryEngine::release(const std::vector<wire::Lease>& leases) {
  released_.insert(released_.end(), leases.begin(), leases.end());
}

}  // namespace weir::host
