// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace weir::launcher {

/// `text` on one line, with nothing in it that a terminal obeys: bytes below the blank, but for the tab, and DEL become
/// "\x1b" and the like. What libraries and records say goes through here before a person sees it. [any thread]
std::string printable(std::string_view text);

}  // namespace weir::launcher
