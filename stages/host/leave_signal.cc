// SPDX-License-Identifier: Apache-2.0
#include "stages/host/leave_signal.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>

namespace weir::host {
namespace {

std::atomic<bool> signalled{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal's handler writes it");

}  // namespace

void LeaveSignal::heed(bool interrupt) {
  struct sigaction action = {};
  action.sa_handler = [](int) { signalled.store(true, std::memory_order_relaxed); };
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
  (void)sigaction(SIGTERM, &action, nullptr);
  if (interrupt) (void)sigaction(SIGINT, &action, nullptr);
}

bool LeaveSignal::came() { return signalled.load(std::memory_order_relaxed); }

void LeaveSignal::leave_to_others() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  (void)pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

}  // namespace weir::host
