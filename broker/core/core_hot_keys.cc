// SPDX-License-Identifier: Apache-2.0
// What is known of hot keys, for people. Who sends a record decides alone whether its key is hot.
#include <algorithm>
#include <map>

#include "broker/core/core.h"
#include "sdk/topology/hot_keys.h"

namespace weir::core {

std::optional<Core::HotKeys> Core::hot_keys(std::uint32_t stream) const {
  const Stream& spec = ledger_.topology().streams[stream];
  const auto second = shared_part(ledger_.topology(), spec);
  if (!second || spec.resting) return std::nullopt;
  HotKeys hot;
  const auto shared = static_cast<double>(ledger_.stream(*second).records_total());
  const double all = static_cast<double>(ledger_.stream(stream).records_total()) + shared;
  hot.ratio = all == 0 ? 0 : shared / all;

  std::uint64_t records = 0;
  std::map<Bytes, std::uint64_t> keys;
  const auto add = [&](const wire::HotKeysSeen& seen) {
    records += seen.records;
    for (const wire::HotKeysSeen::Key& key : seen.keys) keys[key.key] += key.records;
  };
  for (const auto& [who, probe] : stage_probes_) {
    for (const wire::HotKeysSeen& seen : probe.hot_keys) {
      if (seen.stream == stream) add(seen);
    }
  }
  if (const auto sketch = sketches_.find(stream); sketch != sketches_.end()) add(sketch->second.seen());
  for (const auto& [key, count] : keys)
    hot.keys.emplace_back(key, static_cast<double>(count) / static_cast<double>(std::max<std::uint64_t>(records, 1)));
  std::stable_sort(hot.keys.begin(), hot.keys.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return hot;
}

}  // namespace weir::core
