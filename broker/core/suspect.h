// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "sdk/base/ids.h"

namespace weir::core {

/// What a worker was processing when it died by its own fault, as its launcher says.
struct FatalRecord {
  std::uint32_t stream = 0;
  std::uint32_t shard = 0;
  std::uint64_t offset = 0;
  std::uint64_t requeued = 0;  ///< number of a requeued one; of the place only `offset` matters then: the turn among
                               ///< the parked records of a key, else 0
  std::string cause;           ///< "signal 11 (SIGSEGV)"
  Incarnation producer;        ///< whose it is where it came past the broker, ...
  bool alone = false;          ///< ... and nothing else was begun and not committed
};

/// Records of one shard of which one, at least, killed a worker. They are delivered alone, piece by piece: first those
/// before the one that was said to be at work, then that one; where a piece of several kills again, halves of it. So
/// the record is found though what it did may show only later, and one that kills alone is counted. Kept in memory
/// only: after a restart of the broker the deaths come again, or they do not. Thread: the core's.
class Suspect {
 public:
  Suspect(std::uint32_t lane, std::uint32_t cursor, std::uint64_t from, std::uint64_t offset)
      : lane_(lane), cursor_(cursor), from_(from), to_(offset + 1) {}

  [[nodiscard]] std::uint32_t lane() const { return lane_; }
  [[nodiscard]] std::uint32_t cursor() const { return cursor_; }
  [[nodiscard]] std::uint64_t from() const { return from_; }
  [[nodiscard]] std::uint64_t to() const { return to_; }
  [[nodiscard]] bool holds(std::uint64_t offset) const { return from_ <= offset && offset < to_; }
  [[nodiscard]] bool over() const { return from_ >= to_; }

  /// Where the next piece, which starts at from(), should end.
  [[nodiscard]] std::uint64_t piece_end() const {
    const std::uint64_t count = to_ - from_;
    if (count == 1) return to_;
    return hinted_ ? to_ - 1 : from_ + count / 2;
  }
  /// [from(), to) goes to `worker`, alone.
  void on_sent(Incarnation worker, std::uint64_t to) {
    at_ = worker;
    piece_from_ = from_;
    piece_to_ = to;
  }
  [[nodiscard]] bool under_way() const { return at_.value() != 0; }
  [[nodiscard]] Incarnation at() const { return at_; }

  /// Everything before `offset` is committed.
  void on_committed(std::uint64_t offset) {
    if (offset <= from_) return;
    from_ = offset;
    deaths_ = 0;
    if (from_ >= piece_to_) at_ = Incarnation();
  }
  /// `worker` is gone, or has let go.
  void on_gone(Incarnation worker) {
    if (at_ == worker) at_ = Incarnation();
    if (reserved == worker) reserved = Incarnation();
  }
  /// The worker that had the piece was killed by it. REQUIRES: under_way().
  void on_death(const std::string& cause) {
    at_ = Incarnation();
    if (piece_to_ - piece_from_ == 1) {
      ++deaths_;
      cause_ = cause;
    } else {
      to_ = std::max(piece_to_, from_ + 1);
      hinted_ = false;
    }
  }
  /// Workers that the record at from() killed while it was alone.
  [[nodiscard]] std::uint32_t deaths() const { return deaths_; }
  [[nodiscard]] const std::string& cause() const { return cause_; }

  Incarnation reserved;  ///< unkeyed input: the worker that gets nothing else, so that it comes to be idle

 private:
  std::uint32_t lane_;
  std::uint32_t cursor_;
  std::uint64_t from_;
  std::uint64_t to_;
  bool hinted_ = true;  ///< the last one is the likely one
  Incarnation at_;
  std::uint64_t piece_from_ = 0;
  std::uint64_t piece_to_ = 0;
  std::uint32_t deaths_ = 0;
  std::string cause_;
};

/// A record of a `send_receive` stream that killed a worker: whoever gets it next takes it alone, once all in front of
/// it is committed and acknowledged, so that its producer sends none of that again. Kept in memory only, as above.
struct DirectSuspect {
  std::uint32_t stream = 0;
  Incarnation producer;
  std::uint64_t offset = 0;  ///< among all that the producer sends to the stream
  std::uint32_t deaths = 0;  ///< of workers that had it alone
  std::string cause;
};

/// A requeued record that killed a worker.
struct RequeuedSuspect {
  std::uint64_t offset = 0;  ///< as in FatalRecord
  std::uint32_t deaths = 0;
  std::string cause;
};

}  // namespace weir::core
