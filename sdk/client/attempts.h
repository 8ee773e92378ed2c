// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "sdk/base/clock.h"
#include "sdk/base/result.h"

namespace weir::client {

/// Calls `attempt` until it succeeds, is refused (kRefused), or `deadline` has passed; once at least. Where nobody was
/// there yet (`was_there` is false), kNotFound ends it too: to wait for a topology to be started is the caller's
/// business. Returns what the last attempt did.
Status attempt_until(Monotonic deadline, bool was_there, const std::function<Status()>& attempt);

}  // namespace weir::client
