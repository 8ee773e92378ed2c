// SPDX-License-Identifier: Apache-2.0
#include "sdk/client/attempts.h"

#include <thread>

namespace weir::client {
namespace {

constexpr Monotonic kAgainAfter = std::chrono::milliseconds(50);

}  // namespace

Status attempt_until(Monotonic deadline, bool was_there, const std::function<Status()>& attempt) {
  while (true) {
    Status status = attempt();
    if (status.ok() || status.error().code == Code::kRefused) return status;
    if (!was_there && status.error().code == Code::kNotFound) return status;
    std::this_thread::sleep_for(kAgainAfter);
    if (monotonic_now() >= deadline) return status;
  }
}

}  // namespace weir::client
