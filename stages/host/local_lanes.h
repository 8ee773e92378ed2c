// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sdk/wire/changes.h"
#include "sdk/wire/messages.h"
#include "stages/host/local_store.h"

namespace weir::host {

/// State that is larger than memory: a local store for each lane that this worker holds, and in front of them what is
/// committed and not yet on the broker's disk. Only what is there goes into a store, with the place in the journal that
/// it belongs to, so that a store never holds what the journal may lose. Thread: the runner's.
class LocalLanes {
 public:
  explicit LocalLanes(OpenLocalStore open) : open_(std::move(open)) {}

  /// The lane was granted: what of its state lies here. Errors: as OpenLocalStore.
  Result<wire::LocalState> open(std::uint32_t lane);
  /// State of the lane has come from the broker: on top of what lies here, or instead. Errors: kInvalid, those of the
  /// store.
  Status add(const wire::StatePart& part, std::uint32_t reign);
  /// The lane has left this worker.
  void drop(std::uint32_t lane);
  [[nodiscard]] bool holds(std::uint32_t lane) const { return lanes_.contains(lane); }

  /// The value as of the last commit; valid until the next call. Errors: those of the store.
  Result<std::optional<BytesView>> find(std::uint32_t lane, std::uint32_t stage, BytesView name, BytesView key);
  /// The first key behind `after`, or the first of all, and its value; valid until the next call.
  struct Entry {
    BytesView key;
    BytesView value;
  };
  Result<std::optional<Entry>> next(std::uint32_t lane, std::uint32_t stage, BytesView name,
                                    std::optional<BytesView> after);
  /// Calls `visit` for all that the store has of a stage in `space`. REQUIRES: nothing is pending. Errors: those of the
  /// store; what `visit` says.
  Status visit(std::uint32_t lane, std::uint32_t stage, wire::Space space,
               const std::function<Status(const wire::Change&)>& visit);

  /// Transaction `number` has changed state of the lane.
  void pend(std::uint64_t number, std::uint32_t stage, std::uint32_t lane, Bytes changes);
  /// The transactions up to `number` are on the broker's disk, before `through`. Errors: those of the store.
  Status on_durable(std::uint64_t number, LocalPosition through);

  [[nodiscard]] std::uint64_t pending_bytes() const { return pending_bytes_; }
  /// On the disk, over all lanes.
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  struct Pending {
    std::uint64_t number = 0;
    std::uint32_t stage = 0;
    Bytes changes;
  };
  struct Newest {
    std::uint64_t number = 0;        ///< of the transaction
    std::optional<BytesView> value;  ///< in the changes of a Pending; none: erased
  };
  struct Lane {
    std::unique_ptr<LocalStore> store;
    bool arriving = false;  ///< state from the broker has begun to come
    bool complete = false;  ///< all of it has come: what is durable from now on is in here
    std::deque<Pending> pending;
    std::map<std::string, Newest, std::less<>> newest;
  };
  /// A lane in which nothing happens is as far as the others; now and then its store says so.
  static Status move_on(Lane& lane, LocalPosition through);
  static std::string key_of(std::uint32_t stage, wire::Space space, BytesView name, BytesView key);
  Result<Lane*> lane_of(std::uint32_t lane);

  OpenLocalStore open_;
  std::map<std::uint32_t, Lane> lanes_;
  std::uint64_t pending_bytes_ = 0;
  LocalPosition durable_;        ///< as it was told last
  std::uint32_t idle_next_ = 0;  ///< lane that says so next
  std::string key_;
  std::string value_;
};

}  // namespace weir::host
