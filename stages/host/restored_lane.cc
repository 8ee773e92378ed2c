// SPDX-License-Identifier: Apache-2.0
#include "stages/host/restored_lane.h"

#include <iterator>
#include <string>
#include <unordered_map>

namespace weir::host {
namespace {

/// Calls `each` for every change of every part. Errors: kInvalid; what `each` says.
template <typename Each>
Status walk(const std::vector<Bytes>& parts, Each each) {
  for (const Bytes& part : parts) {
    wire::ChangesReader reader(part);
    while (const auto change = reader.next()) {
      if (Status status = each(*change); !status.ok()) return status;
    }
    if (!reader.ok()) return {Code::kInvalid, "malformed state from the broker"};
  }
  return {};
}

std::string place_of(const wire::Change& change) {
  std::string place(1, static_cast<char>(change.space));
  place += as_text(change.name);
  place += '\0';
  place += as_text(change.key);
  return place;
}

}  // namespace

void RestoredLane::add(std::uint32_t stage, BytesView changes) {
  if (!changes.empty()) parts_[stage].emplace_back(changes.begin(), changes.end());
}

void RestoredLane::add(RestoredLane later) {
  for (auto& [stage, parts] : later.parts_) {
    auto& ours = parts_[stage];
    ours.insert(ours.end(), std::make_move_iterator(parts.begin()), std::make_move_iterator(parts.end()));
  }
}

Result<bool> RestoredLane::erases(wire::Space space) const {
  bool erases = false;
  for (const auto& [stage, parts] : parts_) {
    const Status walked = walk(parts, [&](const wire::Change& change) -> Status {
      erases |= change.space == space && !change.value;
      return {};
    });
    if (!walked.ok()) return walked.error();
  }
  return erases;
}

Status RestoredLane::visit(std::uint32_t stage, const std::function<Status(const wire::Change&)>& visit) const {
  const auto found = parts_.find(stage);
  if (found == parts_.end()) return {};
  bool erases = false;
  Status looked = walk(found->second, [&](const wire::Change& change) -> Status {
    erases |= !change.value;
    return {};
  });
  if (!looked.ok()) return looked;
  return erases ? visit_last(stage, visit) : walk(found->second, visit);
}

Status RestoredLane::visit_last(std::uint32_t stage, const std::function<Status(const wire::Change&)>& visit) const {
  const auto found = parts_.find(stage);
  if (found == parts_.end()) return {};
  std::unordered_map<std::string, wire::Change> left;
  Status gathered = walk(found->second, [&](const wire::Change& change) -> Status {
    if (change.value) {
      left.insert_or_assign(place_of(change), change);
    } else {
      left.erase(place_of(change));
    }
    return {};
  });
  if (!gathered.ok()) return gathered;
  for (const auto& [place, change] : left) {
    if (Status status = visit(change); !status.ok()) return status;
  }
  return {};
}

}  // namespace weir::host
