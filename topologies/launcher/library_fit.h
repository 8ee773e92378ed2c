// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "sdk/topology/topology.h"

namespace weir::launcher {

/// Why `plugin` cannot take the place of the plugin that `stage` of a running topology has, as far as its description
/// says; nothing where it can. `before`: that plugin, where its library could be asked; null: it could not.
std::optional<std::string> why_not(const StageSpec& stage, const Plugin& plugin, const Plugin* before);

}  // namespace weir::launcher
