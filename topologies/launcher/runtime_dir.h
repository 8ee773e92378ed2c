// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "sdk/base/result.h"

namespace weir::launcher {

/// A folder that only this user can read, under $XDG_RUNTIME_DIR or /tmp, removed with all that is in it at the end.
class RuntimeDir {
 public:
  /// Errors: kIo.
  static Result<RuntimeDir> make();

  RuntimeDir(RuntimeDir&& other) noexcept;
  RuntimeDir& operator=(RuntimeDir&& other) noexcept;
  RuntimeDir(const RuntimeDir&) = delete;
  RuntimeDir& operator=(const RuntimeDir&) = delete;
  ~RuntimeDir();

  /// Writes a file there and returns its path. Errors: kIo.
  Result<std::string> write(std::string_view name, std::string_view text) const;

 private:
  explicit RuntimeDir(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace weir::launcher
