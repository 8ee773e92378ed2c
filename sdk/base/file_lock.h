// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace weir {

/// A lock of a whole file that belongs to an open description of it (fcntl, F_OFD_SETLK): it ends with the descriptor,
/// however its process dies, and can be asked about without being taken (which flock(2) does not offer; who tried its
/// lock to see would be in the way of a process that starts).
enum class FileLock : std::uint8_t {
  kNone,
  kShared,     ///< several may hold it; the descriptor must be open for reading
  kExclusive,  ///< the descriptor must be open for writing
};

/// Takes the lock, without waiting. False where others are in the way, or where the file system has no locks.
bool take_lock(int descriptor, FileLock lock);

/// The strongest lock that others hold on the file.
FileLock held_by_others(int descriptor);

}  // namespace weir
