// SPDX-License-Identifier: Apache-2.0
// Programs outside: they publish to streams with "external", and look on.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "broker/core/core.h"
#include "sdk/topology/hot_keys.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/frame_writer.h"
#include "weir/encode.h"

namespace weir::core {

using wire::Refusal;

namespace {

constexpr std::size_t kSessionsMax = 4096;
constexpr std::size_t kTapsMax = 256;

/// Packs an object again. A float stays a float: msgpack-c would make an integer of a whole one, which is another key.
/// REQUIRES: not nested deeper than MapReader lets through.
void pack(std::string& out, const msgpack::object& value) {
  struct Appender {
    std::string& out;
    void write(const char* bytes, std::size_t size) { out.append(bytes, size); }
  };
  switch (value.type) {
    case msgpack::type::FLOAT32:
      return encode_tagged(out, 0xca, std::bit_cast<std::uint32_t>(static_cast<float>(value.via.f64)), 4);
    case msgpack::type::FLOAT64:
      return encode_real(out, value.via.f64);
    case msgpack::type::ARRAY:
      encode_array_head(out, value.via.array.size);
      for (std::uint32_t i = 0; i < value.via.array.size; ++i) pack(out, value.via.array.ptr[i]);
      return;
    case msgpack::type::MAP:
      encode_map_head(out, value.via.map.size);
      for (std::uint32_t i = 0; i < value.via.map.size; ++i) {
        pack(out, value.via.map.ptr[i].key);
        pack(out, value.via.map.ptr[i].val);
      }
      return;
    default:
      Appender appender{out};
      msgpack::pack(appender, value);
  }
}

std::string packed(const msgpack::object& value) {
  std::string bytes;
  pack(bytes, value);
  return bytes;
}

}  // namespace

std::optional<std::uint32_t> Core::stream_named(const std::string& name) const {
  const Stream* stream = topology_.find_stream(name);
  if (stream == nullptr || stream->resting) return std::nullopt;
  return static_cast<std::uint32_t>(stream - topology_.streams.data());
}

void Core::refuse(const Client& client, Refusal refusal, std::string_view sentence, std::uint64_t number) {
  outside_.reply(client, wire::encode_refusal(refusal, sentence, number));
}

void Core::open_session(const Client& client, const wire::MapReader& map, Monotonic now) {
  if (const std::int64_t version = map.integer("version", 1); version != wire::kClientVersion) {
    return refuse(
        client, Refusal::kInvalid,
        fmt::format("this broker speaks version {} of the protocol of programs outside, the producer {}: install "
                    "the same Weir on both sides",
                    wire::kClientVersion, version));
  }
  const std::string name = map.text("stream");
  const auto stream = stream_named(name);
  if (!stream)
    return refuse(client, Refusal::kUnknown,
                  fmt::format("there is no stream \"{}\" in the topology \"{}\"", name, topology_.name));
  if (is_added(topology_.streams[*stream])) {
    return refuse(client, Refusal::kInvalid,
                  fmt::format("stream \"{}\" is a part of another one: records for it come by that one's name", name));
  }
  if (!topology_.streams[*stream].external_in) {
    return refuse(client, Refusal::kInvalid,
                  fmt::format("stream \"{}\" takes no records from outside; give it \"external\": \"in\"", name));
  }
  Session session;
  session.name = map.text("name");
  if (session.name.size() > Ledger::kProducerNameBytesMax) {
    return refuse(client, Refusal::kInvalid,
                  fmt::format("a producer's name has at most {} bytes; this one has {}", Ledger::kProducerNameBytesMax,
                              session.name.size()));
  }
  session.stream = *stream;
  session.heard = now;
  if (!session.name.empty()) {
    // A name belongs to its newest holder.
    for (auto it = sessions_.begin(); it != sessions_.end();) {
      if (it->second.name == session.name && it->first != client) {
        refuse(it->first, Refusal::kTaken, fmt::format("another producer took the name \"{}\"", session.name));
        it = sessions_.erase(it);
      } else {
        ++it;
      }
    }
    const auto known = ledger_.producers().find(session.name);
    if (known != ledger_.producers().end()) {
      session.last = known->second.last;
      session.open_sequence = known->second.sequence.plus(1);
    }
  }
  if (sessions_.size() >= kSessionsMax && !sessions_.contains(client)) {
    return refuse(client, Refusal::kTaken,
                  fmt::format("{} producers are there already, or have gone in the last minute", kSessionsMax));
  }
  session.id = ++sessions_opened_;
  wire::MapWriter answer("opened");
  answer.put("last", session.last);
  answer.put("window_bytes", topology_.broker.transaction_bytes_max);
  answer.put("frame_bytes_max", topology_.broker.transaction_bytes_max / 2);
  answer.put("session", session.id);
  answer.put("exactly_once", !session.name.empty());
  answer.put("news", options_.news_endpoint);
  session.acknowledged = session.last;
  session.open_answer = std::move(answer).finish();
  Session& opened = sessions_[client] = std::move(session);
  // The producer takes "last" for acknowledged: it must be as durable as an acknowledgement.
  settle(client, opened);
}

void Core::publish(const Client& client, const wire::MapReader& map, Monotonic now) {
  const auto found = sessions_.find(client);
  const auto number = static_cast<std::uint64_t>(map.integer("number", 0));
  if (found == sessions_.end() || found->second.id != static_cast<std::uint64_t>(map.integer("session", 0))) {
    return refuse(client, Refusal::kClosed,
                  "this session is not open (any more): say open again and go on behind \"last\"", number);
  }
  Session& session = found->second;
  session.heard = now;
  if (number != 0 && number <= session.last) {
    // Accepted before: acknowledged when it is settled, maybe long ago.
    if (number <= session.acknowledged) {
      wire::MapWriter answer("acknowledged");
      answer.put("number", session.acknowledged);
      outside_.reply(client, std::move(answer).finish());
    }
    return;
  }
  if (number != session.last + 1) {
    return refuse(
        client, Refusal::kOrder,
        fmt::format("message {} came where {} is due{}", number, session.last + 1,
                    session.last == 0 && !session.name.empty()
                        ? fmt::format(" (the name \"{}\" is new here, or has been forgotten: only the {} names "
                                      "that were used last are kept)",
                                      session.name, Ledger::kProducersMax)
                        : ""),
        number);
  }
  const Stream& spec = topology_.streams[session.stream];
  StreamState& stream = ledger_.stream(session.stream);
  if (stream.external_ended)
    return refuse(client, Refusal::kEnded, fmt::format("stream \"{}\" has ended", spec.name), number);
  const auto second_part = shared_part(topology_, spec);
  if (full(session.stream) || (second_part && full(*second_part)) || low_on_space() || upkeep_lags() || draining_ ||
      stopping_) {
    return refuse(client, Refusal::kAgain,
                  fmt::format("stream \"{}\" takes nothing at the moment (it or the disk is full, or the topology is "
                              "stopping): try again",
                              spec.name),
                  number);
  }
  // Whoever has nothing under way may go on for longer: with many others a small one would else wait for ever.
  const std::uint64_t most = topology_.broker.memory_bytes / (session.unsettled.empty() ? 4 : 8);
  if (unsettled_.total() >= most) {
    return refuse(client, Refusal::kAgain,
                  fmt::format("producers have {} bytes under way to the disk, and broker.memory has room for {}: try "
                              "again",
                              unsettled_.total(), most),
                  number);
  }
  const msgpack::object* records = map.find("records");
  if (records == nullptr || records->type != msgpack::type::ARRAY || records->via.array.size == 0) {
    return refuse(client, Refusal::kInvalid, "\"records\" must be an array of [key, value, timestamp, headers]",
                  number);
  }
  const auto named = [&](std::uint32_t i) {
    return records->via.array.size == 1 ? std::string() : fmt::format("record {} of the message: ", i + 1);
  };
  move_boundaries(session.stream);
  using Batches = std::map<std::uint32_t, std::pair<std::uint32_t, Bytes>>;
  Batches batches;
  Batches shared;  // records of hot keys, where these are split
  const auto sketch = sketches_.find(session.stream);
  std::uint64_t turn = number;
  // A clock of the broker's, where the producer names none; either way it is in the entry (I7).
  const std::int64_t wall_us = map.integer("now_us", started_us_ + (now - serving_since_).count());
  for (std::uint32_t i = 0; i < records->via.array.size; ++i) {
    const msgpack::object& record = records->via.array.ptr[i];
    if (record.type != msgpack::type::ARRAY || record.via.array.size < 2 || record.via.array.size > 4) {
      return refuse(client, Refusal::kInvalid,
                    named(i) + "a record must be an array of [key, value, timestamp, headers]", number);
    }
    const auto field = [&](std::uint32_t at) {
      return at < record.via.array.size ? &record.via.array.ptr[at] : nullptr;
    };
    const std::string key = packed(*field(0));
    const std::string value = packed(*field(1));
    Timestamp timestamp = wall_us;
    if (const auto* given = field(2); given != nullptr && given->type != msgpack::type::NIL) {
      if (given->type != msgpack::type::POSITIVE_INTEGER && given->type != msgpack::type::NEGATIVE_INTEGER) {
        return refuse(client, Refusal::kInvalid, named(i) + "the timestamp must be microseconds since 1970, or nil",
                      number);
      }
      timestamp = given->via.i64;
    }
    std::string headers;
    if (const auto* given = field(3); given != nullptr && given->type != msgpack::type::NIL) {
      if (given->type != msgpack::type::MAP)
        return refuse(client, Refusal::kInvalid, named(i) + "headers must be a map, or nil", number);
      headers = packed(*given);
    }
    wire::RecordRef routed{timestamp, as_bytes(key), as_bytes(value), as_bytes(headers)};
    const auto shard = sharding_[session.stream].shard_of(routed, number);
    if (!shard) return refuse(client, Refusal::kInvalid, named(i) + shard.error().message, number);
    const bool hot = sketch != sketches_.end() && sketch->second.add(wire::key_hash(routed.key), routed.key);
    learn_from(session.stream, routed.key);
    auto& [count, batch] = hot ? shared[static_cast<std::uint32_t>(++turn % spec.shards)] : batches[shard->value()];
    ++count;
    wire::append_record(batch, routed);
  }
  std::uint64_t frame_bytes = 0;
  for (const Batches* part : {&batches, &shared}) {
    if (part->empty()) continue;
    frame_bytes += sizeof(wire::FrameHeader) + part->size() * sizeof(wire::BatchHeader);
    for (const auto& [shard, batch] : *part) frame_bytes += batch.second.size();
  }
  if (frame_bytes > topology_.broker.transaction_bytes_max) {
    return refuse(client, Refusal::kInvalid,
                  fmt::format("the message makes a frame of {} bytes, above transaction_bytes_max {}", frame_bytes,
                              topology_.broker.transaction_bytes_max),
                  number);
  }
  const auto frame_of = [&](std::uint32_t stream_index, const Batches& part) {
    Bytes frame;
    if (part.empty()) return frame;
    frame.reserve(frame_bytes);
    wire::FrameWriter writer(stream_index, static_cast<std::uint32_t>(part.size()), frame,
                             compressors_[session.stream]);
    for (const auto& [shard, batch] : part) writer.add(shard, batch.first, batch.second, wall_us);
    writer.finish();
    patch_frame(frame);
    hot_.came_in(stream_index, frame.size());
    return frame;
  };
  const Bytes frame = frame_of(session.stream, batches);
  const Bytes second = shared.empty() ? Bytes() : frame_of(*second_part, shared);
  Publish entry;
  entry.name = session.name;
  entry.number = number;
  entry.stream = session.stream;
  entry.frame = frame;
  entry.shared = second;
  const Bytes body = encode(entry);
  const Sequence sequence = append({EntryType::kPublish, {}, 0, 0}, body, spec.durability);
  unsettled_.add(sequence, body.size());
  session.last = number;
  session.unsettled.emplace_back(number, sequence);
}

void Core::end_stream(const Client& client, const wire::MapReader& map) {
  const auto found = sessions_.find(client);
  if (found == sessions_.end()) return refuse(client, Refusal::kClosed, "this session is not open; say open first");
  Session& session = found->second;
  if (session.id != static_cast<std::uint64_t>(map.integer("session", 0)))
    return refuse(client, Refusal::kClosed, "this session is not open (any more)");
  if (!ledger_.stream(session.stream).external_ended) {
    Publish entry;
    entry.name = session.name;
    entry.number = session.last;
    entry.stream = session.stream;
    entry.ends = true;
    append({EntryType::kPublish, {}, 0, 0}, encode(entry), topology_.streams[session.stream].durability);
  }
  session.end_pending = true;
  session.end_sequence = ledger_.next_sequence();
  settle(client, session);  // where it had ended before nothing may come that would tell
}

void Core::settle(const Client& client, Session& session) {
  if (!session.open_answer.empty() && session.open_sequence <= settled_) {
    outside_.reply(client, std::exchange(session.open_answer, {}));
  }
  const std::uint64_t before = session.acknowledged;
  while (!session.unsettled.empty() && session.unsettled.front().second < settled_) {
    session.acknowledged = session.unsettled.front().first;
    session.unsettled.pop_front();
  }
  if (session.acknowledged != before) {
    wire::MapWriter answer("acknowledged");
    answer.put("number", session.acknowledged);
    outside_.reply(client, std::move(answer).finish());
  }
  if (session.end_pending && session.end_sequence <= settled_) {
    session.end_pending = false;
    outside_.reply(client, wire::MapWriter("ended").finish());
  }
}

void Core::tail(const Client& client, const wire::MapReader& map, Monotonic now) {
  const std::string name = map.text("stream");
  const auto index = stream_named(name);
  if (index && is_direct(topology_.streams[*index].transport)) {
    return refuse(client, Refusal::kUnknown,
                  fmt::format("stream \"{}\" goes from worker to worker, past the broker: it cannot be tapped; tap the "
                              "stream behind it",
                              name));
  }
  if (!index || topology_.streams[*index].transport != Transport::kQueue) {
    return refuse(
        client, Refusal::kUnknown,
        fmt::format("there is no stream \"{}\" that could be tapped in the topology \"{}\"", name, topology_.name));
  }
  if (taps_.size() >= kTapsMax && !taps_.contains(client))
    return refuse(client, Refusal::kTaken, fmt::format("{} others look on already: try again later", kTapsMax));
  StreamState& stream = ledger_.stream(*index);
  Tap& tap = taps_[client];
  tap.asked = now;
  tap.stream = *index;
  const msgpack::object* positions = map.find("positions");
  const bool known =
      positions != nullptr && positions->type == msgpack::type::ARRAY && positions->via.array.size == stream.shards();
  tap.positions.assign(stream.shards(), 0);
  for (std::uint32_t shard = 0; shard < stream.shards(); ++shard) {
    if (known) {
      const msgpack::object& position = positions->via.array.ptr[shard];
      tap.positions[shard] = position.type == msgpack::type::POSITIVE_INTEGER ? position.via.u64 : 0;
    } else if (map.text("from") != "start") {
      tap.positions[shard] = stream.next_offset(shard);
    }
  }
  if (!known) tap.frame = map.text("from") == "start" ? stream.first_frame() : stream.end_frame();
  tap.frame = std::max(tap.frame, stream.first_frame());
  const auto records_max =
      static_cast<std::uint64_t>(std::clamp<std::int64_t>(map.integer("records_max", 1000), 1, 10000));

  msgpack::sbuffer packed_records;
  msgpack::packer<msgpack::sbuffer> packer(packed_records);
  std::uint64_t records = 0;
  std::uint64_t missed = 0;
  constexpr std::size_t kAnswerBytesMax = 256 << 10;
  bool full_answer = false;
  wire::Decompressor decompressor;
  while (!full_answer && tap.frame < stream.end_frame()) {
    // What a person sees is on disk.
    if (stream.slot(tap.frame).sequence >= settled_) break;
    const Buffer* bytes = frame_bytes(*index, tap.frame);
    if (bytes == nullptr) break;
    const auto view = wire::FrameView::parse(bytes->bytes);
    std::size_t at = view->batches_start();
    for (std::uint32_t i = 0; i < view->header().batches && !full_answer; ++i) {
      const wire::BatchHeader batch = view->batch(i);
      // One that is malformed has no records here, and its worker says so.
      const auto plain = decompressor.records(batch.compression, view->bytes().subspan(at, batch.bytes),
                                              wire::batch_bytes_max(topology_));
      wire::BatchReader reader(plain.ok() ? *plain : BytesView());
      at += batch.bytes;
      std::uint64_t& position = tap.positions[batch.shard];
      if (position < batch.offset) {
        missed += batch.offset - position;
        position = batch.offset;
      }
      for (std::uint64_t offset = batch.offset; offset < batch.offset + batch.count; ++offset) {
        const auto record = reader.next();
        if (!record || offset < position) continue;
        if (records == records_max || packed_records.size() > kAnswerBytesMax) {
          full_answer = true;
          break;
        }
        packer.pack_array(4);
        packed_records.write(reinterpret_cast<const char*>(record->key.data()), record->key.size());
        packed_records.write(reinterpret_cast<const char*>(record->value.data()), record->value.size());
        packer.pack(record->timestamp);
        if (record->headers.empty()) {
          packer.pack_nil();
        } else {
          packed_records.write(reinterpret_cast<const char*>(record->headers.data()), record->headers.size());
        }
        ++records;
        position = offset + 1;
      }
    }
    if (!full_answer) ++tap.frame;
  }
  msgpack::sbuffer array;
  msgpack::packer<msgpack::sbuffer>(array).pack_array(static_cast<std::uint32_t>(records));
  array.write(packed_records.data(), packed_records.size());
  wire::MapWriter answer("records");
  answer.put("positions", tap.positions);
  answer.put("missed", missed);
  answer.put_packed("records", as_bytes({array.data(), array.size()}));
  outside_.reply(client, std::move(answer).finish());
}

}  // namespace weir::core
