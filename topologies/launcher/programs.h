// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sdk/topology/substitute.h"

namespace weir::launcher {

/// Where this program's neighbours are: the same in the build tree and where Weir is installed.
struct Programs {
  std::string broker;         ///< weir-broker, beside this program
  std::string stage;          ///< weir-stage, beside this program
  std::string stage_library;  ///< ../lib/weir, the folder of the standard stages
  std::string prefix;         ///< the folder that holds bin and lib

  /// As seen from /proc/self/exe.
  static Programs beside_self();

  /// The stage libraries that are found without being named: those of `stage_library`, then those that
  /// WEIR_LIBRARY_PATH lists (libraries, or folders of them). Absolute, sorted within a folder, each once.
  [[nodiscard]] std::vector<std::string> libraries(const Environment& environment) const;
};

}  // namespace weir::launcher
