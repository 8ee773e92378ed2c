// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/clock.h"
#include "sdk/base/result.h"
#include "sdk/wire/messages.h"
#include "stages/host/chain.h"
#include "stages/host/engine.h"

namespace weir::host {

/// A split that a source reads.
struct SourceSplit {
  std::uint32_t lane = 0;
  Split split;
  Timestamp watermark = INT64_MIN;
  bool ended = false;
  /// It was asked back, and is let go once the source knows that all it has read of it is settled.
  std::optional<wire::Lease> going;
  /// Positions that are committed and not yet durable: by the number of the commit, for a source that asks.
  std::deque<std::pair<std::uint64_t, Bytes>> settling;

  [[nodiscard]] bool reads_on() const { return !ended && !going; }
  /// What it has read so far goes with commit `number`, of which the source is to be told.
  void settles_with(std::uint64_t number);
};

/// Which splits the source of a chain reads here, whose turn it is, and whether there are more to be found.
/// Thread: the runner's. Lifetime: what it is given must outlive it.
class SourceSplits {
 public:
  SourceSplits(Chain& chain, Engine& engine) : chain_(chain), engine_(engine) {}

  /// REQUIRES: the lease is one of a split.
  void grant(const wire::Lease& lease);
  void ask_back(const wire::Lease& lease) { splits_[lease.shard].going = lease; }
  /// This worker looks for splits, or does not any more.
  void enumerates(bool does) { enumerates_ = does; }

  /// There is something to read, or to find.
  [[nodiscard]] bool reads_on() const;
  /// Has the source say, from time to time, which splits it finds. Errors: kRefused with what the source says.
  Status enumerate(Monotonic now);
  /// Puts what was found into the transaction, as much as is good for one. False: there was nothing.
  bool hand_over();

  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(splits_.size()); }
  /// The one `ahead` behind the one whose turn it is.
  [[nodiscard]] SourceSplit& in_turn(std::uint32_t ahead);
  /// The one `ahead` had something, and goes on: files are read one after the other, until each is empty or has ended.
  void found(std::uint32_t ahead);

  /// Tells the source what is settled.
  void tell_durable();
  /// Those that were asked back, and of which nothing is left to be told, go.
  void let_go();

 private:
  Chain& chain_;
  Engine& engine_;
  std::map<std::uint32_t, SourceSplit> splits_;  ///< by lane
  std::set<std::string> known_;
  std::deque<std::string> found_;  ///< and not handed over
  bool ends_ = false;              ///< there will be no more
  std::uint32_t next_ = 0;
  bool enumerates_ = false;
  Monotonic enumerate_at_{0};
};

}  // namespace weir::host
