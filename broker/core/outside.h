// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/buffer.h"
#include "broker/core/changelog.h"
#include "broker/core/copy_job.h"
#include "broker/core/place.h"
#include "sdk/base/ids.h"
#include "sdk/topology/topology.h"

namespace weir::core {

/// A peer of the broker's ROUTER, by its routing id.
using Client = std::string;

/// State of some lanes, to be read back for the worker that now owns them.
struct RestoreJob {
  Incarnation incarnation;
  std::vector<std::uint32_t> lanes;
  struct Part {
    std::uint32_t stage = 0;
    std::uint64_t file = 0;          ///< of the snapshot; 0: none yet
    bool file_reset = false;         ///< what it has in Space::kState counts no more (Changelog::reset)
    std::uint64_t reset_before = 0;  ///< nor what changes before this sequence have there
    std::vector<ChangesPlace> tail;  ///< of these lanes, in order
  };
  std::vector<Part> parts;
  std::uint64_t segment_from = 0;  ///< the oldest that it reads; kept until all is read
  /// Lanes of which the worker has its own state: only what came behind that is sent. All tails are cut accordingly.
  std::set<std::uint32_t> on_top;
  std::uint64_t through = 0;  ///< as in wire::StatePart
  std::uint32_t ahead = 0;    ///< the same
  /// How far it has been read. Whoever reads moves it on: lane by lane, each with its snapshot and then its tail, part
  /// after part. An entry of the journal holds changes of many lanes: those of several lanes are gathered at a time.
  struct Reached {
    std::size_t lane = 0;      ///< those before it are done
    std::size_t gathered = 0;  ///< the tails of lanes before this one are at hand
    std::size_t gather_part = 0;
    std::size_t gather_tail = 0;  ///< so far the lanes that come next have been gathered
    /// Changes, and whether what they have in Space::kState counts no more.
    using Gathered = std::pair<Bytes, bool>;
    std::map<std::pair<std::size_t, std::uint32_t>, std::vector<Gathered>> tails;  ///< by part and lane
    std::size_t part = 0;                                                          ///< of the lane
    std::uint32_t block = 0;
    std::uint64_t position = 0;  ///< of that block in the file
    std::size_t tail = 0;
  };
  Reached reached;
  bool finished = false;
};

/// A snapshot of one stage's state to be made from the one before and the changes behind it.
struct CompactJob {
  std::uint32_t stage = 0;
  std::uint64_t file_before = 0;   ///< 0: none
  bool file_reset = false;         ///< as in RestoreJob::Part
  std::uint64_t reset_before = 0;  ///< the same
  std::vector<ChangesPlace> tail;
  SnapshotTaken result;     ///< `bytes` is filled in by whoever does the job; `file` is 0 where it failed, ...
  bool lacks_room = false;  ///< ... for want of room on the disk
};

struct CheckpointJob {
  Sequence through;
  std::uint64_t segment_needed_min = 0;
  Bytes bytes;
  std::vector<std::uint64_t> files_needed;  ///< snapshot files that it, the checkpoint before it or a restore name
  bool files_known = false;                 ///< other snapshot files may go once it is in force
};

/// Something that the launcher, and a person, should know.
struct Notice {
  enum class Kind : std::uint8_t {
    kFenced,
    kLeft,
    kCommitted,
    kStageFailed,
    kStageFinished,
    kFinished,
    kDrained,
    kScaled,
    kUpgraded,  ///< `stage`, which need not host, is to run with the library that the ledger says, or its own again
  };
  Kind kind{};
  std::uint32_t stage = 0;
  std::uint32_t worker = 0;
  std::int64_t pid = 0;
  std::string reason;
  std::uint32_t workers = 0;  ///< kScaled: so many are wanted from now on
};

/// An entry on its way to the journal.
struct NewEntry {
  Sequence sequence;
  bool checkpoint = false;
  Durability durability = Durability::kFsync;
  /// Something outside waits for it. What nobody waits for may gather with others for a few milliseconds, and goes with
  /// the next that is awaited.
  bool awaited = true;
  Buffer payload;
  /// It has changes of state, or a copy, which whoever makes a snapshot or restores reads from the journal, as a rule
  /// soon. Records are delivered from memory.
  bool read_again = false;
};

/// What the core wants done. It never waits for any of it: results come back as events. The daemon and the simulation
/// each have one.
class Outside {
 public:
  virtual ~Outside() = default;
  /// Goes to the journal. Comes back as on_written, on_settled.
  virtual void append(NewEntry entry) = 0;
  /// What was appended goes to disk soon, whatever it asked for. Comes back as on_durable.
  virtual void sync() = 0;
  /// A socket to the inbox of a worker; send() goes there.
  virtual void connect(Incarnation incarnation, const std::string& inbox) = 0;
  virtual void disconnect(Incarnation incarnation) = 0;
  virtual void send(Incarnation incarnation, Bytes message) = 0;
  virtual void reply(const Client& client, Bytes message) = 0;
  /// Comes back as on_frame.
  virtual void read_frame(std::uint32_t stream, std::uint64_t frame, Place place) = 0;
  /// Reads on, a portion. Comes back as on_state, part by part, and then as on_restored.
  virtual void restore(RestoreJob job) = 0;
  /// Comes back as on_compacted.
  virtual void compact(CompactJob job) = 0;
  /// Comes back as on_copied.
  virtual void copy(CopyJob job) = 0;
  /// Comes back as on_checkpoint.
  virtual void write_checkpoint(CheckpointJob job) = 0;
  virtual void notify(Notice notice) = 0;
};

}  // namespace weir::core
