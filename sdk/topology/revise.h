// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sdk/base/result.h"
#include "sdk/topology/topology.h"

namespace weir {

/// `now` with the numbers that `old` has given: what a data directory knows keeps its number for ever, in whatever
/// order the file has it, what is new gets the next ones, and what `now` no longer has stays where it was, resting.
/// Errors: kRefused, naming what may not differ at all: the topology's name, segment_size, how a stream travels and is
/// sharded, and the chain of fused stages that a stage belongs to. What only the directory's history can forbid is not
/// judged here (broker/core/revision.h).
Result<Topology> revise(const Topology& old, const Topology& now);

/// The part of `revise` that a journal must agree with before it is opened: name and segment_size.
Status same_directory(const Topology& old, const Topology& now);

/// The topology as workers see it: numbers as they are, and whatever rests joined to nothing.
Topology without_resting(Topology topology);

/// Whether two configurations say the same, in whatever order and form.
bool same_config(const std::string& a, const std::string& b);
/// Where they differ first, field by field, for the end of a sentence; "" where that cannot be told.
std::string config_difference(const std::string& a, const std::string& b);

}  // namespace weir
