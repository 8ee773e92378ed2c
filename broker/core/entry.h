// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/ids.h"
#include "sdk/base/result.h"
#include "sdk/topology/boundary.h"

namespace weir::core {

/// What a journal entry decides. Numbers are never reused.
enum class EntryType : std::uint8_t {
  kTopology = 1,     ///< first entry of a directory, and again where the topology changes: all groups (see ledger.h)
  kTransaction = 2,  ///< a worker's commit (wire/commit.h)
  kPublish = 3,      ///< records of an external producer
  kSnapshot = 4,     ///< a snapshot of a stage's state takes effect
  kCheckpoint = 5,   ///< a checkpoint takes effect; the rest of the payload is the journal's
  kCopied = 6,       ///< what old segments held and is still needed lies here now (copy_job.h)
  kLetters = 7,      ///< dead letters of a stage go: dropped, or put in front of their stage again
  kParked = 8,       ///< parked keys of a stage are to be worked off, or some of their records dropped
  kReplay = 9,       ///< a group goes back in one of its streams
  kGroup = 10,       ///< a group outside the topology comes, has consumed, or goes
  kLost = 11,        ///< records on their way from worker to worker will not arrive any more
  kScaled = 12,      ///< a stage is to have another number of workers
  kUpgraded = 13,    ///< a stage is to run with another library (stage_library.h)
  kBoundaries = 14,  ///< a stream that is partitioned by range has other boundaries from here on
  kRelocated = 15,   ///< state of a group's stages follows keys to the shards that these lie in now
};

/// Starts every entry's payload.
struct EntryHeader {
  EntryType type{};
  std::uint8_t reserved[3] = {};
  std::uint32_t unit = 0;  ///< kTransaction: index of the stage whose worker committed; kSnapshot, kLetters, kParked,
                           ///< kReplay, kScaled, kUpgraded, kRelocated: of the stage
  std::uint64_t incarnation = 0;  ///< kTransaction: who; for a person who reads a dump
};
static_assert(sizeof(EntryHeader) == 16);

/// Body of kPublish: what one message of an external producer adds to one stream.
struct Publish {
  std::string name;          ///< the producer's, or empty
  std::uint64_t number = 0;  ///< of the message under that name
  std::uint32_t stream = 0;
  bool ends = false;  ///< the stream gets no more records from outside
  BytesView frame;    ///< empty where the message only ends the stream, or has records of hot keys only
  BytesView shared;   ///< where hot keys are split, what it adds to the second stream (sdk/topology/hot_keys.h)
};

/// Body of kSnapshot.
struct SnapshotTaken {
  std::uint64_t file = 0;     ///< its number, unique in the directory
  std::uint64_t through = 0;  ///< it holds the changes of all entries before this sequence
  std::uint64_t bytes = 0;
};

/// Body of kLetters: dead letters that leave their key space, and what becomes of them, in one decision.
struct LettersMoved {
  std::uint64_t bytes = 0;  ///< that the letters took of kept_bytes_max
  /// Erases of the letters, lane by lane, for the stage's changelog (wire/changes.h).
  struct Erased {
    std::uint32_t lane = 0;
    BytesView changes;
  };
  std::vector<Erased> erased;
  /// Those that are worked on again, in this order; the ledger numbers them.
  struct Again {
    std::uint32_t lane = 0;
    BytesView key;
    BytesView letter;
  };
  std::vector<Again> again;
};

/// Body of kParked: wishes about parked keys, in order; the ledger numbers them.
struct ParkedAsked {
  std::uint32_t lane = 0;
  BytesView key;    ///< of the records
  BytesView drops;  ///< names of records to drop (wire::ParkedName) one behind the other; empty: work off the key
};

/// Body of kReplay. `unit` in the header is the stage that heads the group's unit.
struct Replay {
  struct From {
    std::uint64_t offset = 0;
    std::uint64_t frame = 0;  ///< no record at or behind `offset` lies in an earlier one
  };
  std::uint32_t stream = 0;
  bool reset = false;      ///< the unit's state is as if there had been none, and its event time too
  std::vector<From> from;  ///< by shard
};

/// Body of kGroup: what became of a group outside the topology.
struct GroupMoved {
  enum class What : std::uint8_t { kEntered = 1, kConsumed = 2, kDropped = 3 };
  struct To {
    std::uint32_t shard = 0;
    std::uint64_t offset = 0;
  };
  What what{};
  std::uint32_t stream = 0;
  std::string group;
  std::vector<To> to;  ///< kEntered: where it begins, every shard; kConsumed: before which all is acknowledged
};

/// Body of kLost: by stream, how many.
struct Lost {
  std::uint32_t stream = 0;
  std::uint64_t records = 0;
};

/// Body of kScaled. `unit` in the header is the stage that heads the group's unit.
struct Scaled {
  enum class By : std::uint8_t { kPerson = 1, kLoad = 2 };
  std::uint32_t workers = 0;
  By by{};  ///< for a person who reads a dump
};

/// Body of kBoundaries: all of them, one fewer than the stream has shards. But for the first time one differs from what
/// was.
struct BoundariesMoved {
  std::uint32_t stream = 0;
  std::vector<Boundary> boundaries;
};

/// Body of kRelocated. `unit` in the header is the stage that heads the group's unit. A shard that gives keys away is
/// copied in portions, and its own state of them erased in portions only when all is copied: whoever dies in between,
/// the next one finds everything where it was and begins the same step again.
struct Relocated {
  enum class Step : std::uint8_t {
    kPortion = 1,  ///< more of the same is to come
    kCopied = 2,   ///< what goes is all there
    kDone = 3,     ///< and no longer where it was: the group goes on
  };
  Step step{};
  struct Changes {
    std::uint32_t stage = 0;
    std::uint32_t lane = 0;
    BytesView changes;
  };
  std::vector<Changes> changes;  ///< (stage, lane) once
};

void put(ByteWriter& writer, const Boundary& boundary);
/// Nothing where it is none; where it is cut short `reader` is not ok.
std::optional<Boundary> get_boundary(ByteReader& reader);

Bytes encode_header(const EntryHeader& header);
Result<EntryHeader> decode_header(BytesView payload);

Bytes encode(const Publish& publish);
Result<Publish> decode_publish(BytesView body);
Bytes encode(const SnapshotTaken& snapshot);
Result<SnapshotTaken> decode_snapshot(BytesView body);
Bytes encode(const LettersMoved& moved);
Result<LettersMoved> decode_letters_moved(BytesView body);
Bytes encode(const std::vector<ParkedAsked>& asked);
Result<std::vector<ParkedAsked>> decode_parked_asked(BytesView body);
Bytes encode(const Replay& replay);
Result<Replay> decode_replay(BytesView body);
Bytes encode(const GroupMoved& moved);
Result<GroupMoved> decode_group_moved(BytesView body);
Bytes encode(const std::vector<Lost>& lost);
Result<std::vector<Lost>> decode_lost(BytesView body);
Bytes encode(const Scaled& scaled);
Result<Scaled> decode_scaled(BytesView body);
Bytes encode(const BoundariesMoved& moved);
Result<BoundariesMoved> decode_boundaries_moved(BytesView body);
Bytes encode(const Relocated& relocated);
Result<Relocated> decode_relocated(BytesView body);

}  // namespace weir::core
