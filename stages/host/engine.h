// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/clock.h"
#include "sdk/wire/messages.h"
#include "stages/host/direct_part.h"
#include "stages/host/local_store.h"

namespace weir::host {

/// Something that the engine has for the runner.
struct Event {
  enum class Kind : std::uint8_t {
    kNone,       ///< nothing came in time
    kGrant,      ///< leases
    kState,      ///< state
    kDeliver,    ///< delivery
    kRevoke,     ///< leases
    kCondemned,  ///< condemned
    kRequeued,   ///< requeued
    kFinish,     ///< shards
    kDrain,
    kStop,
    kFenced,  ///< sentence
    kLost,    ///< sentence
  };
  Kind kind = Kind::kNone;
  std::shared_ptr<void> owner;  ///< of the bytes that the rest borrows
  std::vector<wire::Lease> leases;
  wire::StatePart state;
  wire::DeliveryView delivery;
  Incarnation producer;       ///< whose records these are where they came past the broker; 0: they came through it
  std::uint64_t missing = 0;  ///< records of that producer that were lost on the way before these
  bool last_values = false;   ///< these came before, to others: they count for nothing
  bool alone = false;         ///< kDeliver: the record has killed a worker, and is a transaction of its own; ...
  bool given_up = false;      ///< ... it is not tried any more: condemned
  wire::Requeued requeued;
  wire::Condemned condemned;
  std::vector<std::uint32_t> shards;
  std::string sentence;
};

/// The seam between a runner and what carries records and transactions: the broker, or something that does its work.
/// Nothing above it knows which. Thread: the runner's.
class Engine {
 public:
  virtual ~Engine() = default;

  /// The host that this worker is on, as ids of splits name it (sdk/wire/split_id.h).
  [[nodiscard]] virtual const std::string& host() const = 0;

  /// The next event, in order, but what cannot wait comes first, and records wait while there is no window. Waits about
  /// `wait` at most.
  virtual Event next(Monotonic wait) = 0;
  /// Something has come that cannot wait for the records at hand: the drain, the end.
  virtual bool urgent() = 0;
  /// Commits a transaction: its body behind room for the engine's header (wire::message_room()). Its number is the
  /// count of commits so far.
  virtual void commit(Bytes message) = 0;
  /// What the commit that comes next emits to other workers, past the broker, and has taken from them.
  virtual void commit_direct(DirectPart) {}  // NOLINT(performance-unnecessary-value-param): those that take it keep it
  /// How many workers each record goes to that the commit which comes next emits to this `pub_sub` stream.
  [[nodiscard]] virtual std::uint32_t readers(std::uint32_t /*stream*/) const { return 0; }
  /// Commits so far, and how many of them are accepted and settled.
  [[nodiscard]] virtual std::uint64_t committed() const = 0;
  [[nodiscard]] virtual std::uint64_t settled() const = 0;
  /// More may be committed before older ones are accepted.
  [[nodiscard]] virtual bool has_window() const = 0;
  /// A source may publish more, and so may who has input past the broker.
  [[nodiscard]] virtual bool may_publish() const = 0;
  /// A transaction of who publishes is to emit no more than this, if it can be cut there.
  [[nodiscard]] virtual std::uint64_t publish_at_once() const { return UINT64_MAX; }
  /// How far transactions are on the broker's disk, and where in the journal that is; only told to workers that keep
  /// state on a disk of their own.
  struct Durable {
    std::uint64_t transaction = 0;
    LocalPosition through;
  };
  [[nodiscard]] virtual Durable durable() const { return {}; }
  /// Says what of the state of granted lanes lies on this machine.
  virtual void say_local(const std::vector<wire::LocalState>&) {}
  /// Says that state which came ahead of a lease is here, whole.
  virtual void say_taken(const wire::Lease&) {}
  /// Says that so much of what was delivered is worked off.
  virtual void worked_off(std::uint64_t bytes, std::uint64_t records) = 0;
  /// The same of what came past the broker.
  virtual void worked_off_direct(std::uint32_t /*stream*/, Incarnation /*producer*/, std::uint64_t /*bytes*/) {}
  /// A lease that was asked back is let go.
  virtual void release(const std::vector<wire::Lease>& leases) = 0;
  virtual void drained() = 0;
  /// The stage gives up.
  virtual void failed(const std::string& sentence) = 0;
  /// Whether a transaction whose oldest record has waited since `opened` must close now, whatever else there is.
  [[nodiscard]] virtual bool closes(Monotonic opened, Monotonic now) const = 0;
  /// Until when a transaction that nobody waits for stays open for more, if nothing has come since `worked`.
  [[nodiscard]] virtual Monotonic gathers_until(Monotonic /*opened*/, Monotonic worked) const { return worked; }
  /// Measurements are due; they are taken and reset.
  [[nodiscard]] virtual bool beat_due() const = 0;
  virtual void beat(const wire::Measured& measured) = 0;
};

}  // namespace weir::host
