// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "sdk/base/bytes.h"
#include "sdk/base/result.h"
#include "sdk/wire/messages.h"
#include "stages/host/chain.h"
#include "stages/host/engine.h"
#include "stages/host/memory_limit.h"
#include "stages/host/restored_lane.h"

namespace weir::host {

/// State of lanes on its way into the stages of a chain: what follows a lease, what comes ahead of one, and what goes
/// when a lane does. Thread: the runner's. Lifetime: what it is given must outlive it.
class LaneStates {
 public:
  /// `memory`: what bounds this process, lifted while state comes; null for nothing.
  LaneStates(Chain& chain, Engine& engine, MemoryLimit* memory) : chain_(chain), engine_(engine), memory_(memory) {}

  /// The lane's state follows. What of it lies on this machine, where stages keep it there. Errors: those of the store.
  Result<std::optional<wire::LocalState>> expect(std::uint32_t lane);
  /// State of the lane comes ahead of its lease, as `number`.
  void expect_ahead(std::uint32_t lane, std::uint32_t number);

  /// What a part makes of a lane's state.
  struct Taken {
    bool whole = false;  ///< the stages have it, and the sink may go on
    Bytes position;      ///< of the sink
  };
  /// Takes what has come. Errors: kInvalid where it was not expected or is malformed; kRefused where a stage cannot
  /// read it; those of the store.
  Result<Taken> take(const wire::StatePart& part);

  /// The lane's state is not here yet.
  [[nodiscard]] bool awaited(std::uint32_t lane) const { return awaited_.contains(lane); }
  /// Something is on its way.
  [[nodiscard]] bool arrives() const;

  /// Forgets what came ahead for the lane.
  void drop_ahead(std::uint32_t lane);
  /// Forgets what has come of a lane that is asked back, and whose stages may still hold it: drop() is called too, now
  /// or, where its state is in memory alone, once the lane is let go.
  void ask_back(std::uint32_t lane);
  void let_go(std::uint32_t lane);

 private:
  /// Once it is whole it is loaded, if the stages can do with that, and its bytes are kept until the lease is here:
  /// what comes on top may erase some of it, which no stage can be told.
  struct Ahead {
    std::uint32_t number = 0;
    RestoredLane lane;
    bool whole = false;
    bool loaded = false;
  };

  Status take_ahead(const wire::StatePart& part);
  Result<Taken> take_local(const wire::StatePart& part);
  /// All stages take the state of a lane in parts, with work on others in between.
  [[nodiscard]] bool loads_in_parts() const;
  /// Gives stages what a lane has in this space.
  Status load(const RestoredLane& from, std::uint32_t lane, wire::Space space);
  Status load(Instance& instance, std::uint32_t lane, const wire::Change& change);
  /// What the stages hold of the lane in memory goes.
  void drop(std::uint32_t lane);

  Chain& chain_;
  Engine& engine_;
  MemoryLimit* memory_;
  std::map<std::uint32_t, RestoredLane> awaited_;
  std::map<std::uint32_t, Ahead> ahead_;
};

}  // namespace weir::host
