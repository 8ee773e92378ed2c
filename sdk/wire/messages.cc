// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/messages.h"

#include <bit>

#include "sdk/wire/map.h"

namespace weir::wire {
namespace {

template <typename T>
Result<T> finish(const ByteReader& reader, T value, const char* what) {
  if (!reader.ok() || !reader.at_end())
    return {Code::kInvalid, std::string(what) + " that is cut short or has bytes left over"};
  return value;
}

void put_buckets(ByteWriter& writer, const std::vector<std::uint64_t>& buckets) {
  writer.put(static_cast<std::uint32_t>(buckets.size()));
  for (const std::uint64_t count : buckets) writer.put(count);
}

std::vector<std::uint64_t> get_buckets(ByteReader& reader) {
  std::vector<std::uint64_t> buckets(reader.count(sizeof(std::uint64_t)));
  for (std::uint64_t& count : buckets) count = reader.get<std::uint64_t>();
  return buckets;
}

void put_double(ByteWriter& writer, double number) { writer.put(std::bit_cast<std::uint64_t>(number)); }
double get_double(ByteReader& reader) { return std::bit_cast<double>(reader.get<std::uint64_t>()); }

}  // namespace

void put_header(Bytes& message, const MessageHeader& header) { std::memcpy(message.data(), &header, sizeof(header)); }

Bytes message(const MessageHeader& header, BytesView body) {
  Bytes bytes;
  bytes.reserve(sizeof(header) + body.size());
  ByteWriter writer(bytes);
  writer.raw(std::as_bytes(std::span(&header, 1)));
  writer.raw(body);
  return bytes;
}

std::optional<MessageHeader> decode_header(BytesView message) {
  if (message.size() < sizeof(MessageHeader)) return std::nullopt;
  MessageHeader header;
  std::memcpy(&header, message.data(), sizeof(header));
  return header;
}

Bytes encode_leases(const std::vector<Lease>& leases) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(static_cast<std::uint32_t>(leases.size()));
  for (const Lease& lease : leases) {
    writer.put(lease.kind);
    writer.put(lease.shard);
    writer.put(lease.epoch);
    writer.put(static_cast<std::uint8_t>(lease.state_follows));
    writer.put(lease.watermark);
    writer.text(lease.split);
    writer.blob(lease.position);
  }
  return bytes;
}

Result<std::vector<Lease>> decode_leases(BytesView body) {
  ByteReader reader(body);
  std::vector<Lease> leases(reader.count(26));
  for (Lease& lease : leases) {
    lease.kind = reader.get<LeaseKind>();
    lease.shard = reader.get<std::uint32_t>();
    lease.epoch = reader.get<std::uint32_t>();
    lease.state_follows = reader.get<std::uint8_t>() != 0;
    lease.watermark = reader.get<Timestamp>();
    lease.split = reader.text();
    lease.position = reader.blob();
    if (lease.kind > LeaseKind::kAhead) return {Code::kInvalid, "a lease of an unknown kind"};
  }
  return finish(reader, std::move(leases), "leases");
}

Bytes encode_state(const StatePart& part) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(part.stage);
  writer.put(part.shard);
  writer.put(static_cast<std::uint8_t>(part.last));
  writer.put(static_cast<std::uint8_t>(part.on_top));
  writer.put(part.through);
  writer.put(part.ahead);
  writer.blob(part.changes);
  return bytes;
}

Result<StatePart> decode_state(BytesView body) {
  ByteReader reader(body);
  StatePart part;
  part.stage = reader.get<std::uint32_t>();
  part.shard = reader.get<std::uint32_t>();
  part.last = reader.get<std::uint8_t>() != 0;
  part.on_top = reader.get<std::uint8_t>() != 0;
  part.through = reader.get<std::uint64_t>();
  part.ahead = reader.get<std::uint32_t>();
  part.changes = reader.blob();
  return finish(reader, part, "a part of state");
}

Bytes encode_local(const std::vector<LocalState>& states) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(static_cast<std::uint32_t>(states.size()));
  writer.raw(std::as_bytes(std::span(states)));
  return bytes;
}

