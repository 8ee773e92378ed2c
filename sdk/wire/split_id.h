// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace weir::wire {

/// What a split of a source is called in commits, leases and the journal: as the source names it, and behind a NUL the
/// host that it is a thing of, where that is not the broker's own: a local thing is read only where it is. The broker's
/// own host has no name here, since it may be called otherwise after a restart.
struct SplitId {
  std::string_view name;
  std::string_view host;

  static SplitId parse(std::string_view id) {
    const std::size_t at = id.find('\0');
    if (at == std::string_view::npos) return {id, {}};
    return {id.substr(0, at), id.substr(at + 1)};
  }
  [[nodiscard]] std::string text() const {
    std::string id(name);
    if (!host.empty()) {
      id.push_back('\0');
      id.append(host);
    }
    return id;
  }
};

}  // namespace weir::wire
