// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/bare_relay.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "topologies/bench/forked.h"
#include "topologies/bench/passage.h"
#include "topologies/bench/shared.h"
#include "topologies/bench/ticks.h"
#include "topologies/bench/zmq_handle.h"

namespace weir::bench {
namespace {

constexpr std::size_t kFrameBytes = 64 * 1024;

struct Relayed {
  Passage passage;
  std::uint64_t bytes = 0;
};

bool send_frames(const std::string& to, std::uint64_t bytes, Passage& passage) {
  const ZmqContext context;
  const ZmqSocket out(context, ZMQ_PUSH);
  const std::string frame(kFrameBytes, 'x');
  if (!out.connect(to) || !passage.start(out)) return false;
  for (std::uint64_t rest = bytes; rest > 0;) {
    const std::size_t size = std::min<std::uint64_t>(rest, frame.size());
    if (::zmq_send(out.get(), frame.data(), size, 0) < 0) return false;
    rest -= size;
  }
  return true;
}

bool relay(const std::string& from, const std::string& to, std::uint64_t bytes) {
  const ZmqContext context;
  const ZmqSocket in(context, ZMQ_PULL);
  const ZmqSocket out(context, ZMQ_PUSH);
  if (!in.bind(from) || !out.connect(to)) return false;
  ZmqMessage message;
  if (!message.receive(in) || !message.send(out)) return false;
  for (std::uint64_t rest = bytes; rest > 0;) {
    if (!message.receive(in)) return false;
    rest -= message.size();
    if (!message.send(out)) return false;
  }
  return true;
}

bool take_frames(const std::string& from, std::uint64_t bytes, Relayed& relayed) {
  const ZmqContext context;
  const ZmqSocket in(context, ZMQ_PULL);
  if (!in.bind(from)) return false;
  ZmqMessage message;
  if (!relayed.passage.await(in, message)) return false;
  while (relayed.bytes < bytes) {
    if (!message.receive(in)) return false;
    relayed.bytes += message.size();
  }
  relayed.passage.end();
  return true;
}

}  // namespace

Result<Measurement> run_bare_relay(const Workload& workload) {
  const std::uint64_t bytes = workload.records * workload.record_bytes();
  const std::string first = private_endpoint("relay");
  const std::string second = private_endpoint("sink");
  Shared<Relayed> relayed;
  Forked processes;
  Status started = processes.start("sink", [&] { return take_frames(second, bytes, *relayed); });
  if (started.ok()) started = processes.start("relay", [&] { return relay(first, second, bytes); });
  if (started.ok()) started = processes.start("source", [&] { return send_frames(first, bytes, relayed->passage); });
  if (!started.ok()) return started.error();
  auto uses = processes.wait();
  if (!uses) return uses.error();
  if (relayed->bytes != bytes) {
    return {Code::kIo, fmt::format("the bare relay took {} bytes of {}", relayed->bytes, bytes)};
  }
  return Measurement{.what = "bare ZeroMQ relay, 64 KiB frames",
                     .records = workload.records,
                     .bytes = bytes,
                     .seconds = seconds_between(relayed->passage.started_ns, relayed->passage.ended_ns),
                     .cpu_seconds = total_cpu_seconds(*uses),
                     .processes = *std::move(uses)};
}

}  // namespace weir::bench