Result<std::vector<LocalState>> decode_local(BytesView body) {
  ByteReader reader(body);
  std::vector<LocalState> states(reader.count(sizeof(LocalState)));
  for (LocalState& state : states) {
    const BytesView bytes = reader.raw(sizeof(LocalState));
    if (bytes.size() == sizeof(LocalState)) std::memcpy(&state, bytes.data(), sizeof(state));
  }
  return finish(reader, std::move(states), "local state");
}

Bytes encode_requeued(const Requeued& requeued) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(requeued.number);
  writer.put(requeued.stage);
  writer.put(requeued.shard);
  writer.put(requeued.what);
  writer.blob(requeued.key);
  writer.blob(requeued.letter);
  return bytes;
}

Result<Requeued> decode_requeued(BytesView body) {
  ByteReader reader(body);
  Requeued requeued;
  requeued.number = reader.get<std::uint64_t>();
  requeued.stage = reader.get<std::uint32_t>();
  requeued.shard = reader.get<std::uint32_t>();
  requeued.what = reader.get<Requeue>();
  requeued.key = reader.blob();
  requeued.letter = reader.blob();
  if (requeued.what > Requeue::kDropParked) return {Code::kInvalid, "a requeued record of an unknown kind"};
  return finish(reader, requeued, "a requeued record");
}

Bytes encode_condemned(const Condemned& condemned) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(condemned.stream);
  writer.put(condemned.shard);
  writer.put(condemned.offset);
  writer.put(condemned.requeued);
  writer.put(condemned.attempts);
  writer.text(condemned.reason);
  return bytes;
}

Result<Condemned> decode_condemned(BytesView body) {
  ByteReader reader(body);
  Condemned condemned;
  condemned.stream = reader.get<std::uint32_t>();
  condemned.shard = reader.get<std::uint32_t>();
  condemned.offset = reader.get<std::uint64_t>();
  condemned.requeued = reader.get<std::uint64_t>();
  condemned.attempts = reader.get<std::uint32_t>();
  condemned.reason = reader.text();
  return finish(reader, condemned, "a condemned record");
}

Bytes encode_suspect(const Suspect& suspect) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(suspect.stream);
  writer.put(suspect.producer.value());
  writer.put(suspect.offset);
  writer.put(suspect.attempts);
  writer.text(suspect.reason);
  return bytes;
}

Result<Suspect> decode_suspect(BytesView body) {
  ByteReader reader(body);
  Suspect suspect;
  suspect.stream = reader.get<std::uint32_t>();
  suspect.producer = Incarnation(reader.get<Incarnation::number_type>());
  suspect.offset = reader.get<std::uint64_t>();
  suspect.attempts = reader.get<std::uint32_t>();
  suspect.reason = reader.text();
  return finish(reader, suspect, "a suspect");
}

Bytes encode_peers(const Peers& peers) {
  Bytes bytes;
  ByteWriter writer(bytes);
  const auto put_streams = [&](const std::vector<std::uint32_t>& streams) {
    writer.put(static_cast<std::uint32_t>(streams.size()));
    for (const std::uint32_t stream : streams) writer.put(stream);
  };
  writer.put(peers.version);
  writer.put(static_cast<std::uint32_t>(peers.peers.size()));
  for (const Peer& peer : peers.peers) {
    writer.put(peer.incarnation.value());
    writer.text(peer.inbox);
    put_streams(peer.to);
    put_streams(peer.from);
  }
  return bytes;
}

Result<Peers> decode_peers(BytesView body) {
  ByteReader reader(body);
  const auto get_streams = [&] {
    std::vector<std::uint32_t> streams(reader.count(sizeof(std::uint32_t)));
    for (std::uint32_t& stream : streams) stream = reader.get<std::uint32_t>();
    return streams;
  };
  Peers peers;
  peers.version = reader.get<std::uint64_t>();
  peers.peers.resize(reader.count(20));
  for (Peer& peer : peers.peers) {
    peer.incarnation = Incarnation(reader.get<Incarnation::number_type>());
    peer.inbox = reader.text();
    peer.to = get_streams();
    peer.from = get_streams();
  }
  return finish(reader, std::move(peers), "peers");
}

