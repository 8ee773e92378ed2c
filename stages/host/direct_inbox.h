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

#include "sdk/base/clock.h"
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
  /// A record of a `send_receive` stream killed a worker. It is handed out alone, when all before it on its link has
  /// been acknowledged, and what is behind it when it has been, too: whoever sends the rest again leaves out what was
  /// done.
  void suspect(wire::Suspect suspect);
  /// The next piece, as an event of a delivery; nothing while all that is here waits for acknowledgements.
  std::optional<Event> take(Monotonic now);
  /// take() has nothing though something is here: what it waits for is soon.
  [[nodiscard]] bool holds() const { return holds_; }
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
  std::vector<Outgoing> acknowledgements(Monotonic now);

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
    Monotonic said{0};        ///< when
    std::uint64_t taken = 0;  ///< records that were handed out, or are missing
    bool alone = false;       ///< the last of them was, alone
  };
  using LinkKey = std::pair<Incarnation, std::uint32_t>;
  struct Piece {
    wire::DirectHeader header;
    std::shared_ptr<void> owner;
    BytesView records;
    std::uint64_t missing = 0;  ///< records before it
    std::uint32_t skip = 0;     ///< of a compressed piece that is cut: records before those that are meant
    bool cut = false;
  };

  struct Committed {
    std::uint64_t transaction = 0;
    LinkKey link;
    std::uint64_t through = 0;
  };

  /// The first suspect among the records of the piece; null: none.
  [[nodiscard]] const wire::Suspect* suspect_in(const Piece& piece) const;
  /// All that was handed out of the link has been acknowledged, and that word is on its way.
  [[nodiscard]] static bool quiet(const Link& link, Monotonic now);
  /// Takes the first records of a piece, all or fewer.
  Piece cut(std::deque<Piece>::iterator piece, std::uint32_t records);

  const Topology& topology_;
  const Incarnation self_;
  const std::uint64_t bytes_max_;
  std::map<LinkKey, std::map<std::uint64_t, wire::Suspect>> suspects_;  ///< by offset; of a link, the newest
  std::map<LinkKey, Link> links_;
  bool holds_ = false;
  std::deque<Committed> unaccepted_;
  std::deque<Piece> pieces_;
};

}  // namespace weir::host
