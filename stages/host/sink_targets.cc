// SPDX-License-Identifier: Apache-2.0
#include "stages/host/sink_targets.h"

#include <chrono>
#include <string>

#include "sdk/base/log.h"
#include "stages/host/lent_bytes.h"

namespace weir::host {

namespace {

using namespace std::chrono_literals;

constexpr Monotonic kAgain = 20ms;  ///< a target that is another's is asked for so often
/// And for so long: past the silence after which whoever lost its rights, and was only frozen, has noticed.
constexpr Monotonic kWaitMax = 30s;

}  // namespace

Status SinkTargets::open(std::uint32_t lane, BytesView position, const std::function<void()>& beat) {
  Instance* sink = chain_.sink();
  if (sink == nullptr) return {};
  // One target for all lanes: what was committed of it is with the first.
  if (sink->spec().sharing == Sharing::kSingle && lane != 0) return {};
  const std::uint32_t target = Chain::target_of(*sink, lane);
  if (!open_.insert(target).second) return {};
  sink->context()->shard = target;
  const auto attempt = [&] {
    const auto turn = chain_.at_work().call(wire::Doing::kOpen, sink->stage());
    return sink->plugin().open(sink->self(), sink->context(), lend(position));
  };
  const Monotonic asked = clock_.monotonic();
  for (bool said = false;; said = true) {
    const int answer = attempt();
    if (answer == WEIR_OK) return {};
    const std::string sentence = "stage \"" + sink->spec().name + "\": " + sink->take_failure();
    if (answer != WEIR_EMPTY || clock_.monotonic() - asked > kWaitMax) return {Code::kRefused, sentence};
    if (!said) log::warning("{}; waiting for it", sentence);
    if (engine_.urgent()) break;  // after which nobody wants the lane's records
    if (engine_.beat_due()) beat();
    clock_.pause(kAgain);
  }
  open_.erase(target);
  return {};
}

void SinkTargets::let_go(std::uint32_t lane, bool last) {
  const Instance* sink = chain_.sink();
  if (sink == nullptr) return;
  const std::uint32_t target = Chain::target_of(*sink, lane);
  const bool unused = sink->spec().sharing == Sharing::kShard || last;
  if (unused && open_.contains(target)) close(target);
}

void SinkTargets::close_all() {
  while (!open_.empty()) close(*open_.begin());
}

void SinkTargets::close(std::uint32_t target) {
  Instance& sink = *chain_.sink();
  open_.erase(target);
  if (sink.plugin().close == nullptr) return;
  sink.context()->shard = target;
  sink.take_failure();
  {
    const auto turn = chain_.at_work().call(wire::Doing::kClose, sink.stage());
    sink.plugin().close(sink.self(), sink.context());
  }
  // What it has written is flushed and committed: nothing is lost, and nothing can be tried again.
  if (const std::string why = sink.take_failure(); !why.empty())
    log::warning("stage \"{}\" could not close what it writes to: {}", sink.spec().name, why);
}

}  // namespace weir::host
