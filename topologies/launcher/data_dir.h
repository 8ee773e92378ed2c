// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sdk/base/result.h"
#include "topologies/launcher/programs.h"

namespace weir::launcher {

/// `path` counted from the working directory, without touching what is not there.
std::string absolute_data_dir(const std::string& path);

/// Whether Weir has ever run on `data_dir`.
bool is_weir_dir(const std::string& data_dir);

/// The data directory that a command means: `data_dir` if given, else that of the topology `file`, else the only one
/// under ./.weir that a broker runs on. Errors: kNotFound, kInvalid (a finding about the file, as it is printed),
/// kRefused (several run).
Result<std::string> find_data_dir(const std::string& data_dir, const std::string& file);

}  // namespace weir::launcher
