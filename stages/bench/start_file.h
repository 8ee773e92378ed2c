// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace weir::bench {

/// Writes `{"started_ns": now}` to `path`: when a source was first read. Errors: Fatal.
void write_start(const std::string& path);

}  // namespace weir::bench
