// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace weir::fuzz {

/// What this thread has allocated and not freed, and the most that it was. malloc, new and their kin are counted.
struct Allocated {
  std::size_t now = 0;
  std::size_t peak = 0;
};
Allocated& allocated();

/// While it lives, this thread may take so many bytes more than it had: an input of a few bytes must not cost a
/// stranger's victim more than a multiple of them. Ends the process if it took more. One at a time.
class MemoryBound {
 public:
  explicit MemoryBound(std::size_t bytes_max);
  ~MemoryBound();
  MemoryBound(const MemoryBound&) = delete;
  MemoryBound& operator=(const MemoryBound&) = delete;

 private:
  std::size_t before_;
  std::size_t bytes_max_;
};

}  // namespace weir::fuzz
