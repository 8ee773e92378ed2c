// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/base/result.h"
#include "topologies/launcher/programs.h"

namespace weir::launcher {

/// The broker's answer to `op` ("status", "dead_letters"), JSON text: from the one that runs on `data_dir`, or read
/// from the directory where none does. Errors: kUnavailable, kRefused, kIo with a sentence.
Result<std::string> ask_broker(const std::string& data_dir, const std::string& op, const Programs& programs);

/// Runs `weir-broker --read WHAT --data DATA_DIR ARGUMENTS...` and hands on what it prints, line by line as it comes.
/// Errors: kIo with the broker's sentence.
Status read_stopped(const std::string& data_dir, const std::string& what, const std::vector<std::string>& arguments,
                    const Programs& programs, const std::function<void(std::string_view)>& take);

}  // namespace weir::launcher
