// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "sdk/base/bytes.h"

namespace weir::core {

/// Bytes with shared ownership: what a socket received is journaled by the writer's thread and delivered from the same
/// memory, so the last of them frees it (the one place where an owner cannot be named beforehand).
struct Buffer {
  std::shared_ptr<void> owner;
  std::span<std::byte> bytes;

  static Buffer of(Bytes from) {
    auto held = std::make_shared<Bytes>(std::move(from));
    const std::span<std::byte> view(*held);
    return {std::move(held), view};
  }
  [[nodiscard]] Buffer part(std::size_t at, std::size_t size) const { return {owner, bytes.subspan(at, size)}; }
  explicit operator bool() const { return owner != nullptr; }
};

}  // namespace weir::core
