// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sdk/topology/topology.h"
#include "sdk/wire/changes.h"

namespace weir::core {

/// What a person calls a dead letter: STAGE/STREAM/SHARD/OFFSET, and a further part where several come from one place.
/// `key` is the letter's own (Space::kDeadLetter); every letter of a topology has another id.
std::string letter_id(const std::string& stage, const wire::DeadLetter& letter, BytesView key);

}  // namespace weir::core
