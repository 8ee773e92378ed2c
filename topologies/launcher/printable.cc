// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/printable.h"

#include <fmt/format.h>

#include <iterator>

namespace weir::launcher {

std::string printable(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  for (const char each : text) {
    const auto byte = static_cast<unsigned char>(each);
    const bool obeyed = (byte < 0x20 && byte != '\t') || byte == 0x7f;
    if (obeyed) {
      fmt::format_to(std::back_inserter(shown), "\\x{:02x}", byte);
    } else {
      shown += each;
    }
  }
  return shown;
}

}  // namespace weir::launcher
