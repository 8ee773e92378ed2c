// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <zmq.hpp>

#include "sdk/base/result.h"
#include "sdk/wire/zmq_inbox.h"
#include "stages/host/broker_session.h"
#include "stages/host/peer_sockets.h"

namespace weir::host {

/// The broker as an engine: an inbox of this incarnation, a PUSH to the broker's commits, and a thread ("pulse") that
/// says "alive" while a record takes long. Created with its hello answered. Thread: the runner's; the pulse is its own.
class BrokerEngine final : public BrokerSession {
 public:
  struct Options {
    std::string broker;  ///< endpoint of the ROUTER
    std::string stage;
    std::int64_t worker = -1;
    std::string listen;     ///< host to bind the inbox on; "" chosen by where the broker is
    std::string libraries;  ///< what it runs (sdk/wire/library_hash.h), where whoever starts it knows
    bool trial = false;     ///< no worker: it only tries the state (trial.h)
    std::string advertise;  ///< host to name to the broker; "" as bound
    bool (*asked_to_leave)() = [] { return false; };
  };
  /// Errors: kUnavailable after 10 s, kRefused with the broker's sentence, kInvalid.
  static Result<std::unique_ptr<BrokerEngine>> open(const Options& options);
  ~BrokerEngine() override;

  [[nodiscard]] const std::string& topology_text() const { return welcome().topology; }
  /// Names the journal, and where workers of its host keep state; "": this one is on another host.
  [[nodiscard]] const std::string& journal() const { return welcome().journal; }
  /// What this worker is to run, as far as anybody has wanted anything.
  [[nodiscard]] const std::string& libraries() const { return welcome().libraries; }
  [[nodiscard]] const std::string& state_dir() const { return welcome().state_dir; }

  Event next(Monotonic wait) override;

 private:
  BrokerEngine() = default;
  Status bind_inbox(const Options& options);
  Status say_hello(const Options& options);
  void run_pulse();
  void wait_for_message(Monotonic most);

  void transmit(Bytes message, Follows follows) override;
  void connect_peer(Incarnation peer, const std::string& inbox) override { peers_.connect(peer, inbox); }
  void disconnect_peer(Incarnation peer) override { peers_.disconnect(peer); }
  void transmit_to(Incarnation peer, Bytes message) override { peers_.send(peer, std::move(message)); }
  /// This worker ends where it cannot reach the broker, or another worker, any more.
  void watch_connections();
  std::optional<Received> receive() override;
  [[nodiscard]] Monotonic clock() const override { return monotonic_now(); }
  [[nodiscard]] bool asked_to_leave() const override { return asked_to_leave_(); }

  zmq::context_t context_{1};
  zmq::socket_t inbox_;
  wire::ZmqInbox messages_;  ///< of inbox_
  zmq::socket_t commits_;
  PeerSockets peers_{context_};
  Monotonic peers_watched_{0};
  std::optional<Monotonic> cut_off_since_;  ///< the broker gets no more from here
  std::string inbox_file_;
  std::string inbox_endpoint_;
  bool (*asked_to_leave_)() = nullptr;
  std::mutex pulse_mutex_;
  std::condition_variable pulse_ends_;
  bool stopping_ = false;  ///< under pulse_mutex_
  std::atomic<Monotonic> transmitted_{Monotonic(0)};
  std::thread pulse_;
};

}  // namespace weir::host
