// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/model_worker.h"

#include <algorithm>
#include <set>

#include "sdk/wire/batch.h"
#include "sdk/wire/changes.h"
#include "sdk/wire/frame.h"

namespace weir::simulation {
namespace {

constexpr wire::Totals kCapacity{2048, 64};

/// A number as MessagePack in its shortest form. REQUIRES: below 2^16.
Bytes packed_key(std::uint64_t key) {
  if (key < 0x80) return {static_cast<std::byte>(key)};
  if (key < 0x100) return {std::byte{0xcc}, static_cast<std::byte>(key)};
  return {std::byte{0xcd}, static_cast<std::byte>(key >> 8), static_cast<std::byte>(key)};
}

std::uint64_t unpacked_key(BytesView bytes) {
  std::uint64_t key = 0;
  for (std::size_t i = bytes.size() > 1 ? 1 : 0; i < bytes.size(); ++i)
    key = key << 8 | static_cast<unsigned char>(bytes[i]);
  return key;
}

Bytes packed(const std::vector<std::uint64_t>& numbers) {
  Bytes bytes;
  for (const std::uint64_t number : numbers) ByteWriter(bytes).put(number);
  return bytes;
}

std::vector<std::uint64_t> unpacked(BytesView bytes) {
  ByteReader reader(bytes);
  std::vector<std::uint64_t> numbers;
  while (!reader.at_end() && reader.ok()) numbers.push_back(reader.get<std::uint64_t>());
  return numbers;
}

}  // namespace

struct ModelWorker::Transaction {
  wire::Commit commit;
  std::map<std::uint32_t, Batch> batches;                    ///< by shard of the output
  std::map<std::uint32_t, std::set<std::uint64_t>> changed;  ///< lane -> keys
  std::set<std::uint32_t> touched;
  std::map<std::uint32_t, Bytes> letters;  ///< lane -> changes
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  std::uint64_t dead = 0;
  std::deque<Bytes> held;  ///< what `commit` borrows
};

ModelWorker::ModelWorker(World& world, std::uint32_t stage, std::uint32_t index, std::int64_t pid)
    : world_(world), stage_(stage), index_(index), pid_(pid) {
  const std::string& name = world.topology().stages[stage].name;
  role_ = name == "numbers" ? Role::kSource : name == "pass" ? Role::kPass : name == "sum" ? Role::kSum : Role::kSink;
  const auto& stages = world.topology().stages;
  for (std::uint32_t other = 0; other < stages.size(); ++other) {
    if (other != stage && stages[other].host == stage) tally_ = other;
  }
  if (role_ != Role::kSink) output_ = stages[tally_.value_or(stage)].outputs.front().stream;
}

void ModelWorker::start() {
  heard_ = world_.now();
  wire::WorkerHello hello;
  hello.stage = world_.topology().stages[stage_].name;
  hello.worker = index_;
  hello.pid = pid_;
  hello.inbox = std::to_string(pid_);
  world_.say_hello(*this, wire::encode(hello));
}

void ModelWorker::exit(bool told) {
  if (!alive_) return;
  alive_ = false;
  stopped_ = told;
  world_.exited(*this);
}

std::string ModelWorker::fact(std::uint32_t lane) const {
  return world_.topology().stages[stage_].name + "/" + std::to_string(lane);
}

void ModelWorker::say(wire::MessageType type, BytesView body) {
  world_.to_broker(pid_, wire::message({type, wire::kWireVersion, 0, incarnation_.value(), ++sent_}, body));
}

void ModelWorker::on_reply(BytesView message) {
  const auto welcome = wire::decode_worker_welcome(message);
  if (!welcome.ok()) return exit(false);
  if (incarnation_.value() != 0) return;
  incarnation_ = welcome->incarnation;
  heard_ = world_.now();
  say(wire::MessageType::kReady);
  credit_said_ = kCapacity;
  say(wire::MessageType::kCredit, wire::encode_totals(kCapacity));
}

void ModelWorker::on_message(BytesView message) { inbox_.emplace_back(message.begin(), message.end()); }

void ModelWorker::work() {
  if (world_.now() < frozen_until_) return;
  if (world_.now() - heard_ > std::chrono::seconds(3)) return exit(false);
  while (!inbox_.empty() && alive_) {
    const Bytes message = std::move(inbox_.front());
    inbox_.pop_front();
    heard_ = world_.now();
    const auto header = wire::decode_header(message);
    if (!header || header->incarnation != incarnation_.value()) continue;
    if (header->type == wire::MessageType::kBeatDown) {
      if (header->number != received_) return exit(false);
      continue;
    }
    if (header->number != ++received_) return exit(false);
    const BytesView body = wire::body_of(message);
    switch (header->type) {
      case wire::MessageType::kGrant:
        on_grant(body);
        break;
      case wire::MessageType::kState:
        on_state(body);
        break;
      case wire::MessageType::kDeliver:
        on_deliver(body);
        break;
      case wire::MessageType::kRevoke:
        on_revoke(body);
        break;
      case wire::MessageType::kFinish: {
        const auto shards = wire::decode_shards(body);
        for (const std::uint32_t shard : *shards) finishes_.push_back(shard);
        break;
      }
      case wire::MessageType::kPublish:
        publish_granted_ = wire::decode_totals(body)->first;
        break;
      case wire::MessageType::kCommitted: {
        const auto totals = wire::decode_totals(body);
        if (totals->first > transactions_ || totals->second > totals->first)
          world_.problem("more transactions were settled than said");
        while (!unsettled_.empty() && unsettled_.front().first <= totals->second) {
          for (const auto& [of, value] : unsettled_.front().second) world_.settled(of, value);
          unsettled_.pop_front();
        }
        break;
      }
      case wire::MessageType::kDrain:
        // Nothing is open between two calls of work().
        draining_ = true;
        say(wire::MessageType::kDrained);
        break;
      case wire::MessageType::kStop:
        return exit(true);
      case wire::MessageType::kFenced:
        return exit(false);
      default:
        world_.problem("an unknown message came from the broker");
    }
  }
  if (incarnation_.value() == 0 || !alive_) return;
  Transaction open;
  if (enumerate_ && !draining_) {
    enumerate_ = false;
    for (std::uint32_t split = 0; split < world_.plan().splits; ++split)
      open.commit.splits_found.push_back(std::to_string(split));
    open.commit.enumeration_ended = true;
  }
  if (!draining_) {
    if (role_ == Role::kSource) read_splits(open);
    process(open);
    finish(open);
    commit(open);
  }
  // All of it once nothing waits: a batch larger than the credit comes when nothing is under way.
  const bool unsaid = done_.first + kCapacity.first != credit_said_.first;
  if ((unsaid && pending_.empty()) || done_.first + kCapacity.first - credit_said_.first > kCapacity.first / 4 ||
      done_.second + kCapacity.second - credit_said_.second > kCapacity.second / 4) {
    credit_said_ = {done_.first + kCapacity.first, done_.second + kCapacity.second};
    say(wire::MessageType::kCredit, wire::encode_totals(credit_said_));
  }
  if (world_.now() - beat_ >= std::chrono::milliseconds(200)) {
    beat_ = world_.now();
    world_.to_broker(pid_, wire::message({wire::MessageType::kBeat, wire::kWireVersion, 0, incarnation_.value(), sent_},
                                         wire::encode_measured({})));
  }
}

void ModelWorker::on_grant(BytesView body) {
  const auto leases = wire::decode_leases(body);
  if (!leases.ok()) return world_.problem(leases.error().message);
  for (const wire::Lease& lease : *leases) {
    if (lease.kind == wire::LeaseKind::kEnumerate) {
      enumerate_ = true;
      continue;
    }
    if (lanes_.count(lease.shard) != 0) world_.problem("a lane was granted twice to one worker");
    Held held;
    held.ready = !lease.state_follows;
    held.tenure = (incarnation_.value() >> 32 << 32) | lease.epoch;
    if (lease.kind == wire::LeaseKind::kSplit) {
      const auto position = unpacked(lease.position);
      held.position = position.empty() ? 0 : position[0];
      held.split = lease.split;
      world_.restored(incarnation_, fact(lease.shard), held.position);
    }
    lanes_[lease.shard] = std::move(held);
  }
}

void ModelWorker::on_state(BytesView body) {
  const auto part = wire::decode_state(body);
  if (!part.ok()) return world_.problem(part.error().message);
  const auto found = lanes_.find(part->shard);
  if (found == lanes_.end() || found->second.ready) return world_.problem("state came for a lane that awaits none");
  Held& held = found->second;
  wire::ChangesReader reader(part->changes);
  while (const auto change = reader.next()) {
    if (!change->value) {
      world_.problem("state came with an erased entry");
    } else if (change->space == wire::Space::kPosition) {
      held.position = unpacked(*change->value)[0];
    } else if (change->space == wire::Space::kDeadLetter) {
      world_.problem("a dead letter came as state");
    } else if (tally_ && part->stage == *tally_) {
      held.tallied = unpacked(*change->value)[0];
    } else if (as_text(change->name) == "seen") {
      held.seen = unpacked(*change->value)[0];
    } else {
      held.sums[unpacked_key(change->key)] = unpacked(*change->value);
    }
  }
  if (!part->last) return;
  held.ready = true;
  if (role_ == Role::kSink) {
    World::Target& target = world_.target(part->shard);
    world_.restored(incarnation_, fact(part->shard), held.position);
    if (target.owner > held.tenure) return;  // a newer one has it
    if (target.records.size() < held.position) return world_.problem("the sink's position is behind its target's end");
    target.owner = held.tenure;
    target.records.resize(held.position);
  } else {
    world_.restored(incarnation_, fact(part->shard), held.seen);
    std::uint64_t seen = 0;
    for (const auto& [key, sum] : held.sums) seen += sum[0];
    if (tally_ && held.tallied != held.seen) world_.problem("the states of two fused stages come apart");
    if (seen != held.seen) world_.problem("the state of shard " + std::to_string(part->shard) + " is torn");
  }
}

void ModelWorker::on_deliver(BytesView body) {
  const auto delivery = wire::decode_delivery(body);
  if (!delivery.ok()) return world_.problem(delivery.error().message);
  for (std::size_t i = 0; i < delivery->batches.size(); ++i) {
    const wire::DeliveryHeader& header = delivery->batches[i];
    Piece piece{header.stream, header.shard, header.offset, {}};
    wire::BatchReader reader(delivery->records[i]);
    std::size_t before = 0;
    std::uint64_t offset = header.offset;
    while (const auto record = reader.next()) {
      // What comes from outside is MessagePack: the numbers behind the head of a binary.
      const std::size_t head = record->value.size() % sizeof(std::uint64_t);
      const auto numbers = unpacked(record->value.subspan(head));
      if (numbers.size() != 3) return world_.problem("a record was damaged on its way");
      piece.records.push_back(
          {unpacked_key(record->key), {numbers[0], numbers[1], numbers[2]}, reader.position() - before});
      if (role_ == Role::kSink) {
        world_.delivered_to_sink(header.shard, offset,
                                 delivery->records[i].subspan(before, reader.position() - before));
      }
      before = reader.position();
      ++offset;
    }
    if (!reader.ok() || piece.records.size() != header.count) return world_.problem("a delivery's count is wrong");
    if (role_ != Role::kPass) {
      const auto held = lanes_.find(header.shard);
      if (held == lanes_.end() || !held->second.ready)
        return world_.problem("records came for a shard that is not held or awaits its state");
      Held::Input& input = held->second.inputs[header.stream];
      if (input.expected != UINT64_MAX && input.expected != header.offset)
        return world_.problem("records came out of order");
      input.expected = header.offset + header.count;
      if (header.watermark < input.watermark) return world_.problem("a watermark went back (I8)");
      input.watermark = header.watermark;
    }
    if (header.count != 0) pending_.push_back(std::move(piece));
  }
}

void ModelWorker::on_revoke(BytesView body) {
  const auto leases = wire::decode_leases(body);
  for (const wire::Lease& lease : *leases) {
    std::erase_if(pending_, [&](const Piece& piece) {
      if (piece.shard != lease.shard) return false;
      for (const Record& record : piece.records) done_.first += record.bytes;
      done_.second += piece.records.size();
      return true;
    });
    std::erase(finishes_, lease.shard);
    lanes_.erase(lease.shard);
  }
  say(wire::MessageType::kReleased, body);
}

void ModelWorker::read_splits(Transaction& open) {
  for (auto& [lane, held] : lanes_) {
    if (published_ >= publish_granted_ || world_.below(3) == 0) continue;
    const auto split = static_cast<std::uint64_t>(std::stoul(held.split));
    const std::uint64_t total = (world_.plan().numbers + world_.plan().splits - 1 - split) / world_.plan().splits;
    if (held.position > total) continue;  // it has ended
    for (std::uint64_t left = world_.below(12); left > 0 && held.position < total; --left) {
      const std::uint64_t number = split + held.position++ * world_.plan().splits;
      emit(open, number % world_.plan().keys, {number, split, 0});
    }
    wire::SplitMoved moved{lane, held.position == total, {}};
    open.held.push_back(packed({held.position}));
    moved.position = open.held.back();
    open.commit.splits.push_back(moved);
    open.commit.advanced.push_back({lane, static_cast<Timestamp>(split + held.position * world_.plan().splits)});
    open.touched.insert(lane);
    if (moved.ended) held.position = UINT64_MAX;
  }
}

void ModelWorker::process(Transaction& open) {
  for (std::uint64_t left = world_.below(40); left > 0 && !pending_.empty(); --left) {
    Piece& piece = pending_.front();
    const Record record = piece.records.front();
    piece.records.pop_front();
    auto& consumed = open.commit.consumed;
    const auto run = std::find_if(consumed.begin(), consumed.end(), [&](const wire::Consumed& range) {
      return range.stream == piece.stream && range.shard == piece.shard && range.to == piece.offset;
    });
    if (run == consumed.end()) {
      consumed.push_back({piece.stream, piece.shard, piece.offset, piece.offset + 1});
    } else {
      ++run->to;
    }
    ++open.in;
    done_.first += record.bytes;
    ++done_.second;
    if (role_ == Role::kSum && world_.plan().is_poison(record.value[0])) {
      give_up(open, piece, record);
    } else if (role_ == Role::kPass) {
      emit(open, record.key, record.value);
    } else {
      add(open, lanes_.at(piece.shard), piece.shard, record);
    }
    ++piece.offset;
    if (piece.records.empty()) pending_.pop_front();
  }
}

void ModelWorker::give_up(Transaction& open, const Piece& piece, const Record& record) {
  wire::DeadLetter letter;
  letter.stream = world_.topology().streams[piece.stream].name;
  letter.shard = Shard(piece.shard);
  letter.offset = Offset(piece.offset);
  letter.reason = std::to_string(record.value[0]);
  const Bytes key = packed_key(record.key);
  letter.key_bytes = letter.value_bytes = key;
  const Bytes name = wire::dead_letter_key(letter);
  const Bytes value = wire::encode(letter);
  wire::append_change(open.letters[piece.shard], {wire::Space::kDeadLetter, {}, name, BytesView(value)});
  open.touched.insert(piece.shard);
  ++open.dead;
}

Timestamp ModelWorker::watermark(const Held& held) const {
  Timestamp least = INT64_MAX;
  for (const PortBinding& input : world_.topology().stages[stage_].inputs) {
    const auto known = held.inputs.find(input.stream);
    least = std::min(least, known == held.inputs.end() ? INT64_MIN : known->second.watermark);
  }
  return least;
}

void ModelWorker::add(Transaction& open, Held& held, std::uint32_t lane, const Record& record) {
  open.touched.insert(lane);
  if (role_ == Role::kSink) {
    World::Target& target = world_.target(lane);
    ++held.position;
    if (target.owner == held.tenure)
      target.records.push_back({record.key, record.value[0], record.value[1], record.value[2]});
    return;
  }
  auto& sum = held.sums[record.key];
  sum.resize(2 + world_.plan().splits + world_.plan().producers);
  ++sum[0];
  sum[1] += record.value[0];
  std::uint64_t& last = sum.at(2 + record.value[1]);
  const bool in_order = !world_.plan().unkeyed_stage || record.value[1] >= world_.plan().splits;
  if (in_order && last > record.value[0]) world_.problem("a key's records came out of order (I3)");
  last = record.value[0] + 1;
  ++held.seen;
  ++held.tallied;
  open.changed[lane].insert(record.key);
  emit(open, record.key, {sum[0], sum[1], 0});
}

void ModelWorker::finish(Transaction& open) {
  while (!finishes_.empty()) {
    const std::uint32_t lane = finishes_.front();
    finishes_.pop_front();
    open.commit.finished.push_back(lane);
    if (role_ != Role::kSum) continue;
    const Held& held = lanes_.at(lane);
    for (const auto& [key, sum] : held.sums) emit(open, key, {sum[0], sum[1], 1});
  }
}

void ModelWorker::emit(Transaction& open, std::uint64_t key, const std::array<std::uint64_t, 3>& value) {
  const Stream& stream = world_.topology().streams[output_];
  const Bytes packed_ = packed_key(key);
  const std::uint32_t shard = stream.partition == PartitionBy::kNone
                                  ? static_cast<std::uint32_t>(world_.below(stream.shards))
                                  : wire::shard_by_hash(packed_, stream.shards).value();
  Batch& batch = open.batches[shard];
  ++batch.count;
  const Bytes said = packed({value[0], value[1], value[2]});
  wire::append_record(batch.bytes, {static_cast<Timestamp>(value[0]), packed_, said, {}});
  ++open.out;
}

void ModelWorker::commit(Transaction& open) {
  wire::Commit& commit = open.commit;
  if (commit.consumed.empty() && commit.splits.empty() && commit.finished.empty() && !commit.enumeration_ended) return;
  commit.transaction = ++transactions_;
  if (open.in + open.out != 0) commit.counters.push_back({stage_, open.in, open.out, open.dead, 0});
  if (open.out != 0 && tally_) {
    commit.counters.push_back({*tally_, open.out, open.out, 0, 0});
    ++world_.outcome().fused_transactions;
  }
  std::map<std::string, std::uint64_t> facts;
  std::deque<Bytes> changes;
  for (const std::uint32_t lane : open.touched) {
    const Held& held = lanes_.at(lane);
    facts[fact(lane)] = role_ == Role::kSum ? held.seen : held.position;
    if (role_ == Role::kSource) {
      facts[fact(lane)] = unpacked(open.held[0])[0];
      for (const wire::SplitMoved& moved : commit.splits) {
        if (moved.split == lane) facts[fact(lane)] = unpacked(moved.position)[0];
      }
      continue;
    }
    if (const Timestamp least = watermark(held); least != INT64_MIN) commit.advanced.push_back({lane, least});
    changes.emplace_back();
    if (role_ == Role::kSink) {
      const Bytes value = packed({held.position});
      wire::append_change(changes.back(), {wire::Space::kPosition, {}, {}, BytesView(value)});
    } else {
      wire::append_change(changes.back(), {wire::Space::kState, as_bytes("seen"), {}, BytesView(packed({held.seen}))});
      for (const std::uint64_t key : open.changed[lane]) {
        const Bytes name = packed_key(key);
        const Bytes value = packed(held.sums.at(key));
        wire::append_change(changes.back(), {wire::Space::kState, as_bytes("sum"), name, BytesView(value)});
      }
    }
    if (const auto letters = open.letters.find(lane); letters != open.letters.end())
      ByteWriter(changes.back()).raw(letters->second);
    commit.changes.push_back({stage_, lane, changes.back()});
    if (tally_) {
      changes.emplace_back();
      const Bytes value = packed({held.tallied});
      wire::append_change(changes.back(), {wire::Space::kState, as_bytes("tallied"), {}, BytesView(value)});
      commit.changes.push_back({*tally_, lane, changes.back()});
    }
  }
  Bytes frame;
  if (!open.batches.empty()) {
    wire::FrameHeader header;
    header.stream = output_;
    header.batches = static_cast<std::uint32_t>(open.batches.size());
    header.records = open.out;
    ByteWriter writer(frame);
    writer.raw(std::as_bytes(std::span(&header, 1)));
    for (const auto& [shard, batch] : open.batches) {
      const wire::BatchHeader entry{shard, batch.count, static_cast<std::uint32_t>(batch.bytes.size()), 0, 0, 0};
      writer.raw(std::as_bytes(std::span(&entry, 1)));
    }
    for (const auto& [shard, batch] : open.batches) writer.raw(batch.bytes);
    published_ += frame.size();
  }
  Bytes body;
  wire::encode(commit, frame.empty() ? std::vector<BytesView>{} : std::vector<BytesView>{frame}, body);
  unsettled_.emplace_back(transactions_, std::move(facts));
  say(wire::MessageType::kCommit, body);
}

}  // namespace weir::simulation
