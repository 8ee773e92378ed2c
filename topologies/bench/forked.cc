// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/forked.h"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace weir::bench {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

Forked::~Forked() {
  for (const Process& each : running_) ::kill(each.pid, SIGKILL);
  for (const Process& each : running_) {
    while (::waitpid(each.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

Status Forked::start(std::string name, const std::function<bool()>& work) {
  std::fflush(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return {Code::kIo, fmt::format("no process for {}: {}", name, ::strerror(errno))};
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ::_exit(work() ? 0 : 1);
  }
  running_.push_back({std::move(name), pid});
  return {};
}

Result<std::vector<ProcessUse>> Forked::wait() {
  std::vector<ProcessUse> uses;
  std::string failed;
  while (!running_.empty()) {
    const Process process = running_.front();
    int status = 0;
    rusage use{};
    while (::wait4(process.pid, &status, 0, &use) < 0 && errno == EINTR) {
    }
    running_.erase(running_.begin());
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) failed = process.name;
    if (!failed.empty()) break;
    uses.push_back({process.name, seconds(use.ru_utime) + seconds(use.ru_stime),
                    static_cast<std::uint64_t>(use.ru_maxrss) * 1024});
  }
  if (!failed.empty()) return {Code::kIo, fmt::format("the process \"{}\" of a baseline failed", failed)};
  return uses;
}

}  // namespace weir::bench
