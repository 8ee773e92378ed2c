// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace weir {

// What tells a data directory from others: for who begins in a directory, deletes in it, or asks whether one could.

/// Whether the directory `path` is Weir's: its weir.json holds format, name and topology, of whatever version.
bool is_weirs(const std::string& path);

/// What the directory `path`, which has no weir.json, holds that a start does not leave there that died before it wrote
/// one: "journal" if that is there, which a data directory has that lost its weir.json, else the first by name. "" for
/// nothing, also where there is no such directory.
std::string foreign_entry(const std::string& path);

}  // namespace weir
