// SPDX-License-Identifier: Apache-2.0
// Groups outside the topology: programs that consume a stream under a group's name, share its shards, are sent what is
// on disk, under credit, and acknowledge.
#include <fmt/format.h>

#include <algorithm>

#include "broker/core/core.h"
#include "broker/core/parcel.h"
#include "sdk/topology/names.h"
#include "weir/encode.h"

namespace weir::core {

using wire::Refusal;

namespace {

constexpr std::size_t kConsumersMax = 1024;
constexpr std::size_t kGroupsMax = 1024;  ///< of one stream
constexpr std::size_t kConsumerNameMax = 64;
constexpr std::uint64_t kDeliveriesUnreadMax = 64;  ///< a quarter of what the socket holds before it drops
constexpr std::uint64_t kCreditMax = 1ULL << 60;
constexpr std::int64_t kSilenceDefaultMs = 30'000;
constexpr std::int64_t kSilenceMinMs = 1'000;
constexpr std::int64_t kSilenceMaxMs = 3'600'000;

std::optional<std::uint64_t> natural(const msgpack::object& value) {
  if (value.type != msgpack::type::POSITIVE_INTEGER) return std::nullopt;
  return value.via.u64;
}

}  // namespace

void Core::open_consumer(const Client& client, const wire::MapReader& map, Monotonic now) {
  if (const std::int64_t version = map.integer("version", 1); version != wire::kClientVersion) {
    return refuse(
        client, Refusal::kInvalid,
        fmt::format("this broker speaks version {} of the protocol of programs outside, the consumer {}: install "
                    "the same Weir on both sides",
                    wire::kClientVersion, version));
  }
  const std::string name = map.text("stream");
  const auto stream = stream_named(name);
  if (!stream)
    return refuse(client, Refusal::kUnknown,
                  fmt::format("there is no stream \"{}\" in the topology \"{}\"", name, topology_.name));
  if (topology_.streams[*stream].learns_boundaries) {
    return refuse(
        client, Refusal::kInvalid,
        fmt::format("no group outside may read stream \"{}\", whose boundaries are \"auto\": read what a stage "
                    "behind it passes on",
                    name));
  }
  if (!topology_.streams[*stream].external_out) {
    return refuse(client, Refusal::kInvalid,
                  fmt::format("no group outside may read stream \"{}\"; give it \"external\": \"out\"", name));
  }
  const std::string group = map.text("group");
  if (!is_name(group))
    return refuse(client, Refusal::kInvalid,
                  fmt::format("{} is no name of a group; it is [a-z][a-z0-9_-]{{0,62}}", in_quotes(group)));
  if (topology_.find_stage(group) != nullptr)
    return refuse(client, Refusal::kTaken,
                  fmt::format("\"{}\" is the group of a stage of the topology; take another name", group));
  const std::int64_t silence_ms = map.integer("silence_ms", kSilenceDefaultMs);
  if (silence_ms < kSilenceMinMs || silence_ms > kSilenceMaxMs)
    return refuse(client, Refusal::kInvalid, "\"silence_ms\" must be from 1000 to 3600000");
  const std::string consumer_name = map.text("consumer");
  if (consumer_name.size() > kConsumerNameMax)
    return refuse(client, Refusal::kInvalid,
                  fmt::format("\"consumer\" must not be longer than {} bytes", kConsumerNameMax));
  const std::vector<std::uint32_t> had = forget_consumer_named(client, *stream, group, consumer_name);
  if (consumers_.size() >= kConsumersMax)
    return refuse(client, Refusal::kTaken, fmt::format("{} consumers are there already", kConsumersMax));

  const StreamState& state = ledger_.stream(*stream);
  const bool known = ledger_.groups(*stream).contains(group);
  if (!known) {
    if (draining_ || stopping_)
      return refuse(client, Refusal::kAgain, "the topology is stopping: try again when it runs again");
    if (ledger_.groups(*stream).size() >= kGroupsMax)
      return refuse(client, Refusal::kTaken,
                    fmt::format("stream \"{}\" has {} groups outside already; drop one", name, kGroupsMax));
    GroupMoved moved{GroupMoved::What::kEntered, *stream, group, {}};
    for (std::uint32_t shard = 0; shard < state.shards(); ++shard) {
      const bool from_end = map.text("from") == "end";
      moved.to.push_back({shard, from_end ? state.next_offset(shard) : ledger_.kept_from(*stream, shard)});
    }
    append({EntryType::kGroup, {}, 0, 0}, encode(moved), topology_.streams[*stream].durability);
  }
  GroupLease& lease = group_leases_[{*stream, group}];
  if (lease.lanes.empty()) {
    lease.stream = *stream;
    lease.group = group;
    lease.lanes.resize(state.shards());
    for (std::uint32_t shard = 0; shard < state.shards(); ++shard)
      lease.lanes[shard].delivered_to = ledger_.groups(*stream).at(group).cursors[shard].offset;
  }
  lease.members.push_back(client);
  lease.dirty = true;
  Consumer consumer;
  consumer.id = std::uint64_t{reign_.value()} << 32 | ++sessions_opened_;
  consumer.stream = *stream;
  consumer.group = group;
  consumer.name = consumer_name;
  for (const std::uint32_t shard : had)
    give_lane(lease.lanes[shard], ledger_.groups(*stream).at(group).cursors[shard], consumer);
  consumer.heard = now;
  consumer.silence = std::chrono::milliseconds(silence_ms);
  wire::MapWriter answer("consuming");
  answer.put("session", consumer.id);
  answer.put("shards", state.shards());
  answer.put("new", !known);
  std::vector<std::uint64_t> positions;
  for (const ExternalGroup::Cursor& cursor : ledger_.groups(*stream).at(group).cursors)
    positions.push_back(cursor.offset);
  answer.put("positions", positions);
  answer.put("waiting", ledger_.groups(*stream).at(group).records_backlog);
  answer.put("silence_ms", silence_ms);
  consumer.answers.push_back({ledger_.next_sequence(), std::move(answer).finish()});
  consumers_[client] = std::move(consumer);
  settle_consumers();
}

Consumer* Core::consumer_of(const Client& client, const wire::MapReader& map) {
  const auto found = consumers_.find(client);
  if (found != consumers_.end() && found->second.id == static_cast<std::uint64_t>(map.integer("session", 0)))
    return &found->second;
  refuse(client, Refusal::kClosed,
         "this session is not open (any more): say consume again; what was not acknowledged comes again",
         static_cast<std::uint64_t>(map.integer("number", 0)));
  return nullptr;
}

void Core::end_consumer(const Client& client, Refusal refusal, std::string_view sentence) {
  refuse(client, refusal, sentence);
  forget_consumer(client);
}

void Core::forget_consumer(const Client& client) {
  const auto found = consumers_.find(client);
  if (found == consumers_.end()) return;
  const auto at = group_leases_.find({found->second.stream, found->second.group});
  GroupLease& lease = at->second;
  const ExternalGroup& group = ledger_.groups(lease.stream).at(lease.group);
  for (std::uint32_t shard = 0; shard < lease.lanes.size(); ++shard) {
    GroupLease::Lane& lane = lease.lanes[shard];
    if (lane.holder != found->second.id) continue;
    lane.holder = 0;
    lane.leaving = false;
    lane.sent.clear();
    lane.delivered_to = group.cursors[shard].offset;
  }
  std::erase(lease.members, client);
  lease.dirty = true;
  if (lease.members.empty()) group_leases_.erase(at);
  consumers_.erase(found);
}

/// Who comes back need not wait until the broker has missed it, be it that it never heard of the session that it had.
std::vector<std::uint32_t> Core::forget_consumer_named(const Client& client, std::uint32_t stream,
                                                       const std::string& group, const std::string& name) {
  std::vector<std::uint32_t> had;
  std::vector<Client> before;
  for (const auto& [at, consumer] : consumers_) {
    const bool same = !name.empty() && consumer.name == name && consumer.stream == stream && consumer.group == group;
    if (at == client || same) before.push_back(at);
    if (!same) continue;
    const GroupLease& lease = group_leases_.at({stream, group});
    for (std::uint32_t shard = 0; shard < lease.lanes.size(); ++shard) {
      const GroupLease::Lane& lane = lease.lanes[shard];
      if (lane.holder == consumer.id && !lane.leaving) had.push_back(shard);
    }
  }
  for (const Client& at : before) forget_consumer(at);
  return had;
}

void Core::give_lane(GroupLease::Lane& lane, const ExternalGroup::Cursor& from, Consumer& to) {
  lane.holder = to.id;
  ++lane.epoch;
  ++to.lanes;
  to.scan = std::min(to.scan, from.frame);
}

void Core::take_consumer_credit(const Client& client, const wire::MapReader& map, Monotonic now) {
  Consumer* consumer = consumer_of(client, map);
  if (consumer == nullptr) return;
  consumer->heard = now;
  const wire::Totals credit{static_cast<std::uint64_t>(map.integer("bytes", -1)),
                            static_cast<std::uint64_t>(map.integer("records", -1))};
  const auto received = static_cast<std::uint64_t>(map.integer("received", 0));
  const bool first = consumer->capacity.first == 0;
  // Room comes back only from what was sent: so no more is ever under way than was granted at first.
  const bool rises = credit.first >= consumer->credit.first && credit.second >= consumer->credit.second;
  const bool covered = first || (credit.first <= consumer->capacity.first + consumer->used.first &&
                                 credit.second <= consumer->capacity.second + consumer->used.second);
  if (!rises || !covered || credit.first > kCreditMax || credit.second > kCreditMax) {
    return end_consumer(client, Refusal::kInvalid,
                        "credit is a running total of bytes and records: it never goes back, and grows by what was "
                        "delivered and no more");
  }
  if (received < consumer->received || received > consumer->sent)
    return end_consumer(client, Refusal::kInvalid, "it says that it received deliveries that were not sent");
  consumer->received = received;
  if (first) consumer->capacity = credit;
  consumer->credit = credit;
}

void Core::acknowledge(const Client& client, const wire::MapReader& map, Monotonic now) {
  Consumer* consumer = consumer_of(client, map);
  if (consumer == nullptr) return;
  consumer->heard = now;
  const auto wrong = [&](std::string_view sentence) { end_consumer(client, Refusal::kInvalid, sentence); };
  const msgpack::object* positions = map.find("positions");
  if (positions == nullptr || positions->type != msgpack::type::ARRAY)
    return wrong("\"positions\" must be an array of [shard, epoch, offset]");
  GroupLease& lease = group_leases_.at({consumer->stream, consumer->group});
  ExternalGroup& group = ledger_.groups(consumer->stream).at(consumer->group);
  GroupMoved moved{GroupMoved::What::kConsumed, consumer->stream, consumer->group, {}};
  std::set<std::uint64_t> named;
  for (std::uint32_t i = 0; i < positions->via.array.size; ++i) {
    const msgpack::object& position = positions->via.array.ptr[i];
    if (position.type != msgpack::type::ARRAY || position.via.array.size != 3)
      return wrong("\"positions\" must be an array of [shard, epoch, offset]");
    const auto shard = natural(position.via.array.ptr[0]);
    const auto epoch = natural(position.via.array.ptr[1]);
    const auto offset = natural(position.via.array.ptr[2]);
    if (!shard || !epoch || !offset || *shard >= lease.lanes.size() || !named.insert(*shard).second)
      return wrong("it acknowledges a shard that there is not, or one twice");
    // Said before, maybe before the shard went to somebody else.
    if (*offset <= group.cursors[*shard].offset) continue;
    const GroupLease::Lane& lane = lease.lanes[*shard];
    if (lane.holder != consumer->id || lane.epoch != *epoch)
      return wrong("it acknowledges records of a shard that is not leased to it");
    if (*offset > lane.delivered_to) return wrong("it acknowledges records that were not delivered to it");
    moved.to.push_back({static_cast<std::uint32_t>(*shard), *offset});
  }
  for (const GroupMoved::To& to : moved.to) {
    GroupLease::Lane& lane = lease.lanes[to.shard];
    ExternalGroup::Cursor& cursor = group.cursors[to.shard];
    while (!lane.sent.empty() && lane.sent.front().from < to.offset) {
      LaneLease::Sent& first = lane.sent.front();
      cursor.frame = std::max(cursor.frame, first.frame);
      if (first.to > to.offset) {
        first.from = to.offset;
        break;
      }
      if (!first.part) cursor.frame = std::max(cursor.frame, first.frame + 1);
      lane.sent.pop_front();
    }
    lease.dirty |= lane.leaving && lane.sent.empty();
  }
  if (!moved.to.empty()) {
    append({EntryType::kGroup, {}, 0, 0}, encode(moved), topology_.streams[consumer->stream].durability);
    lease.acknowledged_by = ledger_.next_sequence();
  }
  wire::MapWriter answer("acknowledged");
  answer.put("session", consumer->id);
  answer.put("number", static_cast<std::uint64_t>(map.integer("number", 0)));
  consumer->answers.push_back({lease.acknowledged_by, std::move(answer).finish()});
  settle_consumers();
}

void Core::leave_group(const Client& client, const wire::MapReader& map) {
  if (consumer_of(client, map) == nullptr) return;
  forget_consumer(client);
  outside_.reply(client, wire::MapWriter("left").finish());
}

void Core::drop_group(const Client& client, const wire::MapReader& map) {
  const std::string name = map.text("stream");
  const std::string group = map.text("group");
  const Stream* spec = topology_.find_stream(name);
  const auto stream = static_cast<std::uint32_t>(spec == nullptr ? 0 : spec - topology_.streams.data());
  if (spec == nullptr || group.empty() || !ledger_.groups(stream).contains(group))
    return refuse(client, Refusal::kUnknown,
                  fmt::format("no group \"{}\" outside the topology reads a stream \"{}\"", group, name));
  if (const auto lease = group_leases_.find({stream, group}); lease != group_leases_.end()) {
    return refuse(client, Refusal::kTaken,
                  fmt::format("{} consumers read for group \"{}\" (one that died is forgotten a while after its last "
                              "word): end them first",
                              lease->second.members.size(), group));
  }
  const std::uint64_t records = ledger_.groups(stream).at(group).records_backlog;
  append({EntryType::kGroup, {}, 0, 0}, encode(GroupMoved{GroupMoved::What::kDropped, stream, group, {}}),
         Durability::kFsync);
  wire::MapWriter answer("group_dropped");
  answer.put("records", records);
  letter_answers_.push_back({client, ledger_.next_sequence(), std::move(answer).finish()});
  settle_letters();
}

void Core::settle_consumers() {
  for (auto& [client, consumer] : consumers_) {
    while (!consumer.answers.empty() && consumer.answers.front().sequence <= settled_) {
      outside_.reply(client, std::move(consumer.answers.front().message));
      consumer.answers.pop_front();
    }
  }
}

void Core::serve_groups() {
  for (auto& [which, lease] : group_leases_) {
    if (!draining_ && !stopping_) {
      if (lease.dirty) lease_group(lease);
      deliver_group(lease);
    }
    tell_end(lease);
  }
}

void Core::lease_group(GroupLease& lease) {
  lease.dirty = false;
  const ExternalGroup& group = ledger_.groups(lease.stream).at(lease.group);
  std::map<std::uint64_t, Consumer*> members;  // by session
  for (const Client& client : lease.members) {
    Consumer& member = consumers_.at(client);
    member.lanes = 0;
    members[member.id] = &member;
  }
  for (GroupLease::Lane& lane : lease.lanes) {
    if (lane.leaving && lane.sent.empty()) {
      lane.holder = 0;
      lane.leaving = false;
    }
    if (lane.holder != 0 && !lane.leaving) ++members.at(lane.holder)->lanes;
  }
  const auto fewest = [&] {
    return std::min_element(members.begin(), members.end(),
                            [](const auto& a, const auto& b) { return a.second->lanes < b.second->lanes; })
        ->second;
  };
  for (const GroupLease::Lane& lane : lease.lanes) {
    if (lane.leaving) ++fewest()->lanes;  // which it will be given to
  }
  for (std::uint32_t shard = 0; shard < lease.lanes.size(); ++shard) {
    GroupLease::Lane& lane = lease.lanes[shard];
    if (lane.holder != 0) continue;
    give_lane(lane, group.cursors[shard], *fewest());
  }
  // Nobody keeps more than a fair share while another has less. A shard goes once its holder has acknowledged what it
  // has of it; until then nothing more of it is sent.
  for (GroupLease::Lane& lane : lease.lanes) {
    if (lane.leaving) continue;
    Consumer& holder = *members.at(lane.holder);
    if (holder.lanes <= fewest()->lanes + 1) continue;
    --holder.lanes;
    lane.leaving = true;
    ++fewest()->lanes;
    lease.dirty |= lane.sent.empty();
  }
  if (lease.dirty) lease_group(lease);
}

void Core::deliver_group(GroupLease& lease) {
  // All consumers together hold no more than a part of the broker's memory, but each has what one batch takes.
  std::uint64_t under_way = 0;
  for (const auto& [client, consumer] : consumers_) under_way += consumer.under_way();
  for (const Client& client : lease.members) {
    Consumer& consumer = consumers_.at(client);
    if (!consumer.answers.empty() && consumer.sent == 0) continue;  // it does not know its session yet
    Parcel parcel;
    const auto room = [&] {
      const bool crowded = under_way + parcel.bytes >= topology_.broker.memory_bytes / 8;
      return consumer.capacity.first != 0 && consumer.sent - consumer.received < kDeliveriesUnreadMax &&
             (!crowded || consumer.under_way() == 0);
    };
    while (room()) {
      if (deliver_frame(consumer, lease, parcel) && parcel.bytes < Parcel::kBytes) continue;
      if (parcel.empty()) break;
      under_way += parcel.bytes;
      send_parcel(client, consumer, parcel);
    }
    send_parcel(client, consumer, parcel);
  }
}

bool Core::deliver_frame(Consumer& consumer, GroupLease& lease, Parcel& parcel) {
  StreamState& state = ledger_.stream(lease.stream);
  std::uint64_t& scan = consumer.scan;
  scan = std::max(scan, state.first_frame());
  if (scan == UINT64_MAX || scan >= state.end_frame()) return false;
  // What leaves the system is on disk.
  if (state.slot(scan).sequence >= settled_) return false;
  const Buffer* bytes = frame_bytes(lease.stream, scan);
  if (bytes == nullptr) return false;
  const auto view = wire::FrameView::parse(bytes->bytes);
  WEIR_CHECK(view.ok(), "a journaled frame was judged before it was journaled");
  wire::Decompressor decompressor;
  std::size_t at = view->batches_start();
  for (std::uint32_t i = 0; i < view->header().batches; ++i) {
    const wire::BatchHeader batch = view->batch(i);
    const BytesView all = view->bytes().subspan(at, batch.bytes);
    at += batch.bytes;
    GroupLease::Lane& lane = lease.lanes[batch.shard];
    if (lane.holder != consumer.id || lane.leaving || batch.offset + batch.count <= lane.delivered_to) continue;
    const auto admits = [&](std::uint64_t more, std::uint64_t records) {
      // One record goes out whatever its size.
      if (records == 1 && parcel.empty() && consumer.under_way() == 0) return true;
      return (parcel.bytes + more <= Parcel::kBytes || (records == 1 && parcel.empty())) &&
             consumer.covers(parcel.bytes + more, parcel.records + records);
    };
    // Programs outside get records as they are. A batch that cannot be decompressed holds fewer than it says.
    const auto plain = decompressor.records(batch.compression, all, wire::batch_bytes_max(topology_));
    Parcel::Piece piece = Parcel::cut(batch, plain.ok() ? *plain : BytesView(), lane.delivered_to, admits);
    if (piece.count == 0) return false;
    if (batch.compression != 0) parcel.hold(piece);
    parcel.add(lane.epoch, piece);
    lane.delivered_to = piece.offset + piece.count;
    const bool part = lane.delivered_to < batch.offset + batch.count;
    lane.sent.push_back({piece.offset, lane.delivered_to, scan, {}, part});
    if (part) return false;  // what is full goes out, and the rest of the batch is next
  }
  ++scan;
  return true;
}

void Core::send_parcel(const Client& client, Consumer& consumer, Parcel& parcel) {
  if (parcel.empty()) return;
  consumer.used.first += parcel.bytes;
  consumer.used.second += parcel.records;
  outside_.reply(client, parcel.message(consumer.id, ++consumer.sent));
  parcel = {};
}

void Core::tell_end(GroupLease& lease) {
  const StreamState& state = ledger_.stream(lease.stream);
  if (!state.ended || ledger_.groups(lease.stream).at(lease.group).records_backlog != 0) {
    lease.ended_by.reset();
    return;
  }
  // That the stream has ended, and all of it is acknowledged, is a fact once it is settled.
  if (!lease.ended_by) lease.ended_by = ledger_.next_sequence();
  if (settled_ < *lease.ended_by) return;
  for (const Client& client : lease.members) {
    Consumer& consumer = consumers_.at(client);
    if (consumer.end_told) continue;
    consumer.end_told = true;
    wire::MapWriter answer("end");
    answer.put("session", consumer.id);
    outside_.reply(client, std::move(answer).finish());
  }
}

void Core::raise_group_frames() {
  for (auto& [which, lease] : group_leases_) {
    ExternalGroup& group = ledger_.groups(lease.stream).at(lease.group);
    std::map<std::uint64_t, std::uint64_t> scans;
    for (const Client& client : lease.members) scans[consumers_.at(client).id] = consumers_.at(client).scan;
    for (std::uint32_t shard = 0; shard < lease.lanes.size(); ++shard) {
      const GroupLease::Lane& lane = lease.lanes[shard];
      if (lane.holder == 0) continue;
      // Of one that leaves nothing more was looked at.
      const std::uint64_t looked_to = lane.leaving ? 0 : scans.at(lane.holder);
      const std::uint64_t frame = lane.sent.empty() ? looked_to : lane.sent.front().frame;
      if (frame != UINT64_MAX) group.cursors[shard].frame = std::max(group.cursors[shard].frame, frame);
    }
  }
}

std::uint64_t Core::consumers_scanned_to(std::uint32_t stream) const {
  // What a group holds that nobody reads for is read back when somebody comes.
  std::uint64_t passed = UINT64_MAX;
  for (const auto& [client, consumer] : consumers_) {
    if (consumer.stream == stream) passed = std::min(passed, consumer.scan);
  }
  return passed;
}

}  // namespace weir::core
