// SPDX-License-Identifier: Apache-2.0
#include "stages/host/map_page.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weir::host {

wire::WorkPage* map_page(int descriptor) {
  struct stat about {};
  if (fstat(descriptor, &about) != 0 || about.st_size < static_cast<off_t>(sizeof(wire::WorkPage))) return nullptr;
  void* memory = mmap(nullptr, sizeof(wire::WorkPage), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  close(descriptor);
  return memory == MAP_FAILED ? nullptr : static_cast<wire::WorkPage*>(memory);
}

}  // namespace weir::host
