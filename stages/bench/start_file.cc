// SPDX-License-Identifier: Apache-2.0
#include "stages/bench/start_file.h"

#include <fstream>

#include "stages/bench/clock.h"
#include "weir/context.h"

namespace weir::bench {

void write_start(const std::string& path) {
  std::ofstream file(path);
  file << "{\"started_ns\": " << now_ns() << "}\n";
  file.close();
  if (!file) throw Fatal(path + " cannot be written");
}

}  // namespace weir::bench
