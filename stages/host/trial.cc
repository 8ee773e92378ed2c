// SPDX-License-Identifier: Apache-2.0
#include "stages/host/trial.h"

#include <fmt/format.h>

#include "stages/host/lent_bytes.h"
#include "weir/value.h"

namespace weir::host {
namespace {

constexpr Monotonic kWait = std::chrono::milliseconds(100);

}  // namespace

Result<Trial::Outcome> Trial::run(const std::string& config) {
  if (Status created = instance_.create(config); !created.ok()) return created.error();
  while (true) {
    const Event event = engine_.next(kWait);
    if (engine_.beat_due()) engine_.beat({});
    switch (event.kind) {
      case Event::Kind::kGrant:
        if (event.leases.empty()) return outcome_;
        for (const wire::Lease& lease : event.leases) lanes_[lease.shard] = RestoredLane();
        break;
      case Event::Kind::kState:
        if (Status taken = take(event.state); !taken.ok()) return taken.error();
        break;
      case Event::Kind::kNone:
        break;
      default:
        return {Code::kUnavailable, event.sentence.empty() ? "the broker ended the trial" : event.sentence};
    }
  }
}

Status Trial::take(const wire::StatePart& part) {
  const auto lane = lanes_.find(part.shard);
  if (lane == lanes_.end()) return {Code::kInvalid, "the broker sends state of a shard that it has not told of"};
  if (part.stage == instance_.stage()) lane->second.add(part.stage, part.changes);
  engine_.worked_off(part.changes.size(), 0);
  if (!part.last) return {};
  Status judged =
      lane->second.visit_last(instance_.stage(), [&](const wire::Change& change) { return judge(part.shard, change); });
  if (!judged.ok()) return judged;
  lanes_.erase(lane);
  ++outcome_.shards;
  wire::Lease taken;
  taken.kind = wire::LeaseKind::kAhead;
  taken.shard = part.shard;
  taken.epoch = part.ahead;
  engine_.say_taken(taken);
  return {};
}

Status Trial::judge(std::uint32_t shard, const wire::Change& change) {
  if (change.space != wire::Space::kState) return {};
  ++outcome_.values;
  if (plugin_.state_try == nullptr) {
    ++outcome_.unknown;
    return {};
  }
  instance_.context()->shard = shard;
  const int answer = plugin_.state_try(instance_.self(), instance_.context(), lend(change.name), lend(change.key),
                                       lend(*change.value));
  if (answer == WEIR_EMPTY) ++outcome_.unknown;
  if (answer == WEIR_OK || answer == WEIR_EMPTY) return {};
  const std::string name = change.name.empty() ? "the state" : fmt::format("the state \"{}\"", as_text(change.name));
  return {Code::kRefused,
          fmt::format("stage \"{}\" cannot go on with {} of the key that is {} (shard {}): {}", instance_.spec().name,
                      name, ValueView(change.key).describe(), shard, instance_.take_failure())};
}

}  // namespace weir::host
