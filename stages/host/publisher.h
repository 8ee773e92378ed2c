// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "sdk/topology/topology.h"
#include "sdk/wire/direct.h"
#include "sdk/wire/messages.h"
#include "stages/host/direct_outbox.h"
#include "stages/host/direct_part.h"
#include "stages/host/last_values.h"
#include "stages/host/link_credit.h"
#include "stages/host/piece_cutter.h"

namespace weir::host {

/// What a worker has emitted to `pub_sub` streams, held until its transaction is durable, and then sent to each worker
/// that read the stream when the transaction was committed, within the credit of each. What one of them has no credit
/// for waits here for that one, and bytes() says how much that is, so that the worker stops: the slowest reader sets
/// the pace. Has no socket. Thread: the runner's. Lifetime: `topology` must outlive it.
class Publisher {
 public:
  /// `stage`: whose worker this is.
  Publisher(const Topology& topology, std::uint32_t stage, Incarnation self);

  /// It writes any such stream.
  [[nodiscard]] bool publishes() const { return !streams_.empty(); }
  /// These are the readers once it is confirmed that they are; who is left out gets nothing more at once. Answers how
  /// much those were sent.
  std::vector<wire::Sent> set_peers(const std::vector<wire::Peer>& peers);
  /// What the oldest set_peers() said that was not confirmed yet is in force: what is committed from now on is for
  /// them.
  void confirm();
  /// How many get what is committed now.
  [[nodiscard]] std::uint32_t readers(std::uint32_t stream) const;
  /// Every stream that it writes has a reader.
  [[nodiscard]] bool is_heard() const;
  /// The transaction emits these.
  void hold(std::uint64_t transaction, std::vector<DirectOutput> outputs);
  /// All transactions so far are durable.
  void release(std::uint64_t transaction);
  /// A reader says how much it can take. It may have heard of this worker before this one hears of it.
  void take_credit(const wire::DirectHeader& credit);
  /// The next piece that some reader has credit for, if any. It counts as sent.
  std::optional<DirectOutbox::Outgoing> next();
  /// Held, and not sent yet to all whom it is for.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  struct Sheet {
    Piece piece;
    wire::MessageType type = wire::MessageType::kRecords;
    std::size_t left = 0;  ///< readers that it was not sent to yet
  };
  struct Link {
    Incarnation to;
    LinkCredit credit;
    std::uint64_t records = 0;  ///< sent
    /// One sheet is in the queues of all its readers, and goes when the last of them has been sent it: so it is shared.
    std::deque<std::shared_ptr<Sheet>> queue;
    std::optional<std::uint64_t> joined;  ///< it reads what is committed behind this transaction
    bool greeted = false;                 ///< it has been given the last values
  };
  struct Outflow {
    explicit Outflow(const Stream& stream);
    std::vector<Link> links;
    std::size_t link_next = 0;
    PieceCutter cutter;
    std::optional<LastValues> last_values;
    PieceCutter last_values_cutter;
    std::uint64_t forgotten_told = 0;
  };
  struct Held {
    std::uint64_t transaction = 0;
    DirectOutput output;
    std::vector<Incarnation> to;  ///< sorted
  };

  Link* find(Outflow& outflow, Incarnation to);
  void put(Link& link, const std::shared_ptr<Sheet>& sheet);
  void take_off(const std::shared_ptr<Sheet>& sheet);
  void send_out(const Held& held);
  /// Who has joined before what is not released yet is given the last values of what is.
  void greet();
  void tell_forgotten(std::uint32_t stream, Outflow& outflow);

  const Topology& topology_;
  const Incarnation self_;
  std::vector<std::uint32_t> streams_;
  std::deque<wire::Readers> unconfirmed_;
  wire::Readers readers_;
  std::deque<Held> held_;
  std::uint64_t held_last_ = 0;  ///< number of the last transaction that was held
  std::map<std::uint32_t, Outflow> outflows_;
  EarlyCredits early_;
  std::uint64_t bytes_ = 0;
};

}  // namespace weir::host
