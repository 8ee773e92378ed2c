// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/topology.h"

#include <algorithm>

namespace weir {

const Stream* Topology::find_stream(std::string_view wanted) const {
  const auto found = std::ranges::find(streams, wanted, &Stream::name);
  return found == streams.end() ? nullptr : &*found;
}

const StageSpec* Topology::find_stage(std::string_view wanted) const {
  const auto found = std::ranges::find(stages, wanted, &StageSpec::name);
  return found == stages.end() ? nullptr : &*found;
}

}  // namespace weir
