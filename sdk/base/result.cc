// SPDX-License-Identifier: Apache-2.0
#include "sdk/base/result.h"

namespace weir {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::kInvalid:
      return "invalid";
    case Code::kNotFound:
      return "not_found";
    case Code::kInUse:
      return "in_use";
    case Code::kRefused:
      return "refused";
    case Code::kDiskFull:
      return "disk_full";
    case Code::kIo:
      return "io";
    case Code::kCorrupt:
      return "corrupt";
    case Code::kUnavailable:
      return "unavailable";
  }
  return "unknown";
}

}  // namespace weir
