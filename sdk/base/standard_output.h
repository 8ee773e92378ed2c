// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "sdk/base/result.h"

namespace weir {

/// What was printed is where it was to go. Errors: kIo, with a sentence; whoever has heard enough and closed the pipe
/// is none. Thread: the one that prints.
inline Status flush_standard_output() {
  errno = 0;
  const bool flushed = std::fflush(stdout) == 0;
  const int error = errno;
  if ((flushed && std::ferror(stdout) == 0) || error == EPIPE) return {};
  return {Code::kIo, "standard output could not be written" +
                         (error == 0 ? std::string() : ": " + std::generic_category().message(error))};
}

}  // namespace weir
