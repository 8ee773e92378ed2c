// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sdk/base/result.h"
#include "sdk/topology/topology.h"

namespace weir {

/// The catalogue of all plugins that a topology may name. A value; one thread at a time.
class Plugins {
 public:
  /// Errors: kInvalid where another library holds a plugin of this name, naming both. The same library twice is fine.
  Status add(Plugin plugin);

  /// Null where there is none. The pointer holds until the next add().
  [[nodiscard]] const Plugin* find(std::string_view name) const;
  /// In order of their names.
  [[nodiscard]] const std::vector<Plugin>& all() const { return plugins_; }
  [[nodiscard]] std::vector<std::string> names() const;

  /// Reads what `weir-stage --describe LIBRARY` prints:
  /// {"library": "/abs/path.so", "plugins": [{"name", "kind": "source|stage|sink", "keyed", "key_preserving",
  /// "mergeable", "deterministic", "on_watermark", "local", "sharing": "single|shard|any", "inputs": ["in"], "outputs":
  /// ["out"], "schema": {...}|null}]}. Each but name and kind may be absent. `library` stands in for an absent
  /// "library" and in messages.
  static Result<std::vector<Plugin>> parse_description(std::string_view json, const std::string& library);

 private:
  std::vector<Plugin> plugins_;
};

}  // namespace weir
