// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "sdk/base/result.h"
#include "sdk/topology/topology.h"
#include "sdk/wire/messages.h"
#include "stages/host/direct_inbox.h"
#include "stages/host/direct_outbox.h"
#include "stages/host/engine.h"
#include "stages/host/publisher.h"

namespace weir::host {

/// A worker's side of what it and the broker say to each other: numbers on every message, credit for deliveries, the
/// window of commits, and in which order the runner learns of it all. Has no socket and no clock: those belong to the
/// class that derives from it. Thread: the runner's.
class BrokerSession : public Engine {
 public:
  [[nodiscard]] std::uint32_t worker() const { return welcome_.worker; }
  /// Says that the worker is ready, and how much it takes. REQUIRES: the broker's welcome; `topology` outlives this.
  void start(const Topology& topology, std::uint32_t stage);

  bool urgent() override;
  void commit(Bytes message) override;
  void commit_direct(DirectPart part) override;
  [[nodiscard]] std::uint64_t committed() const override { return committed_; }
  [[nodiscard]] std::uint64_t settled() const override { return settled_; }
  /// State that is not durable yet is held in memory, and so is what no peer has taken: that is bounded too. What would
  /// be published to nobody waits.
  [[nodiscard]] bool has_window() const override {
    return unaccepted_bytes_ < window_bytes_ && undurable_bytes_ < window_bytes_ &&
           (!outbox_ || (outbox_->bytes() + publisher_->bytes() < window_bytes_ && publisher_->is_heard()));
  }
  [[nodiscard]] std::uint32_t readers(std::uint32_t stream) const override {
    return publisher_ ? publisher_->readers(stream) : 0;
  }
  [[nodiscard]] Durable durable() const override { return durable_; }
  void say_taken(const wire::Lease& lease) override { send(wire::MessageType::kTaken, wire::encode_leases({lease})); }
  void say_local(const std::vector<wire::LocalState>& states) override {
    send(wire::MessageType::kLocal, wire::encode_local(states));
  }
  [[nodiscard]] bool may_publish() const override { return published_ < publish_granted_; }
  [[nodiscard]] std::uint64_t publish_at_once() const override { return publish_at_once_; }
  void worked_off(std::uint64_t bytes, std::uint64_t records) override;
  void worked_off_direct(std::uint32_t stream, Incarnation producer, std::uint64_t bytes) override;
  void release(const std::vector<wire::Lease>& leases) override;
  void drained() override {
    drained_ = true;
    send_commits();
  }
  void failed(const std::string& sentence) override {
    send(wire::MessageType::kFailed, wire::encode_sentence(sentence));
  }
  [[nodiscard]] bool closes(Monotonic opened, Monotonic now) const override { return now - opened >= commit_after_; }
  [[nodiscard]] Monotonic gathers_until(Monotonic opened, Monotonic worked) const override;
  [[nodiscard]] const std::string& host() const override { return welcome_.host; }
  [[nodiscard]] bool beat_due() const override { return clock() - beat_sent_ >= welcome_.beat; }
  void beat(const wire::Measured& measured) override;

 protected:
  enum class Follows : std::uint8_t { kNothing, kMore };  ///< the next message goes with this one
  /// Carries a message to the broker. What cannot be carried is lost: the broker sees the gap.
  virtual void transmit(Bytes message, Follows follows) = 0;
  /// Whether a message of the broker has come, and takes it: `owner` keeps its bytes.
  struct Received {
    std::shared_ptr<void> owner;
    BytesView message;
  };
  virtual std::optional<Received> receive() = 0;
  /// A socket to the inbox of another worker. It is never connected again.
  virtual void connect_peer(Incarnation peer, const std::string& inbox) = 0;
  virtual void disconnect_peer(Incarnation peer) = 0;
  /// Carries a message there. What cannot be carried is lost: the peer sees the gap, or the broker that it is gone.
  virtual void transmit_to(Incarnation peer, Bytes message) = 0;
  [[nodiscard]] virtual Monotonic clock() const = 0;
  /// Somebody wants this worker gone while the topology goes on: it says so once, and is drained.
  [[nodiscard]] virtual bool asked_to_leave() const = 0;

