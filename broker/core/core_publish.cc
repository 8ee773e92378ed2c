// SPDX-License-Identifier: Apache-2.0
// How much workers that publish may have under way: sources, and who takes records from other workers.
#include <algorithm>

#include "broker/core/core.h"
#include "sdk/wire/commit.h"

namespace weir::core {

using wire::MessageType;

namespace {

constexpr std::uint64_t kOneTransaction = 1 << 20;                       ///< of a source, as a rule
constexpr Monotonic kPublishesMuchFor = std::chrono::milliseconds(200);  ///< and nothing since: it has stopped

}  // namespace

std::uint64_t Core::publish_window() const {
  const std::uint64_t all = std::max(topology_.broker.transaction_bytes_max,
                                     std::min(topology_.broker.memory_bytes / 16, topology_.broker.segment_bytes / 8));
  // What is under way at once is in the processor's cache still when it is journaled and delivered, as long as it is
  // not more, whoever sends it. Whoever sends little takes nothing from the others.
  const auto publishes_much = [&](const auto& entry) {
    const Worker& worker = entry.second;
    return worker.state == Worker::State::kReady && publishes(ledger_.units()[worker.unit]) &&
           (worker.publish_granted == 0 || now_ - worker.publishes_much_at < kPublishesMuchFor);
  };
  const auto many = static_cast<std::uint64_t>(std::count_if(workers_.begin(), workers_.end(), publishes_much));
  // Who is below its window begins another transaction, which comes on top: of several workers as many.
  const std::uint64_t one = std::min(all / 8, kOneTransaction);
  const std::uint64_t share = (all + one) / std::max<std::uint64_t>(many, 1);
  return share - std::min(share / 2, one) + 4 * wire::kPublishOverhead;
}

void Core::send_publish_credit(std::uint32_t index, std::uint64_t window) {
  const UnitState& unit = ledger_.units()[index];
  if (!publishes(unit) || low_on_space() || upkeep_lags() || blocked(unit)) return;
  for (Worker* worker : workers_of(index)) {
    const std::uint64_t granted = worker->publish_settled + window;
    if (granted < worker->publish_granted + window / 4) continue;
    if (worker->publish_granted == 0) worker->publishes_much_at = now_;
    worker->publish_granted = granted;
    send(*worker, MessageType::kPublish, wire::encode_totals({granted, 0}));
  }
}

}  // namespace weir::core
