// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "sdk/topology/topology.h"
#include "sdk/wire/direct.h"
#include "sdk/wire/messages.h"
#include "stages/host/direct_part.h"
#include "stages/host/engine.h"

namespace weir::host {

/// What other workers send to a worker past the broker: taken in under credit that it gives each of them, counted link
/// by link so that nothing is missing unseen, and handed out piece by piece. Has no socket. Thread: the runner's.
/// Lifetime: `topology` must outlive it.
class DirectInbox {
 public:
  /// So many bytes may wait in all, however many send.
  DirectInbox(const Topology& topology, Incarnation self, std::uint64_t bytes_max)
      : topology_(topology), self_(self), bytes_max_(bytes_max) {}

  /// These are the producers from now on. Those that are left out stay known until part_from(); what waits here of
  /// their `send_receive` streams is dropped, since they, or who takes their place, send it again.
  void set_peers(const std::vector<wire::Peer>& peers);
  /// Records have come. Those of somebody unknown are dropped: whoever sent them is gone, and they are counted with it.
  void receive(const wire::DirectHeader& header, std::shared_ptr<void> owner, BytesView records);
  [[nodiscard]] bool empty() const { return pieces_.empty(); }
  /// The next piece, as an event of a delivery.
  std::optional<Event> take();
  /// A piece is worked off.
  void worked_off(std::uint32_t stream, Incarnation producer, std::uint64_t bytes);
  /// A transaction has taken so much.
  void commit(std::uint64_t transaction, const std::vector<wire::DirectTaken>& taken);
  /// All transactions so far are accepted: what they have taken is acknowledged.
  void accepted(std::uint64_t transaction);
  /// All that has come from it is committed.
  [[nodiscard]] bool through(Incarnation producer) const;
  /// Nothing more is taken from it.
  void part_from(Incarnation producer);
  /// What waits here is not begun any more.
  void drop() { pieces_.clear(); }

  struct Outgoing {
    Incarnation to;
    Bytes message;
  };
  /// Credit that is due: where a quarter of a window is worked off, or with `all` anything.
  std::vector<Outgoing> credits(bool all);
  /// Acknowledgements that are due.
  std::vector<Outgoing> acknowledgements();

 private:
  struct Link {
    std::uint64_t expected = 0;   ///< records that have come, or are missing
    std::uint64_t committed = 0;  ///< of them
    std::uint64_t waiting = 0;    ///< pieces
    std::uint64_t worked = 0;     ///< bytes
    std::uint64_t credited = 0;   ///< of `worked`, what was said
    std::uint64_t window = 0;     ///< bytes that may be under way on it
    bool greeted = false;         ///< its first credit was given
    std::uint64_t done = 0;       ///< of `committed`, what the broker has accepted
    std::uint64_t done_said = 0;
  };
  using LinkKey = std::pair<Incarnation, std::uint32_t>;
  struct Piece {
    wire::DirectHeader header;
    std::shared_ptr<void> owner;
    BytesView records;
    std::uint64_t missing = 0;  ///< records before it
  };

  struct Committed {
    std::uint64_t transaction = 0;
    LinkKey link;
    std::uint64_t through = 0;
  };

  const Topology& topology_;
  const Incarnation self_;
  const std::uint64_t bytes_max_;
  std::map<LinkKey, Link> links_;
  std::deque<Committed> unaccepted_;
  std::deque<Piece> pieces_;
};

}  // namespace weir::host
