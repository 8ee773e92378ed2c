// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sdk/base/bytes.h"

namespace weir::fuzz {

/// The files of a corpus, sorted; none where the folder does not exist.
std::vector<std::string> files_in(const std::string& folder);
Bytes read_file(const std::string& file);
/// Writes the target's seeds into `folder`, as seed-000, seed-001, ...; false with a sentence where it cannot.
bool write_seeds(const std::string& folder);

}  // namespace weir::fuzz
