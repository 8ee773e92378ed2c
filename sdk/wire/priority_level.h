// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "sdk/base/ids.h"
#include "sdk/base/result.h"
#include "sdk/topology/topology.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/value_path.h"

namespace weir::wire {

/// The level of a record of a stream that is dispatched by priority, which is its shard. Built once a stream.
class PriorityLevel {
 public:
  explicit PriorityLevel(const Priority& priority);
  /// 0 is the most urgent. What names no level, or nil, has the default. Errors: kInvalid where it names one that there
  /// is not.
  [[nodiscard]] Result<Shard> of(const RecordRef& record) const;

 private:
  ValuePath path_;
  std::optional<std::string> field_;
  std::uint32_t levels_;
  std::uint32_t fallback_;
};

}  // namespace weir::wire
