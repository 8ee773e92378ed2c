// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <thread>

#include "sdk/base/clock.h"

namespace weir::host {

/// Time as a runner sees it.
struct RunnerClock {
  std::function<Monotonic()> monotonic = monotonic_now;
  std::function<std::int64_t()> wall_us = wall_now_us;
  std::function<void(Monotonic)> pause = [](Monotonic time) { std::this_thread::sleep_for(time); };
};

}  // namespace weir::host