  void set_welcome(wire::WorkerWelcome welcome);
  [[nodiscard]] const wire::WorkerWelcome& welcome() const { return welcome_; }
  /// This incarnation cannot go on.
  void lose(std::string sentence) {
    if (!urgent_) urgent_ = lost(std::move(sentence));
  }
  /// Takes all that has come.
  void pump();
  /// Records wait for a moment that nothing will tell of: it is soon.
  [[nodiscard]] bool holds_records() const { return peers_inbox_ && peers_inbox_->holds(); }
  /// What the runner is to know now, if anything; `waits`: otherwise it waits, and ends no transaction before.
  std::optional<Event> take(bool waits);
  /// It is a source's, which has its records from elsewhere.
  [[nodiscard]] bool reads() const { return reads_; }

 private:
  std::optional<Event> hear(const Received& received);
  static Event lost(std::string sentence);
  void send(wire::MessageType type, BytesView body, Follows follows = Follows::kNothing);
  [[nodiscard]] wire::MessageHeader next_header(wire::MessageType type);
  void send_credit(Follows follows = Follows::kNothing);
  [[nodiscard]] bool is_published(std::uint32_t stream) const {
    return stream < topology_->streams.size() && topology_->streams[stream].transport == Transport::kPubSub;
  }
  void hear_direct(const wire::DirectHeader& header, const Received& received);
  void hear_peers(wire::Peers peers);
  /// Peers that were left out are parted from once all that they had sent is committed.
  void confirm_peers();
  /// Commits wait until what they emitted to `send_receive` streams is acknowledged; so does the word that a lease is
  /// let go behind them, or that all is committed.
  void send_commits();
  /// Sends what consumers have credit for, and credit to producers.
  void serve_peers(bool all_credit);

  wire::WorkerWelcome welcome_;
  const Topology* topology_ = nullptr;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::deque<Event> events_;     ///< taken from the inbox; credit bounds them
  std::optional<Event> urgent_;  ///< what makes them meaningless
  Monotonic heard_{0};
  Monotonic beat_sent_{0};
  bool leaving_ = false;  ///< and has been said
  std::uint64_t committed_ = 0;
  std::uint64_t accepted_ = 0;
  std::uint64_t settled_ = 0;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> unaccepted_;  ///< number, bytes
  std::uint64_t unaccepted_bytes_ = 0;
  bool keeps_local_ = false;  ///< state lies on this machine's disk
  bool reads_ = false;        ///< it is a source
  Durable durable_;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> undurable_;  ///< number, bytes
  std::uint64_t undurable_bytes_ = 0;
  std::uint64_t window_bytes_ = 0;
  std::uint64_t published_ = 0;
  std::uint64_t publish_granted_ = 0;
  std::uint64_t publish_at_once_ = UINT64_MAX;
  std::uint64_t capacity_bytes_ = 0;
  std::optional<DirectInbox> peers_inbox_;
  std::optional<DirectOutbox> outbox_;
  std::optional<Publisher> publisher_;
  std::set<Incarnation> peers_;      ///< connected
  std::set<Incarnation> producers_;  ///< that the newest kPeers names
  /// A kPeers that is not in force yet: what was sent to those that it leaves out, and from whom something is still to
  /// be committed.
  struct Unconfirmed {
    wire::Routed routed;
    std::set<Incarnation> parting;
  };
  std::deque<Unconfirmed> unconfirmed_;
  std::deque<std::pair<std::uint64_t, Bytes>> unsent_;    ///< commits, by number; the window bounds them
  std::deque<std::pair<std::uint64_t, Bytes>> releases_;  ///< by the number of the commit that they go behind
  bool drained_ = false;                                  ///< to be said once they have been sent
  bool peer_was_last_ = false;                            ///< of what was handed out
  wire::Totals worked_;
  wire::Totals credited_;
  Monotonic commit_after_{0};
};

}  // namespace weir::host
