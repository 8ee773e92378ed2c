// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/wire/commit.h"

namespace weir::host {

/// What a transaction emits to a stream that goes from worker to worker.
struct DirectOutput {
  std::uint32_t stream = 0;
  std::uint32_t count = 0;
  Bytes records;  ///< in the layout of weir/abi.h
  std::int64_t origin_us = 0;
};

/// What a transaction has to do with such streams, beside what its commit says.
struct DirectPart {
  std::vector<DirectOutput> outputs;
  std::vector<wire::DirectTaken> taken;
};

}  // namespace weir::host
