// SPDX-License-Identifier: Apache-2.0
#include "broker/core/upkeep.h"

#include <algorithm>

namespace weir::core {

void Upkeep::on_written(Sequence sequence, std::uint64_t segment, std::uint32_t offset) {
  segment_now = segment;
  if (copied && *copied <= sequence) {
    copied.reset();
    copying = false;
  }
  if (!pending) return;
  if (sequence < pending->job.through) pending->segment_through = segment;
  while (pending->fixed < pending->fixups.size() && pending->fixups[pending->fixed].sequence == sequence) {
    Ledger::fix(pending->job.bytes, pending->fixups[pending->fixed++].at, segment, offset);
  }
}

void Upkeep::on_restore(const RestoreJob& job) {
  restoring_from.insert(job.segment_from);
  for (const RestoreJob::Part& part : job.parts) files_restored.insert(part.file);
}

void Upkeep::on_restored(const RestoreJob& job) {
  const auto remove = [](std::multiset<std::uint64_t>& from, std::uint64_t one) {
    if (const auto found = from.find(one); found != from.end()) from.erase(found);
  };
  remove(restoring_from, job.segment_from);
  for (const RestoreJob::Part& part : job.parts) remove(files_restored, part.file);
}

void Upkeep::on_durable(Sequence durable) {
  if (!entered || durable <= entered->sequence) return;
  segment_from_before = segment_from_newest;
  segment_from_newest = entered->segment_from;
  entered.reset();
}

}  // namespace weir::core
