// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace weir::simulation {

/// What a person has asked of dead letters and parked records, and was answered: all that the oracle knows of them.
struct LettersAsked {
  struct Drop {
    std::set<std::uint64_t> sure;  ///< numbers that are gone for good once the answer says that all are
  };
  std::set<std::uint64_t> kept;           ///< numbers that were seen as a letter whose key was not parked
  std::set<std::uint64_t> drops;          ///< numbers that may be dropped: they were named once
  std::set<std::uint64_t> dropped;        ///< numbers that a person was told are dropped
  std::set<std::uint64_t> keys_requeued;  ///< whose records were named to be worked on again
  std::map<std::string, Drop> waiting;    ///< for their answer, by client; a wish to requeue has no numbers here
};

}  // namespace weir::simulation
