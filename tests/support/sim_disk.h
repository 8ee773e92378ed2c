// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "broker/journal/disk.h"

namespace weir::test {

/// A disk in memory that keeps apart what the page cache holds and what would survive a power cut, and fails when told
/// to. Everything that is left to chance comes from the seed: the same calls give the same disk. Thread: [any thread].
/// Files opened before kill() or power_cut() belong to the dead process: they answer kIo.
class SimDisk final : public journal::Disk {
 public:
  explicit SimDisk(std::uint64_t seed) : random_(seed) {}

  // The door.
  Result<std::unique_ptr<journal::File>> open(std::string_view name) override;
  static constexpr std::uint64_t kPieceAtOnce = 1 << 20;  ///< who asks for smaller ones is in no haste
  Result<std::unique_ptr<journal::File>> create(std::string_view name, std::uint64_t bytes) override;
  /// At once, since no time passes meanwhile; counts what would have been written in smaller pieces.
  Result<std::unique_ptr<journal::File>> create_beside(std::string_view name, std::uint64_t bytes,
                                                       const Pieces& pieces) override {
    if (pieces() < kPieceAtOnce) ++counters_.creates_beside;
    return create(name, bytes);
  }
  Status remove(std::string_view name) override;
  Status rename(std::string_view from, std::string_view to) override;
  Result<std::vector<std::string>> list() override;
  Status sync_directory() override;
  std::uint64_t free_bytes() override;
  [[nodiscard]] std::string name() const override { return "sim"; }

  // Crashes.
  /// The process dies in the middle of its `operations`-th writing call from now (1: the next): a write leaves a part,
  /// a sync syncs nothing; from then on every call answers kIo until kill() or power_cut().
  void crash_after(std::uint64_t operations);
  [[nodiscard]] bool crashed() const;
  /// The process is gone; the page cache survives.
  void kill();
  /// The machine is gone: each unsynced block holds its old content, its new, one it had in between, or is torn;
  /// unsynced changes of the directory came out up to some point.
  void power_cut();

  // Faults.
  enum class Pages {
    kKept,     ///< reads still give what did not reach the disk
    kEvicted,  ///< reads give what the disk holds
  };
  /// The `nth` sync of a file from now fails; any subset of the unsynced blocks reached the disk, and none counts as
  /// unsynced any more.
  void fail_sync(std::uint64_t nth, Pages pages);
  /// The `nth` write from now fails, having written a part.
  void fail_write(std::uint64_t nth);
  /// The next sync of a file covers only what had been written when blocks_written() was that: the rest came beside it.
  void next_sync_covers(std::uint64_t blocks_written);
  /// Calls this as each sync of a file begins, with no lock held. Set before any other thread uses the disk.
  void before_syncs(std::function<void()> call) { before_syncs_ = std::move(call); }
  /// While on, syncs of files say that they have succeeded and do nothing.
  void lie_about_syncs(bool on);
  /// Files may have this many bytes in all.
  void limit_bytes(std::uint64_t bytes_max);
  /// Damages what is stored, in cache and on disk. REQUIRES: inside the file.
  void flip_bit(std::string_view name, std::uint64_t offset, int bit);
  void overwrite(std::string_view name, std::uint64_t offset, BytesView bytes);
  /// Cuts a file short. REQUIRES: not longer than it is.
  void truncate(std::string_view name, std::uint64_t bytes);
  /// The whole disk as it is, for a second history from the same start; nothing of it is shared.
  [[nodiscard]] std::unique_ptr<SimDisk> clone(std::uint64_t seed) const;

  // What there is.
  [[nodiscard]] Bytes content(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] std::uint64_t bytes() const;

  /// Blocks that were ever written.
  [[nodiscard]] std::uint64_t blocks_written() const;

  struct Counters {
    std::uint64_t writes = 0;
    std::uint64_t writes_past_cache = 0;  ///< of these
    std::uint64_t syncs = 0;
    std::uint64_t creates = 0;
    std::uint64_t creates_beside = 0;  ///< that left the disk to others in between
    std::uint64_t bytes_read = 0;
    std::uint64_t failed_writes = 0;  ///< as fail_write() and fail_sync() wanted it
    std::uint64_t failed_syncs = 0;
    std::uint64_t bytes_grown = 0;  ///< by which files became longer, zeros of create() included
    // What power cuts made of blocks that were written and not synced, where it shows.
    std::uint64_t blocks_lost = 0;     ///< they have what they had before, or in between
    std::uint64_t blocks_torn = 0;     ///< some of their sectors have
    std::uint64_t cuts_reordered = 0;  ///< power cuts that kept a block and lost one that was written before
    std::uint64_t folders_undone = 0;  ///< power cuts that took changes of the directory back
  };
  [[nodiscard]] Counters counters() const;

 private:
  friend class SimFile;

  struct Inode {
    Bytes cache;
    Bytes disk;
    struct Unsynced {
      std::vector<Bytes> contents;         // that the block had since the last sync, each before ...
      std::vector<std::uint64_t> changed;  // ... this write, among all of the disk
      [[nodiscard]] std::uint64_t written() const { return changed.back(); }
    };
    std::map<std::uint64_t, Unsynced> unsynced;  // by block
  };
  using Directory = std::map<std::string, std::shared_ptr<Inode>, std::less<>>;  // shared: files outlive their names

  Status write(Inode& inode, std::uint64_t life, std::uint64_t offset, std::span<const BytesView> parts);
  Status sync(Inode& inode, std::uint64_t life);
  Result<std::size_t> read(const Inode& inode, std::uint64_t life, std::uint64_t offset, std::span<std::byte> into);

  void put(Inode& inode, std::uint64_t offset, BytesView bytes);
  void settle(Inode& inode, std::uint64_t through);
  /// Counts a writing call; true when the process dies in it.
  bool dies();
  [[nodiscard]] std::uint64_t bytes_locked() const;
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : random_() % bound; }

  std::function<void()> before_syncs_;
  mutable std::mutex mutex_;  // guards all below
  std::mt19937_64 random_;
  Directory directory_;
  std::vector<Directory> directory_unsynced_;  // as it was before each change since the last sync; then as it is
  std::uint64_t life_ = 1;
  std::uint64_t operations_left_ = 0;  // 0: no crash planned
  bool crashed_ = false;
  std::uint64_t sync_covers_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t sync_fails_in_ = 0;
  Pages sync_fails_with_ = Pages::kKept;
  bool syncs_lie_ = false;
  std::uint64_t write_fails_in_ = 0;
  std::uint64_t bytes_max_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t blocks_written_ = 0;
  Counters counters_;
};

}  // namespace weir::test
