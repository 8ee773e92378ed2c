// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "topologies/bench/ticks.h"
#include "topologies/bench/zmq_handle.h"

namespace weir::bench {

/// How messages pass from one process to another by way of others, as both ends tell it: a first, empty message shows
/// that all are connected, and only then the clock starts.
struct Passage {
  std::atomic<bool> connected = false;
  std::uint64_t started_ns = 0;
  std::uint64_t ended_ns = 0;

  /// At the source: comes back when the first message has come through.
  bool start(const ZmqSocket& out) {
    if (::zmq_send(out.get(), "", 0, 0) < 0) return false;
    while (!connected) ::usleep(100);
    started_ns = ticks_ns();
    return true;
  }
  /// At the sink: takes the first message.
  bool await(const ZmqSocket& in, ZmqMessage& message) {
    if (!message.receive(in)) return false;
    connected = true;
    return true;
  }
  void end() { ended_ns = ticks_ns(); }
};

}  // namespace weir::bench
