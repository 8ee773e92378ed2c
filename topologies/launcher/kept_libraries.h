// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>

#include "sdk/base/result.h"

namespace weir::launcher {

/// Stage libraries that a data directory keeps a copy of, each under what is in it: DIR/libraries/HASH/NAME. So a stage
/// can be upgraded and go back, and a worker start again, whatever becomes of the file that it was built as.
class KeptLibraries {
 public:
  explicit KeptLibraries(const std::string& data_dir) : folder_(data_dir + "/libraries") {}

  [[nodiscard]] std::string path(const std::string& hash, const std::string& name) const;
  /// The copy is there and whole.
  [[nodiscard]] bool has(const std::string& hash, const std::string& name) const;
  /// Copies the library at `source` there, unless it is there, and gives the copy's path. It is on disk then.
  /// Errors: kIo, kNotFound; kInvalid where what is in it is not what `hash` says.
  Result<std::string> keep(const std::string& source, const std::string& hash, const std::string& name) const;
  /// Deletes all copies but those under `hashes`.
  void forget_others(const std::set<std::string>& hashes) const;

 private:
  std::string folder_;
};

/// The file's name, without the folders before it.
std::string file_name(const std::string& path);

}  // namespace weir::launcher