Bytes encode_routed(const Routed& routed) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(routed.version);
  writer.put(static_cast<std::uint32_t>(routed.sent.size()));
  for (const Sent& sent : routed.sent) {
    writer.put(sent.stream);
    writer.put(sent.to.value());
    writer.put(sent.records);
  }
  return bytes;
}

Result<Routed> decode_routed(BytesView body) {
  ByteReader reader(body);
  Routed routed;
  routed.version = reader.get<std::uint64_t>();
  routed.sent.resize(reader.count(20));
  for (Sent& sent : routed.sent) {
    sent.stream = reader.get<std::uint32_t>();
    sent.to = Incarnation(reader.get<Incarnation::number_type>());
    sent.records = reader.get<std::uint64_t>();
  }
  return finish(reader, std::move(routed), "what was sent to peers");
}

Bytes encode_totals(const Totals& totals) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(totals.first);
  writer.put(totals.second);
  return bytes;
}

Result<Totals> decode_totals(BytesView body) {
  ByteReader reader(body);
  Totals totals;
  totals.first = reader.get<std::uint64_t>();
  totals.second = reader.get<std::uint64_t>();
  return finish(reader, totals, "totals");
}

Bytes encode_measured(const Measured& measured) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(std::bit_cast<std::uint32_t>(measured.busy_ratio));
  writer.put(std::bit_cast<std::uint32_t>(measured.blocked_ratio));
  writer.put(measured.state_bytes);
  put_buckets(writer, measured.process_buckets);
  put_double(writer, measured.process_seconds);
  put_buckets(writer, measured.end_to_end_buckets);
  put_double(writer, measured.end_to_end_seconds);
  writer.put(static_cast<std::uint32_t>(measured.hot_keys.size()));
  for (const HotKeysSeen& seen : measured.hot_keys) {
    writer.put(seen.stream);
    writer.put(seen.records);
    writer.put(static_cast<std::uint32_t>(seen.keys.size()));
    for (const HotKeysSeen::Key& key : seen.keys) {
      writer.put(key.records);
      writer.blob(key.key);
    }
  }
  return bytes;
}

Result<Measured> decode_measured(BytesView body) {
  ByteReader reader(body);
  Measured measured;
  measured.busy_ratio = std::bit_cast<float>(reader.get<std::uint32_t>());
  measured.blocked_ratio = std::bit_cast<float>(reader.get<std::uint32_t>());
  measured.state_bytes = reader.get<std::uint64_t>();
  measured.process_buckets = get_buckets(reader);
  measured.process_seconds = get_double(reader);
  measured.end_to_end_buckets = get_buckets(reader);
  measured.end_to_end_seconds = get_double(reader);
  measured.hot_keys.resize(reader.count(16));
  for (HotKeysSeen& seen : measured.hot_keys) {
    seen.stream = reader.get<std::uint32_t>();
    seen.records = reader.get<std::uint64_t>();
    seen.keys.resize(reader.count(12));
    for (HotKeysSeen::Key& key : seen.keys) {
      key.records = reader.get<std::uint64_t>();
      const BytesView bytes = reader.blob();
      key.key.assign(bytes.begin(), bytes.end());
    }
  }
  return finish(reader, std::move(measured), "measurements");
}

Bytes encode_shards(const std::vector<std::uint32_t>& shards) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(static_cast<std::uint32_t>(shards.size()));
  for (const std::uint32_t shard : shards) writer.put(shard);
  return bytes;
}

Result<std::vector<std::uint32_t>> decode_shards(BytesView body) {
  ByteReader reader(body);
  std::vector<std::uint32_t> shards(reader.count(sizeof(std::uint32_t)));
  for (std::uint32_t& shard : shards) shard = reader.get<std::uint32_t>();
  return finish(reader, std::move(shards), "shards");
}

Bytes encode_sentence(std::string_view sentence) {
  Bytes bytes;
  ByteWriter(bytes).text(sentence);
  return bytes;
}

Result<std::string> decode_sentence(BytesView body) {
  ByteReader reader(body);
  std::string sentence = reader.text();
  return finish(reader, std::move(sentence), "a sentence");
}

