// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sdk/base/clock.h"
#include "sdk/base/result.h"
#include "sdk/topology/topology.h"

namespace weir::launcher {

/// What a stage library holds, or why that cannot be known.
struct Described {
  std::string library;
  Result<std::vector<Plugin>> plugins;
  bool died = false;  ///< who was to say it could not be started, was killed, crashed or hung: it may hold anything
};

/// Has each library described by a process of its own (`weir-stage --describe LIBRARY`), several at a time, so that one
/// that crashes or hangs while loading takes nobody along: after `deadline` it is killed. In the order of `libraries`.
std::vector<Described> describe(const std::string& stage_program, const std::vector<std::string>& libraries,
                                Monotonic deadline = std::chrono::seconds(10));

}  // namespace weir::launcher
