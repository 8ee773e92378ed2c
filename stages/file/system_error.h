// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

#include "weir/context.h"

namespace weir::file {

/// Ends the worker with "cannot DO PATH: reason", the reason being errno's.
[[noreturn]] inline void throw_errno(const std::string& what, const std::string& path) {
  const int error = errno;
  throw Fatal("cannot " + what + " " + path + ": " + std::generic_category().message(error));
}

}  // namespace weir::file