Result<DeliveryView> decode_delivery(BytesView body) {
  ByteReader reader(body);
  DeliveryView delivery;
  delivery.batches.resize(reader.count(sizeof(DeliveryHeader)));
  for (DeliveryHeader& batch : delivery.batches) {
    const BytesView bytes = reader.raw(sizeof(DeliveryHeader));
    if (bytes.size() == sizeof(DeliveryHeader)) std::memcpy(&batch, bytes.data(), sizeof(batch));
  }
  delivery.records.reserve(delivery.batches.size());
  for (const DeliveryHeader& batch : delivery.batches) delivery.records.push_back(reader.raw(batch.bytes));
  return finish(reader, std::move(delivery), "a delivery");
}

Bytes encode(const WorkerHello& hello) {
  MapWriter map("worker_hello");
  map.put("stage", hello.stage);
  map.put("worker", hello.worker);
  map.put("pid", hello.pid);
  map.put("host", hello.host);
  map.put("inbox", hello.inbox);
  map.put("wire_version", hello.wire_version);
  map.put("libraries", hello.libraries);
  if (hello.trial) map.put("trial", std::uint64_t{1});
  return std::move(map).finish();
}

Bytes encode(const WorkerWelcome& welcome) {
  MapWriter map("worker_welcome");
  map.put("incarnation", welcome.incarnation.value());
  map.put("worker", welcome.worker);
  map.put("commits", welcome.commits);
  map.put("news", welcome.news);
  map.put("host", welcome.host);
  map.put("journal", welcome.journal);
  map.put("state_dir", welcome.state_dir);
  map.put("topology", welcome.topology);
  map.put("libraries", welcome.libraries);
  map.put("beat_us", welcome.beat.count());
  map.put("silence_us", welcome.silence.count());
  return std::move(map).finish();
}

std::string_view to_string(Refusal refusal) {
  constexpr std::string_view kNames[] = {"invalid", "unknown", "again", "closed", "order", "taken", "ended", "late"};
  return kNames[static_cast<std::size_t>(refusal)];
}

Bytes encode_refusal(Refusal refusal, std::string_view sentence, std::uint64_t number) {
  MapWriter map("refused");
  map.put("code", to_string(refusal));
  map.put("error", sentence);
  if (number != 0) map.put("number", number);
  return std::move(map).finish();
}

Result<WorkerHello> decode_worker_hello(BytesView message) {
  auto map = MapReader::parse(message);
  if (!map.ok()) return map.error();
  WorkerHello hello;
  hello.stage = map->text("stage");
  hello.worker = map->integer("worker", -1);
  hello.pid = map->integer("pid", 0);
  hello.host = map->text("host");
  hello.inbox = map->text("inbox");
  hello.wire_version = map->integer("wire_version", 0);
  hello.libraries = map->text("libraries");
  hello.trial = map->integer("trial", 0) != 0;
  if (map->op() != "worker_hello" || hello.stage.empty() || hello.inbox.empty()) {
    return {Code::kInvalid, "a worker's hello without stage or inbox"};
  }
  return hello;
}

Result<WorkerWelcome> decode_worker_welcome(BytesView message) {
  auto map = MapReader::parse(message);
  if (!map.ok()) return map.error();
  if (map->op() == "refused")
    return {map->text("code") == to_string(Refusal::kLate) ? Code::kNotFound : Code::kRefused, map->text("error")};
  WorkerWelcome welcome;
  welcome.incarnation = Incarnation(static_cast<std::uint64_t>(map->integer("incarnation", 0)));
  welcome.worker = static_cast<std::uint32_t>(map->integer("worker", 0));
  welcome.commits = map->text("commits");
  welcome.news = map->text("news");
  welcome.host = map->text("host");
  welcome.journal = map->text("journal");
  welcome.state_dir = map->text("state_dir");
  welcome.topology = map->text("topology");
  welcome.libraries = map->text("libraries");
  welcome.beat = std::chrono::microseconds(map->integer("beat_us", 0));
  welcome.silence = std::chrono::microseconds(map->integer("silence_us", 0));
  if (map->op() != "worker_welcome" || welcome.commits.empty() || welcome.incarnation.value() == 0) {
    return {Code::kInvalid, "a welcome that lacks fields"};
  }
  return welcome;
}

}  // namespace weir::wire
