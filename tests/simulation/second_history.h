// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "broker/core/ledger.h"
#include "broker/core/outside.h"
#include "broker/journal/journal.h"
#include "broker/server/journal_reader.h"
#include "sdk/base/ids.h"
#include "sdk/topology/topology.h"
#include "tests/support/sim_disk.h"

namespace weir::simulation {

/// A start from a copy of the disk in which one bit is another, beside one from a copy that is whole. The damaged one
/// may be refused, with the place; or it holds what the whole one holds, or a beginning of it as long as what was
/// durable; and whatever it reads is what the whole one reads, or an error with the place. Never something else.
class SecondHistory {
 public:
  /// `topology` as in Core. Takes its two copies of `disk`.
  SecondHistory(const test::SimDisk& disk, const Topology& topology, std::uint64_t segment_bytes, std::uint64_t seed);

  /// What came of it.
  enum class Verdict : std::uint8_t {
    kNotTried,  ///< there is nothing to damage, or the disk as it is does not open
    kUnharmed,  ///< all is there and readable
    kCut,       ///< a tail is missing that nobody was promised
    kRefused,   ///< the start
    kStopped,   ///< a read behind the start
    kWrong,     ///< see problem()
  };
  /// Flips a bit of a segment or a snapshot. `promised`: what must be there. `cut`: the broker would take damage for a
  /// torn tail, whatever the marks say (Bug::kDamageCut).
  Verdict run(Sequence promised, bool cut);
  [[nodiscard]] const std::string& problem() const { return problem_; }
  /// What was damaged.
  [[nodiscard]] const std::string& place() const { return place_; }

 private:
  struct Side {
    std::unique_ptr<test::SimDisk> disk;
    journal::Recovery found;
    std::unique_ptr<journal::Journal> journal;
    std::unique_ptr<core::Ledger> ledger;
    std::unique_ptr<server::JournalReader> reader;
  };
  bool damage(bool cut);
  Status open(Side& side);
  /// Applies entries before `end`.
  Status apply(Side& side, Sequence end);
  Verdict wrong(std::string problem);
  /// Whether `error` says what is damaged, and where.
  [[nodiscard]] static bool names_the_place(const Error& error);
  Verdict compare_frames();
  Verdict compare_state();
  [[nodiscard]] static core::RestoreJob whole_state(const core::Ledger& ledger, std::uint32_t stage);

  const Topology& topology_;
  const std::uint64_t segment_bytes_;
  std::mt19937_64 random_;
  Side whole_;
  Side damaged_;
  std::string place_;
  std::string problem_;
};

}  // namespace weir::simulation
