// SPDX-License-Identifier: Apache-2.0
#include "sdk/base/file_lock.h"

#include <fcntl.h>
#include <unistd.h>

namespace weir {
namespace {

struct flock whole_file(FileLock lock) {
  struct flock whole {};
  whole.l_type = lock == FileLock::kExclusive ? F_WRLCK : lock == FileLock::kShared ? F_RDLCK : F_UNLCK;
  whole.l_whence = SEEK_SET;
  return whole;
}

}  // namespace

bool take_lock(int descriptor, FileLock lock) {
  const struct flock whole = whole_file(lock);
  return ::fcntl(descriptor, F_OFD_SETLK, &whole) == 0;
}

FileLock held_by_others(int descriptor) {
  // Asked for as if to write, which any lock is in the way of.
  struct flock whole = whole_file(FileLock::kExclusive);
  if (::fcntl(descriptor, F_OFD_GETLK, &whole) != 0 || whole.l_type == F_UNLCK) return FileLock::kNone;
  return whole.l_type == F_WRLCK ? FileLock::kExclusive : FileLock::kShared;
}

}  // namespace weir
