// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/reserve.h"

namespace weir::journal {
namespace {

constexpr std::string_view kName = "reserve";
constexpr std::string_view kPartial = "reserve.partial";

}  // namespace

Status Reserve::fill(const Disk::Pieces& pieces) {
  const std::scoped_lock lock(mutex_);
  if (filled_) return {};
  if (const auto before = disk_.open(kName); before.ok() && (*before)->size() == bytes_) {
    filled_ = true;
    return {};
  }
  if (disk_.free_bytes() < 2 * bytes_) return {Code::kDiskFull, disk_.name() + ": no room for the reserve"};
  const auto made = disk_.create_beside(kPartial, bytes_, pieces);
  if (!made.ok()) return made.error();
  if (Status named = disk_.rename(kPartial, kName); !named.ok()) return named;
  filled_ = true;
  return disk_.sync_directory();
}

Result<bool> Reserve::give_up() {
  const std::scoped_lock lock(mutex_);
  filled_ = false;
  if (const Status removed = disk_.remove(kName); !removed.ok()) {
    if (removed.error().code == Code::kNotFound) return false;
    return removed.error();
  }
  if (const Status synced = disk_.sync_directory(); !synced.ok()) return synced.error();
  return true;
}

}  // namespace weir::journal
