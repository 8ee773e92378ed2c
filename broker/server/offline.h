// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "sdk/base/result.h"

namespace weir::server {

/// Reads a directory that no broker holds, and writes nothing: "status" (the object of /api/status), "tail" (the kept
/// records of `stream`, one JSON object a line, `count` of them or all with 0), "dead-letters" (a JSON array). Prints
/// to standard output. Errors: kNotFound, kCorrupt, kInvalid.
Status read_offline(const std::string& what, const std::string& directory, const std::string& stream,
                    std::uint64_t count);

}  // namespace weir::server
