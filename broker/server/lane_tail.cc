// SPDX-License-Identifier: Apache-2.0
#include "broker/server/lane_tail.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <string_view>

namespace weir::server {
namespace {

int compare_bytes(BytesView a, BytesView b) { return as_text(a).compare(as_text(b)); }

}  // namespace

int compare_places(const wire::Change& a, const wire::Change& b) {
  if (a.space != b.space) return a.space < b.space ? -1 : 1;
  if (a.name.size() != b.name.size()) return a.name.size() < b.name.size() ? -1 : 1;
  if (const int names = compare_bytes(a.name, b.name); names != 0) return names;
  return compare_bytes(a.key, b.key);
}

std::size_t LaneTail::Hash::operator()(const wire::Change& change) const {
  const std::hash<std::string_view> hash;
  return hash(as_text(change.key)) * 31 + hash(as_text(change.name)) + static_cast<std::size_t>(change.space);
}

Status LaneTail::add(BytesView changes, bool reset) {
  const Bytes& kept = changes_.emplace_back(changes.begin(), changes.end());
  wire::ChangesReader reader(kept);
  while (const auto change = reader.next()) {
    if (change->space == wire::Space::kPosition || change->space == wire::Space::kRequeued) continue;
    if (reset && change->space == wire::Space::kState) continue;
    const auto [at, added] = index_.try_emplace(*change, last_.size());
    if (added) {
      last_.push_back(*change);
    } else {
      last_[at->second] = *change;
    }
  }
  return reader.ok() ? Status() : Status(Code::kCorrupt, "malformed state changes in the journal");
}

std::vector<wire::Change> LaneTail::sorted() const {
  std::vector<wire::Change> sorted = last_;
  std::sort(sorted.begin(), sorted.end(),
            [](const wire::Change& a, const wire::Change& b) { return compare_places(a, b) < 0; });
  return sorted;
}

}  // namespace weir::server
