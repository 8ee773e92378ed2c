// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/outside.h"
#include "broker/core/worker.h"
#include "sdk/base/clock.h"
#include "sdk/base/ids.h"
#include "sdk/wire/messages.h"

namespace weir::core {

/// A program outside that consumes a stream for a group, as the broker sees it: numbers, credit, and what it is yet to
/// be told. Thread: the core's.
struct Consumer {
  std::uint64_t id = 0;  ///< of its session; carries the reign, so that none is ever taken for another
  std::uint32_t stream = 0;
  std::string group;
  std::string name;  ///< by which the program is known in all its sessions; may be empty
  Monotonic heard{0};
  Monotonic silence{0};  ///< as it asked: when it has said nothing for so long it is gone

  std::uint64_t sent = 0;      ///< number of the last delivery to it
  std::uint64_t received = 0;  ///< number of the last one that it says it has
  wire::Totals credit;         ///< bytes, records; running totals
  wire::Totals capacity;       ///< its first grant
  wire::Totals used;           ///< sent

  std::uint64_t scan = UINT64_MAX;  ///< the next frame to look at
  std::uint32_t lanes = 0;          ///< shards that it holds and keeps
  bool end_told = false;
  struct Answer {
    Sequence sequence;  ///< everything before it is settled when it may go
    Bytes message;
  };
  std::deque<Answer> answers;  ///< in order

  [[nodiscard]] std::uint64_t under_way() const { return used.first + capacity.first - credit.first; }
  [[nodiscard]] bool covers(std::uint64_t bytes, std::uint64_t records) const {
    return used.first + bytes <= credit.first && used.second + records <= credit.second;
  }
};

/// Who reads for a group, and which shards each of them has. A restart of the broker voids it.
struct GroupLease {
  struct Lane {
    std::uint64_t holder = 0;  ///< session; 0: nobody
    std::uint32_t epoch = 0;
    bool leaving = false;  ///< goes to somebody else once its holder has acknowledged what it was sent
    std::uint64_t delivered_to = 0;
    std::deque<LaneLease::Sent> sent;  ///< not acknowledged, in order
  };
  std::uint32_t stream = 0;
  std::string group;
  std::vector<Lane> lanes;  ///< by shard
  std::vector<Client> members;
  bool dirty = true;                 ///< a shard is free, or members came or went
  Sequence acknowledged_by;          ///< the last acknowledgement is settled when everything before it is
  std::optional<Sequence> ended_by;  ///< the same of the end, once the group has come to it
};

}  // namespace weir::core
