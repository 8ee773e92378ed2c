// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/draft.h"

namespace weir {

std::vector<bool> stages_behind(const Draft& draft, std::vector<std::uint32_t> from) {
  std::vector<bool> reached(draft.stages.size(), false);
  while (!from.empty()) {
    const std::uint32_t stage = from.back();
    from.pop_back();
    for (const Joint& output : draft.stages[stage].outputs) {
      for (const std::uint32_t reader : draft.streams[output.stream].readers) {
        if (!reached[reader]) from.push_back(reader);
        reached[reader] = true;
      }
    }
  }
  return reached;
}

}  // namespace weir
