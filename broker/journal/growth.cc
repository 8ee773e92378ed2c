// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/growth.h"

#include <span>

namespace weir::journal {
namespace {

constexpr std::uint64_t kPieceBytes = 64 << 10;

}  // namespace

Status grow(File& file, std::uint64_t bytes) {
  if (file.size() >= bytes) return {};
  const Bytes zeros(static_cast<std::size_t>(std::min(kPieceBytes, bytes - file.size())));
  for (std::uint64_t at = file.size(); at < bytes;) {
    const BytesView part =
        BytesView(zeros).first(static_cast<std::size_t>(std::min<std::uint64_t>(zeros.size(), bytes - at)));
    if (Status wrote = file.write(at, std::span(&part, 1)); !wrote.ok()) return wrote;
    at += part.size();
  }
  return file.sync();
}

}  // namespace weir::journal
