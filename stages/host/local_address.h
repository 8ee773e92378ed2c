// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sdk/base/result.h"

namespace weir::host {

/// The address of this machine from which `host`:`port` is reached: what the kernel would send from. Nothing is sent.
/// Errors: kInvalid, kIo.
Result<std::string> local_address_towards(const std::string& host, const std::string& port);

}  // namespace weir::host
