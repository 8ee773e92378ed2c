// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace weir::simulation {

/// A bug that Weir could have, put in at one of its seams (disk, outside, session, stage). The simulation must find
/// each: a checker that finds none of them would prove nothing.
enum class Bug : std::uint8_t {
  kNone,
  kTailServedUnsynced,     ///< recovery serves before it has synced what it read
  kRollOverUnsynced,       ///< a full segment is left without a sync
  kSettledAheadOfSync,     ///< sinks see, and producers are told, what is not on disk yet
  kCheckpointUnsynced,     ///< a checkpoint's file is not synced before it takes effect
  kSnapshotUnsynced,       ///< nor is a snapshot's
  kSnapshotWithoutTail,    ///< state is restored from the snapshot alone
  kReignReused,            ///< every life of the broker has the same number
  kGapUnseen,              ///< a lost message of a worker leaves no gap in the numbers
  kHeartbeatUnheeded,      ///< a lost last message of the broker goes unnoticed
  kDrainFinishes,          ///< Ctrl-C counts as the end of the input
  kBacklogRefuses,         ///< a full stream has commits refused that would empty it
  kFailureKeepsChange,     ///< a record that failed has changed the state
  kWatermarkGuessed,       ///< a split that is silent is taken for one that has nothing earlier to say
  kSinkForgets,            ///< a commit of a sink is told without the sink's position
  kDuplicateAnswered,      ///< a message that comes again is acknowledged at once, though it is not on disk yet
  kSigkillBlamed,          ///< a death that nobody's record caused is laid to the one that was processed last
  kParkedForgotten,        ///< the next holder of a lane does not know its parked keys, and processes later records
  kRequeuedKept,           ///< a letter that was worked off waits to be worked off
  kResetForgotten,         ///< state from before a reset is restored
  kReplayCutShort,         ///< a replay leaves one shard where it is
  kDamageCut,              ///< damage is cut as a torn tail though a mark says that it was durable
  kRefusalForgotten,       ///< a commit is refused, and the next one of the same worker accepted
  kPastCursor,             ///< a range is committed past what was worked off
  kBoundaryMoved,          ///< a worker begins a shard one key later than the broker
  kCutGoneOn,              ///< recovery goes on in the segment that it has cut, under the reign that was
  kSnapshotOverStore,      ///< a snapshot is loaded over an old local store that is void
  kSentOvertold,           ///< a worker says that it had sent a record more to one that is gone than it had
  kScaleForgotten,         ///< a number of workers that was told is not what the journal keeps
  kChangesLostBehindCopy,  ///< what changed behind a copy that went ahead of its lease is not told
  kUnacknowledged,         ///< a commit does not wait until what it emitted past the broker is acknowledged
  kWatermarkGone,          ///< once a worker has died its splits hold no watermark back any more
  kCheckpointAhead,        ///< a checkpoint holds what no sync has covered
  kIncarnationReused,      ///< a life of the broker behind a lost tail has the number of the one before
  kPositionAlone,          ///< a split's position is committed without what it has emitted
  kSinkAheadOfSync,        ///< sinks see what is not on disk yet, where nobody else is told of it
  kFlushForgotten,         ///< a sink commits what does not lie in its target
  kPartialKept,            ///< a partial result is sent on and kept
  kPartialUnmoved,         ///< a worker commits what it has consumed of hot keys without the partial result
  kUpgradeForgotten,       ///< a library that was told is not what the journal keeps
  kOldLibraryStarted,      ///< a worker has the library from before, and says that it has the new one
  kSplitKept,              ///< a worker reads on in a split that it has given back
  kBoundariesForgotten,    ///< boundaries that records are dealt out by are not what the journal keeps
  kRelocatedWithoutTail,   ///< of state that follows its keys only the snapshot does
  kRelocatedOnlyCopied,    ///< state that has followed its keys stays where it was, too
  kSyncCoversAll,          ///< what is written while a sync is under way counts as covered by it
  kEnd,
};

constexpr const char* kBugNames[] = {"none",
                                     "recovery serves an unsynced tail",
                                     "roll-over without a sync",
                                     "settled ahead of the sync",
                                     "checkpoint file not synced",
                                     "snapshot file not synced",
                                     "snapshot restored without its tail",
                                     "the reign's number is reused",
                                     "a gap in the numbers is not seen",
                                     "a lost last message is not noticed",
                                     "drain calls finish",
                                     "backlog refuses a consuming commit",
                                     "an exception keeps the change of state",
                                     "event time guessed from silence",
                                     "a sink's position is not committed",
                                     "a duplicate is answered at once",
                                     "SIGKILL counts as poison",
                                     "the next holder forgets parked keys",
                                     "a requeued letter is worked off and kept",
                                     "state from before a reset is restored",
                                     "a replay leaves a shard where it is",
                                     "damage below the mark is cut",
                                     "a refused commit does not end the worker",
                                     "a range is committed past its end",
                                     "a worker has a boundary of its own",
                                     "a cut segment is gone on with",
                                     "a snapshot over an old local store",
                                     "what waits counts as sent to the dead",
                                     "the journal keeps another number of workers",
                                     "changes behind a copy sent ahead are lost",
                                     "a commit without acknowledgement",
                                     "a watermark goes with its worker",
                                     "a checkpoint is ahead of the sync",
                                     "incarnations used again after a lost tail",
                                     "a split's position without its output",
                                     "a sink is given what is not on disk",
                                     "a sink commits without a flush",
                                     "a partial result is sent and kept",
                                     "a partial result is not sent",
                                     "the journal keeps another library",
                                     "a worker starts with the library from before",
                                     "a split is read on after it was given back",
                                     "the journal keeps other boundaries",
                                     "state follows keys without its newest changes",
                                     "state follows keys and stays",
                                     "a sync covers what was written beside it"};
static_assert(sizeof(kBugNames) / sizeof(kBugNames[0]) == static_cast<std::size_t>(Bug::kEnd));

}  // namespace weir::simulation
