// SPDX-License-Identifier: Apache-2.0
// How much workers that publish may have under way: sources, and who takes records from other workers.
#include <algorithm>
#include <set>

#include "broker/core/core.h"
#include "sdk/wire/commit.h"

namespace weir::core {

using namespace std::chrono_literals;
using wire::MessageType;

namespace {

constexpr std::uint64_t kOneTransaction = 1 << 20;        ///< of a source, as a rule
constexpr std::uint64_t kTransactionLeast = 64 << 10;     ///< below it each costs more than it spares
constexpr Monotonic kPublishesMuchFor = 200ms;            ///< and nothing since: it has stopped
constexpr std::uint64_t kPacedBytesPerMs = 64 << 10;      ///< of all sources together
constexpr std::chrono::milliseconds kPacedAtOnceMax{40};  ///< what was not used for longer is gone

}  // namespace

Core::PublishTerms Core::publish_terms() const {
  const std::uint64_t all = std::max(topology_.broker.transaction_bytes_max,
                                     std::min(topology_.broker.memory_bytes / 16, topology_.broker.segment_bytes / 8));
  // What is under way at once is in the processor's cache still when it is journaled and delivered, as long as it is
  // not more, whoever sends it. Whoever sends little takes nothing from the others.
  const auto publishes_much = [&](const auto& entry) {
    const Worker& worker = entry.second;
    return worker.state == Worker::State::kReady && publishes(ledger_.units()[worker.unit]) &&
           (worker.publish_granted == 0 || now_ - worker.publishes_much_at < kPublishesMuchFor);
  };
  const auto many = std::max<std::uint64_t>(
      static_cast<std::uint64_t>(std::count_if(workers_.begin(), workers_.end(), publishes_much)), 1);
  // Who is below its window begins another transaction, which comes on top: of several workers as many.
  const std::uint64_t one = std::min(all / 8, kOneTransaction);
  const std::uint64_t share = (all + one) / many;
  // What is read soon is read from memory, and out of the cache: by the time that half the memory is full of it, it is
  // read from the journal again. A source that is faster than what follows gains nothing by being far ahead.
  return {share - std::min(share / 2, one) + 4 * wire::kPublishOverhead, kPacedBytesPerMs / many,
          hot_.pile(topology_.broker.memory_bytes / 8)};
}

void Core::find_streams_behind() {
  behind_.clear();
  for (const UnitState& unit : ledger_.units()) {
    std::vector<std::uint32_t> behind(unit.outputs().begin(), unit.outputs().end());
    std::set<std::uint32_t> seen(behind.begin(), behind.end());
    for (std::size_t i = 0; i < behind.size(); ++i) {
      for (const UnitState& next : ledger_.units()) {
        if (std::find(next.inputs().begin(), next.inputs().end(), behind[i]) == next.inputs().end()) continue;
        for (const std::uint32_t stream : next.outputs()) {
          if (seen.insert(stream).second) behind.push_back(stream);
        }
      }
    }
    behind_.push_back(std::move(behind));
  }
}

void Core::send_publish_credit(std::uint32_t index, const PublishTerms& terms) {
  const UnitState& unit = ledger_.units()[index];
  if (!publishes(unit) || low_on_space() || upkeep_lags() || blocked(unit)) return;
  // Who takes from other workers does not wait for what is behind it: these would wait for it.
  const bool paced = unit.intake() == Intake::kSplits &&
                     std::any_of(behind_[index].begin(), behind_[index].end(),
                                 [&](std::uint32_t stream) { return hot_.piles_up(stream, terms.pile); });
  for (Worker* worker : workers_of(index)) {
    std::uint64_t granted = worker->publish_settled + terms.window;
    if (paced) {
      const auto since = std::min<Monotonic>(now_ - worker->publish_granted_at, kPacedAtOnceMax);
      granted =
          std::min(granted, worker->publish_granted + static_cast<std::uint64_t>(since.count()) * terms.paced / 1000);
    }
    if (granted < worker->publish_granted + terms.window / 4) continue;
    if (worker->publish_granted == 0) worker->publishes_much_at = now_;
    worker->publish_granted = granted;
    worker->publish_granted_at = now_;
    send(*worker, MessageType::kPublish, wire::encode_totals({granted, std::max(terms.window, kTransactionLeast)}));
  }
}

}  // namespace weir::core
