// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>

#include "weir/config.h"

namespace weir::text {

/// A regular expression out of the configuration. Errors: ConfigError with RE2's reason, naming `pointer`.
inline std::unique_ptr<re2::RE2> compile(const std::string& pointer, const std::string& pattern) {
  auto compiled = std::make_unique<re2::RE2>(pattern, re2::RE2::Quiet);
  if (!compiled->ok()) throw ConfigError(pointer + ": \"" + pattern + "\" is no RE2 pattern: " + compiled->error());
  return compiled;
}

}  // namespace weir::text
