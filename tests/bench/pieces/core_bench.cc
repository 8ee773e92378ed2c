// SPDX-License-Identifier: Apache-2.0
// The broker's mind without sockets and files: a source's transaction comes in, its batch goes out, the worker's commit
// comes back. An item is a record, a transaction is an iteration.
#include <benchmark/benchmark.h>

#include "tests/bench/pieces/sample_record.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

Topology one_queue() {
  Topology topology = small_topology("bench");
  topology.broker.segment_bytes = 64 << 20;
  topology.streams.push_back(small_stream("in"));
  topology.streams.back().shards = 1;
  topology.streams.back().backlog_bytes_max = 64 << 20;
  topology.stages = {source_stage(), working_stage(1)};
  return topology;
}

Bytes frame_of(std::uint32_t records) {
  Bytes batch;
  for (std::uint32_t i = 0; i < records; ++i) wire::append_record(batch, bench::SampleRecord(i).ref());
  const wire::FrameHeader header{0, 1, records, 0};
  const wire::BatchHeader entry{0, records, static_cast<std::uint32_t>(batch.size()), 0, 0, 0};
  Bytes frame;
  ByteWriter writer(frame);
  writer.raw(std::as_bytes(std::span(&header, 1)));
  writer.raw(std::as_bytes(std::span(&entry, 1)));
  writer.raw(batch);
  return frame;
}

class Traffic final : public CoreFixture {
 public:
  explicit Traffic(std::uint32_t records) : CoreFixture(one_queue()), frame_(frame_of(records)) {
    source_ = ready("read");
    worker_ = ready("work");
  }
  void TestBody() override {}

  /// A frame through the core; says how many records the worker was given.
  std::uint64_t pass() {
    commit(source_, {}, {BytesView(frame_)});
    std::uint64_t records = 0;
    wire::Commit done;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.header.type != MessageType::kDeliver) continue;
      const auto delivery = wire::decode_delivery(wire::body_of(sent.message));
      for (const wire::DeliveryHeader& batch : delivery->batches) {
        done.consumed.push_back({batch.stream, batch.shard, batch.offset, batch.offset + batch.count});
        records += batch.count;
        credit_.first += batch.bytes;
        credit_.second += batch.count;
      }
    }
    commit(worker_, std::move(done));
    say(worker_, MessageType::kCredit, wire::encode_totals(credit_));
    for (; written_ < out_.appended.value(); ++written_) core_.on_written(Sequence(written_), 1, 4096);
    core_.on_settled(out_.appended, now_);
    core_.pump(now_);
    out_.sent.clear();
    out_.payloads.clear();
    now_ += std::chrono::microseconds(10);
    return records;
  }

 private:
  Bytes frame_;
  Peer source_;
  Peer worker_;
  wire::Totals credit_{64 << 20, 1'000'000};
};

void core_pass(benchmark::State& state) {
  const auto records = static_cast<std::uint32_t>(state.range(0));
  Traffic traffic(records);
  traffic.pass();
  for (auto _ : state) {
    if (traffic.pass() != records) return state.SkipWithError("records are missing");
  }
  state.SetItemsProcessed(state.iterations() * records);
}

BENCHMARK(core_pass)->Arg(1)->Arg(10)->Arg(640);

}  // namespace
}  // namespace weir::core
