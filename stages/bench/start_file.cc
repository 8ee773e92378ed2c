// SPDX-License-Identifier: Apache-2.0
#include "stages/bench/start_file.h"

#include <fstream>

#include "stages/bench/clock.h"
#include "weir/context.h"

namespace weir::bench {

std::uint64_t write_start(const std::string& path) {
  const std::uint64_t now = now_ns();
  std::ofstream file(path);
  file << "{\"started_ns\": " << now << "}\n";
  file.close();
  if (!file) throw Fatal(path + " cannot be written");
  return now;
}

}  // namespace weir::bench
