// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sdk/base/clock.h"
#include "sdk/base/ids.h"
#include "sdk/wire/direct.h"
#include "sdk/wire/messages.h"

namespace weir::core {

/// One incarnation of a worker as the broker sees it: numbers, credit, and what is under way.
/// Thread: the core's.
struct Worker {
  enum class State : std::uint8_t {
    kConnecting,  ///< said hello; nothing is sent before it says that it is ready
    kReady,
    kTrying,    ///< no worker: what it is given is tried, not worked on
    kDraining,  ///< asked to stop reading
    kDrained,
    kStopping,  ///< told to exit
  };

  Incarnation incarnation;
  std::uint32_t unit = 0;
  std::uint32_t index = 0;  ///< within its stage
  std::int64_t pid = 0;
  std::string host;
  std::string libraries;  ///< that it runs (wire/library_hash.h)
  bool trial = false;
  State state = State::kConnecting;
  bool leaving = false;   ///< it asked to be drained, the topology goes on
  bool replaced = false;  ///< it is drained since others have its place, or nobody is to have it

  std::uint64_t sent = 0;      ///< number of the last message to it
  std::uint64_t received = 0;  ///< number of the last message from it
  Monotonic heard{0};
  Monotonic beat_sent{0};

  std::uint64_t transactions = 0;  ///< number of the last one accepted, ...
  Monotonic accepted_at{0};        ///< ... and when
  std::uint64_t settled = 0;
  wire::Totals told;  ///< what kCommitted last said
  Monotonic told_at{0};
  std::uint64_t untold_bytes = 0;  ///< of transactions accepted since
  /// Accepted and not yet settled: number, entry, what it takes of what a source may publish.
  struct Unsettled {
    std::uint64_t transaction = 0;
    Sequence sequence;
    std::uint64_t bytes = 0;
  };
  std::deque<Unsettled> unsettled;

  /// Where it keeps state on its own disk: what is accepted and not yet on the broker's, ...
  std::deque<std::pair<std::uint64_t, Sequence>> undurable;
  Monotonic durable_told_at{-1000000};
  wire::Totals durable_told;                        ///< ... what kDurable last said, ...
  std::map<std::uint32_t, wire::LocalState> local;  ///< ... and by lane what it said that lies there, or came ahead

  wire::Totals credit;    ///< granted by the worker: bytes, records
  wire::Totals capacity;  ///< its first grant
  wire::Totals used;      ///< sent
  /// Service time, measured by its credit: while something was under way, and since when.
  Monotonic working_since{0};
  double us_per_byte = 0;         ///< 0: not known yet
  std::uint32_t passed_over = 0;  ///< unkeyed input: ranges that others got while it had nothing to do
  std::uint64_t publish_granted = 0;
  Monotonic publish_granted_at{0};  ///< when it grew last
  std::uint64_t publish_accepted = 0;
  std::uint64_t publish_settled = 0;
  /// When it last had so much unsettled that it counts as one that publishes much.
  Monotonic publishes_much_at{-1000000};

  std::string inbox;                                                 ///< where the broker and other workers send to
  std::vector<wire::Peer> peers;                                     ///< as it was told last, ...
  std::uint64_t peers_told = 0;                                      ///< ... under this version, ...
  std::uint64_t peers_confirmed = 0;                                 ///< ... and which one it has said is in force
  std::deque<std::pair<std::uint64_t, wire::Readers>> readers_told;  ///< by version, until it is in force, ...
  wire::Readers readers;  ///< ... and then: whom what it commits now to `pub_sub` streams is meant for
  std::map<Incarnation, std::uint64_t> producers_gone;  ///< that it may still take from, until it confirms this version

  std::vector<std::uint64_t> scan;  ///< per input: the next frame to look at (whole shards)
  std::uint32_t input_next = 0;     ///< which input is looked at first
  std::uint32_t lanes = 0;          ///< leased to it
  Monotonic committed_told{-1000000};
  wire::Measured measured;

  [[nodiscard]] std::uint64_t under_way() const { return used.first + capacity.first - credit.first; }
  void on_credit(const wire::Totals& totals, Monotonic now) {
    if (totals.first > credit.first && under_way() != 0) {
      // A few at a time tell more of the way than of the work; the average evens that out.
      const double took_us = static_cast<double>((now - working_since).count());
      const double measured_us = took_us / static_cast<double>(totals.first - credit.first);
      us_per_byte = us_per_byte == 0 ? measured_us : us_per_byte + (measured_us - us_per_byte) / 4;
      working_since = now;
    }
    if (capacity.first == 0) capacity = totals;
    credit = totals;
  }
  void on_sent(std::uint64_t bytes, std::uint64_t records, Monotonic now) {
    if (under_way() == 0) working_since = now;
    used.first += bytes;
    used.second += records;
  }
  [[nodiscard]] bool admits(std::uint64_t bytes, std::uint64_t records) const {
    return under_way() == 0 || (used.first + bytes <= credit.first && used.second + records <= credit.second);
  }
};

/// The right to a lane, and what its holder has been sent.
struct LaneLease {
  enum class State : std::uint8_t { kFree, kRestoring, kHeld, kRevoking };
  State state = State::kFree;
  Incarnation holder;
  std::uint32_t epoch = 0;
  bool finish_sent = false;
  std::string libraries;  ///< of its last holder: where those are wanted, none with others may find what it has written

  /// A run of records sent and not yet committed.
  struct Sent {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    std::uint64_t frame = 0;
    Incarnation to_worker;  ///< ranges only
    bool part = false;      ///< whole shards: the frame has more of this shard behind it
  };
  /// How far a lane of its own was looked at, and what was found there. The range stays found until it is sent.
  struct Walk {
    std::uint64_t frame = 0;
    std::uint64_t batch = UINT64_MAX;  ///< offset at which the batch begins that was come to; it lies in `frame`
    std::uint64_t offset = 0;          ///< in that batch
    std::size_t from_byte = 0;         ///< of `offset` in the batch
    std::uint64_t to = 0;              ///< behind the range
    std::size_t to_byte = 0;
    [[nodiscard]] bool found() const { return to > offset; }
  };
  struct Flow {
    std::uint64_t delivered_to = 0;
    Walk walk;  ///< under dispatch by priority
    Timestamp watermark_sent = INT64_MIN;
    std::deque<Sent> sent;                    ///< whole shards: in order
    std::map<std::uint64_t, Sent> ranges;     ///< ranges: by `from`
    std::map<std::uint64_t, Sent> redeliver;  ///< ranges whose worker died
  };
  std::vector<Flow> flows;  ///< per cursor of the lane
};

}  // namespace weir::core
