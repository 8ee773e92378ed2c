// SPDX-License-Identifier: Apache-2.0
// Which library a stage is to run with: a decision of a person, or of what befell its workers.
#include "broker/core/ledger.h"

namespace weir::core {

std::string Ledger::apply_upgraded(std::uint32_t stage, const Upgraded& upgraded) {
  if (stage >= topology_.stages.size()) return "is about the library of an unknown stage";
  std::optional<StageLibrary>& library = libraries_[stage];
  switch (upgraded.what) {
    case Upgraded::What::kWanted: {
      if (std::string wrong = core::contradiction_of(upgraded.library); !wrong.empty()) return wrong;
      library = upgraded.library;
      return "";
    }
    case Upgraded::What::kSettled:
      if (!library) return "settles a change of library that nobody wanted";
      library->settled = true;
      return "";
    case Upgraded::What::kForgotten:
      library.reset();
      return "";
  }
  return "";
}

void Ledger::revise_libraries(const Topology& next) {
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    // What was wanted of a plugin is not wanted of another one.
    const bool same = next.stages[stage].plugin == topology_.stages[stage].plugin && !next.stages[stage].resting;
    if (!same) libraries_[stage].reset();
  }
  libraries_.resize(next.stages.size());
}

}  // namespace weir::core
