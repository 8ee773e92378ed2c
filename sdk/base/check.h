// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace weir {

/// Prints the place, the condition and the reason to standard error and aborts. [any thread]
[[noreturn]] void check_failed(const char* file, int line, const char* condition, std::string_view why);

}  // namespace weir

/// States what must hold whatever the world does: a false condition is our own bug and ends the process, in release
/// too.
#define WEIR_CHECK(condition, why) \
  (static_cast<bool>(condition) ? void(0) : ::weir::check_failed(__FILE__, __LINE__, #condition, (why)))
