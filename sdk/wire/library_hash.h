// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sdk/base/result.h"

namespace weir::wire {

/// What is in the stage library at `path`, as 32 hexadecimal digits (XXH3-128): two files with one name are told apart
/// by it, and one file under two is not. Errors: kNotFound, kIo.
Result<std::string> library_hash(const std::string& path);

/// Whether `text` is one that library_hash() may give.
bool is_library_hash(std::string_view text);

/// What a worker runs: the hashes of the libraries of its stages in the order of their names, with commas between;
/// one that is empty is not known, or of no matter.
std::string join_libraries(const std::vector<std::string>& hashes);
/// Whether what a worker runs is what is `wanted`, as far as that says anything.
bool libraries_fit(std::string_view running, std::string_view wanted);

}  // namespace weir::wire
