// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/zmq_handle.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>

namespace weir::bench {

std::string private_endpoint(const char* name) {
  static std::atomic<int> used = 0;  // a name is free again some time after its process ended
  return fmt::format("ipc://@weir-bench-{}-{}-{}", ::getpid(), ++used, name);
}

}  // namespace weir::bench
