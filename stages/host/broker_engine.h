// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <zmq.hpp>

#include "sdk/base/result.h"
#include "sdk/topology/topology.h"
#include "stages/host/engine.h"

namespace weir::host {

/// The broker as an engine: an inbox of this incarnation, a PUSH to the broker's commits, numbers on every message, and
/// a thread ("pulse") that says "alive" while a record takes long. Created with its hello answered. Thread: the
/// runner's; the pulse is its own.
class BrokerEngine final : public Engine {
 public:
  struct Options {
    std::string broker;  ///< endpoint of the ROUTER
    std::string stage;
    std::int64_t worker = -1;
    std::string listen;     ///< host to bind the inbox on; "" chosen by where the broker is
    std::string advertise;  ///< host to name to the broker; "" as bound
  };
  /// Errors: kUnavailable after 10 s, kRefused with the broker's sentence, kInvalid.
  static Result<std::unique_ptr<BrokerEngine>> open(const Options& options);
  ~BrokerEngine() override;

  [[nodiscard]] const std::string& topology_text() const { return welcome_.topology; }
  [[nodiscard]] std::uint32_t worker() const { return welcome_.worker; }
  /// Says that the worker is ready, and how much it takes.
  void start(const Topology& topology, std::uint32_t stage);

  Event next(std::chrono::milliseconds wait) override;
  bool urgent() override;
  void commit(const Bytes& body, std::uint64_t published) override;
  [[nodiscard]] std::uint64_t committed() const override { return committed_; }
  [[nodiscard]] std::uint64_t settled() const override { return settled_; }
  [[nodiscard]] bool has_window() const override { return unaccepted_bytes_ < window_bytes_; }
  [[nodiscard]] bool may_publish() const override { return published_ < publish_granted_; }
  void worked_off(std::uint64_t bytes, std::uint64_t records) override;
  void release(const std::vector<wire::Lease>& leases) override;
  void drained() override { send(wire::MessageType::kDrained, {}); }
  void failed(const std::string& sentence) override {
    send(wire::MessageType::kFailed, wire::encode_sentence(sentence));
  }
  [[nodiscard]] bool closes(Monotonic opened, Monotonic now) const override { return now - opened >= commit_after_; }
  [[nodiscard]] bool beat_due() const override;
  void beat(const wire::Measured& measured) override;

 private:
  BrokerEngine() = default;
  Status bind_inbox(const Options& options);
  Status say_hello(const Options& options);
  Event lost(std::string sentence) const;
  void pump();
  std::optional<Event> take(zmq::message_t message);
  void send(wire::MessageType type, BytesView body);
  void send_credit();
  void run_pulse();

  zmq::context_t context_{1};
  zmq::socket_t inbox_;
  zmq::socket_t commits_;
  std::string inbox_file_;
  std::string inbox_endpoint_;
  wire::WorkerWelcome welcome_;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::deque<Event> events_;     ///< taken from the inbox; credit bounds them
  std::optional<Event> urgent_;  ///< what makes them meaningless
  Monotonic heard_{0};
  Monotonic beat_sent_{0};
  std::uint64_t committed_ = 0;
  std::uint64_t accepted_ = 0;
  std::uint64_t settled_ = 0;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> unaccepted_;  ///< number, bytes
  std::uint64_t unaccepted_bytes_ = 0;
  std::uint64_t window_bytes_ = 0;
  std::uint64_t published_ = 0;
  std::uint64_t publish_granted_ = 0;
  std::uint64_t capacity_bytes_ = 0;
  wire::Totals worked_;
  wire::Totals credited_;
  Monotonic commit_after_{0};
  std::atomic<bool> stopping_{false};
  std::thread pulse_;
};

}  // namespace weir::host
