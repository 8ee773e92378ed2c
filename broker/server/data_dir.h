// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sdk/base/result.h"
#include "sdk/topology/topology.h"

namespace weir::server {

/// A topology's data directory, held by a lock from opening to the end of the object:
///
///     weir.json      whose it is: format, name, topology as resolved, with what rests (sdk/topology/revise.h). A copy
///     for
///                    people and tools: what counts is in the journal. "journal": the seed of the journal that was
///                    opened here, as 16 hex digits, so that one that is gone is not taken for one that never was;
///                    evidence, never a position. "begins_with": what a journal that was begun by an earlier version
///                    was written under, since such a journal does not say it
///     lock           held; names the holder's process and its launcher's
///     endpoint.json  how to reach the running broker
///     journal/       segments, checkpoints, snapshots
///     journal.cleared/  a journal that --fresh deletes; it goes last, so that one cut short is known by it
///     state/         of workers on this machine that keep state on disk (stages/host/rocks_store.h); the journal has
///     all of it, too
///
/// Thread: one.
class DataDir {
 public:
  struct Options {
    std::string path;
    bool fresh = false;                          ///< delete what a topology has left there (sdk/topology/weir_dir.h)
    std::chrono::milliseconds patience{10'000};  ///< how long to wait for a holder whose launcher is gone
    /// The journal that an earlier broker of the same launcher has served there: no other is begun or taken.
    std::optional<std::uint64_t> served = {};
  };

  /// Whose a directory is.
  struct Owner {
    Topology topology;                     ///< of the last start
    Topology begins_with;                  ///< what a ledger begins with to read the journal (broker/core/ledger.h)
    bool journal_says_topology = true;     ///< as every journal that this version has begun
    std::optional<std::uint64_t> journal;  ///< seed of the journal that was opened for service here; nothing before
  };

  /// Creates or enters the directory. Errors: kInUse ("DIR is in use by process N"), kRefused (not Weir's, another
  /// topology's by name or segment size, of a format that this version does not know), kIo (not writable).
  static Result<DataDir> open(const Options& options, const Topology& topology);
  /// Whose the directory is, without locking it. Errors: kNotFound, kCorrupt, kRefused (another format).
  static Result<Owner> read_owner(const std::string& path);

  /// Writes weir.json into `path`, durably: the directory is `topology`'s from then on, and `journal` the seed of what
  /// is in its journal/. What its journal begins with stays said. Errors: kDiskFull, kIo.
  static Status write_owner(const std::string& path, const Topology& topology, std::optional<std::uint64_t> journal);
  /// kDiskFull: `path`, which every start needs, could not be written.
  static Error no_room(const std::string& path);
  /// kRefused: the directory went away from under a launcher.
  static Error served_and_gone(const std::string& path);
  /// A journal's seed from its 16 hex digits.
  static std::optional<std::uint64_t> parse_seed(std::string_view digits);
  /// --fresh was cut short there: whatever weir.json says, its journal was meant to go.
  static bool half_cleared(const std::string& path);

  DataDir(DataDir&& other) noexcept : path_(std::move(other.path_)), lock_(other.lock_), announced_(other.announced_) {
    other.lock_ = -1;
    other.announced_ = false;
  }
  DataDir& operator=(DataDir&&) = delete;
  ~DataDir();

  [[nodiscard]] const std::string& path() const { return path_; }  ///< absolute
  [[nodiscard]] std::string journal_path() const { return path_ + "/journal"; }
  [[nodiscard]] std::string state_path() const { return path_ + "/state"; }

  /// Writes endpoint.json; it is removed with the object. `http`: "" for none.
  Status announce(const std::string& broker, const std::string& http, const std::string& topology);

 private:
  explicit DataDir(std::string path) : path_(std::move(path)) {}
  Status take_lock(std::chrono::milliseconds patience);
  Status clear();
  [[nodiscard]] Status empty_cleared() const;
  [[nodiscard]] Status remove_cleared() const;
  [[nodiscard]] Status finish_clearing() const;

  std::string path_;
  int lock_ = -1;
  bool announced_ = false;
};

}  // namespace weir::server
