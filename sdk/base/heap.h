// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace weir {

/// Tells the allocator to keep what is freed instead of giving it back to the system at once. Buffers of a
/// transaction's size come and go many times a second; each that is mapped anew costs a page fault for every 4 KiB of
/// it, more than all copies of its bytes together. What is kept is bounded. At the beginning of a program.
void keep_freed_memory();

}  // namespace weir
