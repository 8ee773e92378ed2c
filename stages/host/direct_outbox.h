// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "sdk/topology/topology.h"
#include "sdk/wire/direct.h"
#include "sdk/wire/messages.h"
#include "stages/host/direct_part.h"
#include "stages/host/link_credit.h"
#include "stages/host/piece_cutter.h"

namespace weir::host {

/// What a worker has emitted to streams that go from worker to worker, cut into pieces and given to the consumers that
/// there are, within the credit of each. Of `push_pull` it is held until its transaction is durable, and forgotten when
/// it is sent; of `send_receive` it is sent at once, and kept until its consumer has acknowledged it. What found no
/// credit waits here, and bytes() says how much that is, so that the worker stops. Has no socket. Thread: the runner's.
/// Lifetime: `topology` must outlive it.
class DirectOutbox {
 public:
  DirectOutbox(const Topology& topology, Incarnation self) : topology_(topology), self_(self) {}

  /// These are the consumers from now on. Answers how much was sent on each `push_pull` link that is no more; what was
  /// not sent on it, or not acknowledged, goes to others.
  std::vector<wire::Sent> set_peers(const std::vector<wire::Peer>& peers);
  /// The transaction emits these; those of `push_pull` may leave once it is released.
  void hold(std::uint64_t transaction, std::vector<DirectOutput> outputs);
  /// All transactions so far are durable.
  void release(std::uint64_t transaction);
  /// A consumer says how much it can take. It may have heard of this worker before this one hears of it.
  void take_credit(const wire::DirectHeader& credit);

  /// A consumer has processed and committed so much.
  void take_done(const wire::DirectHeader& done);
  /// All that the transaction has emitted to `send_receive` streams is acknowledged, and all before it.
  [[nodiscard]] bool acknowledged(std::uint64_t transaction) const {
    return unacknowledged_.empty() || unacknowledged_.begin()->first > transaction;
  }
  [[nodiscard]] bool has_consumers() const;

  struct Outgoing {
    Incarnation to;
    Bytes message;
  };
  /// The next piece that some consumer has credit for, if any. It counts as sent.
  std::optional<Outgoing> next();
  /// Held, and not sent yet, or not acknowledged.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  struct Link {
    Incarnation to;
    LinkCredit credit;
    std::uint64_t records = 0;       ///< sent
    std::uint64_t done = 0;          ///< in pieces that are acknowledged, or never to be, ...
    std::uint32_t done_of_next = 0;  ///< ... and of the one behind them
    std::deque<Piece> sent;          ///< and not acknowledged, in order
  };
  struct Outflow {
    explicit Outflow(Compression compression) : cutter(compression) {}
    std::deque<Piece> pieces;
    std::vector<Link> links;
    std::size_t link_next = 0;
    PieceCutter cutter;
  };
  struct Held {
    std::uint64_t transaction = 0;
    std::vector<DirectOutput> outputs;
  };

  Outflow& outflow(std::uint32_t stream);
  void cut(std::uint64_t transaction, const DirectOutput& output);
  Link* choose(Outflow& outflow, Dispatch dispatch, std::uint64_t size);

  const Topology& topology_;
  const Incarnation self_;
  std::deque<Held> held_;
  std::map<std::uint32_t, Outflow> outflows_;
  EarlyCredits early_;
  std::map<std::uint64_t, std::uint64_t> unacknowledged_;  ///< pieces, by transaction
  std::uint64_t bytes_ = 0;
};

}  // namespace weir::host
