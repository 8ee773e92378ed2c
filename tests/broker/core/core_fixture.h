// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "broker/core/core.h"
#include "sdk/wire/batch.h"
#include "tests/broker/core/recorder.h"

namespace weir::core {

/// A topology without streams and stages, small enough for tests.
inline Topology small_topology(std::string name) {
  Topology topology;
  topology.name = std::move(name);
  topology.broker.segment_bytes = 1 << 20;
  topology.broker.memory_bytes = 64 << 20;
  topology.broker.transaction_bytes_max = 1 << 18;
  return topology;
}

inline Stream small_stream(std::string name) {
  Stream stream;
  stream.name = std::move(name);
  stream.backlog_bytes_max = 1 << 20;
  return stream;
}

/// The stage "read", which fills the topology's first stream.
inline StageSpec source_stage() {
  StageSpec read;
  read.name = "read";
  read.kind = PluginKind::kSource;
  read.outputs = {{"out", 0}};
  return read;
}

/// The stage "work", which reads the topology's first stream, and stands behind the source.
inline StageSpec working_stage(std::uint32_t workers) {
  StageSpec work;
  work.name = "work";
  work.workers = workers;
  work.inputs = {{"in", 0}};
  work.host = 1;
  return work;
}

/// The source, the stage behind it, and the sink "write" behind that, each stream of one shard.
inline Topology small_chain(std::string name) {
  Topology topology = small_topology(std::move(name));
  for (const char* stream : {"in", "out"}) {
    topology.streams.push_back(small_stream(stream));
    topology.streams.back().shards = 1;
  }
  StageSpec work = working_stage(1);
  work.outputs = {{"out", 1}};
  StageSpec write;
  write.name = "write";
  write.kind = PluginKind::kSink;
  write.inputs = {{"in", 1}};
  write.host = 2;
  topology.stages = {source_stage(), work, write};
  return topology;
}

/// A frame of `stream` with one record, the first of its shard.
inline Bytes frame_of_one(std::uint32_t stream = 0, std::uint32_t shard = 0, BytesView value = wire::nil_bytes()) {
  Bytes batch;
  wire::append_record(batch, {0, wire::nil_bytes(), value, {}});
  const wire::FrameHeader header{stream, 1, 1, 0};
  const wire::BatchHeader entry{shard, 1, static_cast<std::uint32_t>(batch.size()), 0, 0, 0};
  Bytes frame;
  ByteWriter writer(frame);
  writer.raw(std::as_bytes(std::span(&header, 1)));
  writer.raw(std::as_bytes(std::span(&entry, 1)));
  writer.raw(batch);
  return frame;
}

/// A core that serves `topology`, workers whose words a test says for them, and a journal that obeys.
class CoreFixture : public testing::Test {
 protected:
  static constexpr std::int64_t kStartedUs = 1'700'000'000'000'000;

  /// A worker: how far its numbers have come.
  struct Peer {
    Incarnation incarnation;
    std::uint64_t sent = 0;
    std::uint64_t transactions = 0;
  };

  explicit CoreFixture(Topology topology, CoreOptions options = {})
      : topology_(std::move(topology)), core_(topology_, std::move(options), out_) {
    core_.set_started_us(kStartedUs);
    core_.start(Reign(1), {1, 1}, now_);
  }

  Peer hello(const std::string& stage, std::uint32_t index = 0) {
    wire::WorkerHello said;
    said.stage = stage;
    said.worker = index;
    said.pid = 100 + index;
    said.inbox = "inproc://nowhere";
    core_.on_client("client", wire::encode(said), now_);
    return {out_.connected.back()};
  }
  Peer ready(const std::string& stage, std::uint32_t index = 0) {
    Peer peer = hello(stage, index);
    say(peer, MessageType::kReady, {});
    say(peer, MessageType::kCredit, wire::encode_totals({1 << 20, 1000}));
    return peer;
  }
  void say(Peer& peer, MessageType type, const Bytes& body) {
    core_.on_message(
        Buffer::of(wire::message({type, wire::kWireVersion, 0, peer.incarnation.value(), ++peer.sent}, body)), now_);
    core_.pump(now_);
  }
  void commit(Peer& peer, wire::Commit commit, const std::vector<BytesView>& frames = {}) {
    commit.transaction = ++peer.transactions;
    Bytes body;
    wire::encode(commit, frames, body);
    say(peer, MessageType::kCommit, body);
  }
  /// Everything that was appended is written, to `segment`, and as durable as it asked to be.
  void settle(std::uint64_t segment = 1) {
    for (; written_ < out_.appended.value(); ++written_)
      core_.on_written(Sequence(written_), segment, static_cast<std::uint32_t>(4096 * (written_ + 1)));
    core_.on_settled(out_.appended, now_);
    core_.pump(now_);
  }
  /// Everything that was appended is on disk.
  void sync() {
    core_.on_durable(out_.appended);
    core_.pump(now_);
  }

  Monotonic now_{1'000'000};
  Topology topology_;
  Recorder out_;
  Core core_;
  std::uint64_t written_ = 0;
};

}  // namespace weir::core
