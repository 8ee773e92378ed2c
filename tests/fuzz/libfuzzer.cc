// SPDX-License-Identifier: Apache-2.0
// Beside libFuzzer's own main: `fuzz_TARGET --seeds FOLDER` writes the seeds there, as the driver does.
#include <cstdlib>
#include <string_view>

#include "tests/fuzz/seed_files.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc == 3 && std::string_view((*argv)[1]) == "--seeds") std::exit(weir::fuzz::write_seeds((*argv)[2]) ? 0 : 1);
  return 0;
}
