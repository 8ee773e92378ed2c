// SPDX-License-Identifier: Apache-2.0
#include "broker/server/keeper.h"

#include <algorithm>

#include "broker/server/snapshot_file.h"
#include "sdk/base/log.h"

namespace weir::server {

Result<Bytes> Keeper::checkpoint(const core::CheckpointJob& job) {
  const auto written = journal_.write_checkpoint_file(job.through, job.segment_needed_min, job.bytes);
  if (!written.ok()) return written.error();
  // This checkpoint and the one before it name these; an older one is read by nobody any more.
  if (job.files_known) remove_snapshots(job);
  return journal::encode(*written);
}

Status Keeper::compact(core::CompactJob& job) {
  const std::uint64_t file = job.result.file;
  const auto attempt = [&] {
    Status status = reader_.compact(job);
    if (!status.ok()) static_cast<void>(disk_.remove(snapshot_file_name(file)).ok());
    return status;
  };
  Status status = attempt();
  if (status.ok() || status.error().code != Code::kDiskFull) return status;
  const Result<bool> room = journal_.give_up_reserve();
  if (!room.ok()) return room.error();
  return *room ? attempt() : status;
}

void Keeper::remove_snapshots(const core::CheckpointJob& job) {
  const auto names = disk_.list();
  if (!names.ok()) return;
  const std::uint64_t newest =
      job.files_needed.empty() ? 0 : *std::max_element(job.files_needed.begin(), job.files_needed.end());
  for (const std::string& name : *names) {
    const auto number = snapshot_file_number(name);
    const bool needed =
        number && std::find(job.files_needed.begin(), job.files_needed.end(), *number) != job.files_needed.end();
    // Files above the newest may be at work, or taking effect just now.
    if (!number || needed || *number >= newest) continue;
    if (const Status status = disk_.remove(name); !status.ok()) log::warning("{}", status.error().message);
  }
}

}  // namespace weir::server
