// SPDX-License-Identifier: Apache-2.0
#include "sdk/base/heap.h"

#include <malloc.h>

namespace weir {
namespace {

constexpr int kMappedFrom = 16 << 20;  ///< what is so large is mapped by itself, and given back by itself
constexpr int kKeptMax = 32 << 20;     ///< free bytes at the end of a heap

}  // namespace

void keep_freed_memory() {
  (void)mallopt(M_MMAP_THRESHOLD, kMappedFrom);
  (void)mallopt(M_TRIM_THRESHOLD, kKeptMax);
}

}  // namespace weir
