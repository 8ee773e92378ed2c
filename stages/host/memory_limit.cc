// SPDX-License-Identifier: Apache-2.0
#include "stages/host/memory_limit.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace weir::host {

using namespace std::chrono_literals;

namespace {

constexpr Monotonic kRenewEvery = 20ms;
/// For what a program needs beside its records: the library, buffers of ZeroMQ.
constexpr std::uint64_t kBesideBytes = 64 << 20;
/// A transaction, its frames, its message and a buffer that is moved while it grows.
constexpr std::uint64_t kTransactions = 8;
/// A hash table that grows holds the old and the new one for a moment.
constexpr std::uint64_t kStates = 4;

void set_limit(rlim_t bytes) {
  rlimit limit{};
  if (getrlimit(RLIMIT_DATA, &limit) != 0) return;
  limit.rlim_cur = std::min(bytes, limit.rlim_max);
  (void)setrlimit(RLIMIT_DATA, &limit);
}

}  // namespace

MemoryLimit::MemoryLimit(std::uint64_t growth_bytes_max)
    : growth_bytes_max_(growth_bytes_max), statm_(open("/proc/self/statm", O_RDONLY | O_CLOEXEC)) {}

MemoryLimit::~MemoryLimit() {
  lift();
  if (statm_ >= 0) close(statm_);
}

std::uint64_t MemoryLimit::growth_for(std::uint64_t memory_bytes, std::uint64_t transaction_bytes_max) {
  return memory_bytes + kBesideBytes + kTransactions * transaction_bytes_max;
}

void MemoryLimit::renew(Monotonic now, std::uint64_t state_bytes) {
  if (statm_ < 0 || (!lifted_ && now - renewed_ < kRenewEvery)) return;
  renewed_ = now;
  char text[128];
  const ssize_t got = pread(statm_, text, sizeof(text) - 1, 0);
  if (got <= 0) return;
  text[got] = '\0';
  // Pages: size, resident, shared, text, lib, data (with the stack).
  unsigned long long data = 0;
  if (std::sscanf(text, "%*u %*u %*u %*u %*u %llu", &data) != 1) return;
  lifted_ = false;
  set_limit(data * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) + growth_bytes_max_ + kStates * state_bytes);
}

void MemoryLimit::lift() {
  if (lifted_) return;
  lifted_ = true;
  set_limit(RLIM_INFINITY);
}

}  // namespace weir::host
