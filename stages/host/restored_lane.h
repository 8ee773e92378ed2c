// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/result.h"
#include "sdk/wire/changes.h"

namespace weir::host {

/// The state of one granted lane while its parts arrive. Kept as bytes until the last one: a later part may erase what
/// an earlier one put, and a stage that holds typed values is told only what is there in the end.
/// Thread: the runner's.
class RestoredLane {
 public:
  void add(std::uint32_t stage, BytesView changes);
  /// What `later` has comes on top.
  void add(RestoredLane later);
  /// Errors: kInvalid where the parts are malformed.
  [[nodiscard]] Result<bool> erases(wire::Space space) const;

  /// Calls `visit` for what the parts of `stage` leave: puts only; where no part erases, in the order of their age.
  /// Errors: kInvalid where the parts are malformed; what `visit` says.
  Status visit(std::uint32_t stage, const std::function<Status(const wire::Change&)>& visit) const;

  /// The same, but of each key only what is there in the end.
  Status visit_last(std::uint32_t stage, const std::function<Status(const wire::Change&)>& visit) const;

 private:
  std::map<std::uint32_t, std::vector<Bytes>> parts_;  ///< by stage
};

}  // namespace weir::host
