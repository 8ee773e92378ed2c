// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/priority_level.h"

#include <fmt/format.h>

#include "sdk/wire/head.h"

namespace weir::wire {

PriorityLevel::PriorityLevel(const Priority& priority)
    : path_(priority.field ? *priority.field : fmt::format("/{}", kPriorityHeader)),
      field_(priority.field),
      levels_(static_cast<std::uint32_t>(priority.weights.size())),
      fallback_(priority.fallback) {}

Result<Shard> PriorityLevel::of(const RecordRef& record) const {
  const auto level = path_.find(field_ ? record.value : record.headers);
  const auto head = level ? read_head(*level) : std::nullopt;
  if (!head || head->kind == Head::Kind::kNothing) return Shard(fallback_);
  if (head->kind == Head::Kind::kUnsigned && head->unsigned_ < levels_)
    return Shard(static_cast<std::uint32_t>(head->unsigned_));
  return {
      Code::kInvalid,
      fmt::format("the stream's priority is a whole number from 0 (the most urgent) to {}, but the record's {} holds "
                  "something else",
                  levels_ - 1,
                  field_ ? fmt::format("field \"{}\"", *field_) : fmt::format("header \"{}\"", kPriorityHeader))};
}

}  // namespace weir::wire
