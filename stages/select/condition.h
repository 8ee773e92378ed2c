// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "weir/config.h"
#include "weir/value.h"

namespace weir::select {

/// Says of a value whether something holds. Built from the `where` of a filter.
class Condition {
 public:
  Condition() = default;
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;
  virtual ~Condition() = default;
  [[nodiscard]] virtual bool holds(ValueView value) const = 0;

  /// What stands at `pointer` of the configuration. Views nothing of it. Errors: ConfigError.
  static std::unique_ptr<Condition> read(const Config& config, const std::string& pointer);
};

}  // namespace weir::select
