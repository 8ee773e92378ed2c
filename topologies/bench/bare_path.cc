// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/bare_path.h"

#include <time.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <vector>

#include "topologies/bench/forked.h"
#include "topologies/bench/latency.h"
#include "topologies/bench/passage.h"
#include "topologies/bench/shared.h"
#include "topologies/bench/ticks.h"
#include "topologies/bench/zmq_handle.h"

namespace weir::bench {
namespace {

void sleep_until(std::uint64_t moment_ns) {
  const timespec moment{static_cast<time_t>(moment_ns / 1'000'000'000), static_cast<long>(moment_ns % 1'000'000'000)};
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, nullptr) == EINTR) {
  }
}

bool send_paced(const std::string& to, const Workload& workload, double rate, Passage& passage) {
  const ZmqContext context;
  const ZmqSocket out(context, ZMQ_PUSH);
  if (!out.connect(to) || !passage.start(out)) return false;
  std::string record(std::max(workload.record_bytes(), sizeof(std::uint64_t)), 'x');
  for (std::uint64_t i = 0; i < workload.records; ++i) {
    const std::uint64_t due = due_ns(passage.started_ns, i, rate);
    sleep_until(due);
    std::memcpy(record.data(), &due, sizeof due);
    if (::zmq_send(out.get(), record.data(), record.size(), 0) < 0) return false;
  }
  return true;
}

bool pass_on(ZmqMessage& message, const ZmqSocket& in, const ZmqSocket& out) {
  return message.receive(in) && message.send(out);
}

/// Of two queues at once, as the broker.
bool relay_both(const std::string& from_source, const std::string& to_stage, const std::string& from_stage,
                const std::string& to_sink, std::uint64_t messages) {
  const ZmqContext context;
  const ZmqSocket ins[] = {{context, ZMQ_PULL}, {context, ZMQ_PULL}};
  const ZmqSocket outs[] = {{context, ZMQ_PUSH}, {context, ZMQ_PUSH}};
  if (!ins[0].bind(from_source) || !ins[1].bind(from_stage) || !outs[0].connect(to_stage) || !outs[1].connect(to_sink))
    return false;
  ZmqMessage message;
  zmq_pollitem_t items[] = {{ins[0].get(), 0, ZMQ_POLLIN, 0}, {ins[1].get(), 0, ZMQ_POLLIN, 0}};
  for (std::uint64_t passed = 0; passed < 2 * messages;) {
    if (::zmq_poll(items, 2, ZmqSocket::kReceiveMsMax) <= 0) return false;
    for (int i : {0, 1}) {
      if ((items[i].revents & ZMQ_POLLIN) == 0) continue;
      if (!pass_on(message, ins[i], outs[i])) return false;
      ++passed;
    }
  }
  return true;
}

bool pass_all(const std::string& from, const std::string& to, std::uint64_t messages) {
  const ZmqContext context;
  const ZmqSocket in(context, ZMQ_PULL);
  const ZmqSocket out(context, ZMQ_PUSH);
  if (!in.bind(from) || !out.connect(to)) return false;
  ZmqMessage message;
  for (std::uint64_t i = 0; i < messages; ++i) {
    if (!pass_on(message, in, out)) return false;
  }
  return true;
}

bool take_all(const std::string& from, std::uint64_t records, const std::string& latencies, Passage& passage) {
  const ZmqContext context;
  const ZmqSocket in(context, ZMQ_PULL);
  if (!in.bind(from)) return false;
  ZmqMessage message;
  if (!passage.await(in, message)) return false;
  std::vector<std::uint64_t> took_ns;
  took_ns.reserve(records);
  while (took_ns.size() < records) {
    if (!message.receive(in)) return false;
    std::uint64_t due = 0;
    std::memcpy(&due, message.bytes(), sizeof due);
    took_ns.push_back(ticks_ns() - due);
  }
  passage.end();
  std::ofstream file(latencies, std::ios::binary);
  file.write(reinterpret_cast<const char*>(took_ns.data()),
             static_cast<std::streamsize>(took_ns.size() * sizeof took_ns[0]));
  file.close();
  return static_cast<bool>(file);
}

}  // namespace

Result<Measurement> run_bare_path(const Workload& workload, double rate, const std::string& folder) {
  const std::string latencies = folder + "/bare_latencies";
  const std::string to_relay = private_endpoint("relay");
  const std::string to_stage = private_endpoint("stage");
  const std::string back_to_relay = private_endpoint("back");
  const std::string to_sink = private_endpoint("sink");
  const std::uint64_t messages = workload.records + 1;
  Shared<Passage> passage;
  Forked processes;
  Status started = processes.start("sink", [&] { return take_all(to_sink, workload.records, latencies, *passage); });
  if (started.ok()) started = processes.start("stage", [&] { return pass_all(to_stage, back_to_relay, messages); });
  if (started.ok()) {
    started =
        processes.start("relay", [&] { return relay_both(to_relay, to_stage, back_to_relay, to_sink, messages); });
  }
  if (started.ok()) started = processes.start("source", [&] { return send_paced(to_relay, workload, rate, *passage); });
  if (!started.ok()) return started.error();
  auto uses = processes.wait();
  if (!uses) return uses.error();
  const auto histogram = read_latencies(latencies, workload.records);
  if (!histogram) return histogram.error();
  Measurement measured{.what = "latency over bare ZeroMQ",
                       .records = workload.records,
                       .bytes = workload.records * workload.record_bytes(),
                       .seconds = seconds_between(passage->started_ns, passage->ended_ns),
                       .cpu_seconds = total_cpu_seconds(*uses),
                       .processes = *std::move(uses),
                       .latency = Latency::of(*histogram)};
  return measured;
}

}  // namespace weir::bench
