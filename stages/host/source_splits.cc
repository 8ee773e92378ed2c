// SPDX-License-Identifier: Apache-2.0
#include "stages/host/source_splits.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include "sdk/wire/split_id.h"

namespace weir::host {

namespace {

using namespace std::chrono_literals;

/// So much is in one transaction of what is found: small beside the smallest segment.
constexpr std::size_t kHandedOverBytes = 8 << 10;
constexpr Monotonic kEnumerateAgain = 200ms;  ///< a source that has more splits to come is asked so often

}  // namespace

void SourceSplit::settles_with(std::uint64_t number) {
  if (settling.empty() || settling.back().first != number) settling.emplace_back(number, Bytes());
  settling.back().second = split.position;
}

void SourceSplits::grant(const wire::Lease& lease) {
  SourceSplit& split = splits_[lease.shard];
  split = {};
  split.lane = lease.shard;
  split.split.id = wire::SplitId::parse(lease.split).name;
  split.split.position.assign(lease.position.begin(), lease.position.end());
  split.watermark = lease.watermark;
  known_.insert(lease.split);
}

bool SourceSplits::reads_on() const {
  return enumerates_ ||
         std::any_of(splits_.begin(), splits_.end(), [](const auto& entry) { return entry.second.reads_on(); });
}

Status SourceSplits::enumerate(Monotonic now) {
  if (!enumerates_ || now < enumerate_at_) return {};
  enumerate_at_ = now + kEnumerateAgain;
  Instance& source = chain_.head();
  SplitList list{&found_, &known_, source.spec().local ? engine_.host() : std::string()};
  source.mark();
  const int answer = [&] {
    const auto turn = chain_.at_work().call(wire::Doing::kEnumerate, source.stage());
    return source.plugin().enumerate(source.self(), source.context(), reinterpret_cast<weir_split_list*>(&list));
  }();
  if (answer != WEIR_END && answer != WEIR_MORE && answer != WEIR_OK) {
    return {Code::kRefused, "stage \"" + source.spec().name + "\": " + source.take_failure()};
  }
  if (answer == WEIR_END) {
    ends_ = true;
    enumerates_ = false;
  }
  return {};
}

bool SourceSplits::hand_over() {
  if (found_.empty() && !ends_) return false;
  for (std::size_t bytes = 0; !found_.empty() && bytes < kHandedOverBytes; found_.pop_front()) {
    bytes += found_.front().size();
    chain_.transaction().find_split(std::move(found_.front()));
  }
  if (found_.empty() && std::exchange(ends_, false)) chain_.transaction().end_enumeration();
  return true;
}

SourceSplit& SourceSplits::in_turn(std::uint32_t ahead) {
  return std::next(splits_.begin(), (next_ + ahead) % count())->second;
}

void SourceSplits::found(std::uint32_t ahead) { next_ = (next_ + ahead + (in_turn(ahead).ended ? 1 : 0)) % count(); }

void SourceSplits::tell_durable() {
  for (auto& [lane, split] : splits_) {
    std::optional<Split> durable;
    for (; !split.settling.empty() && split.settling.front().first <= engine_.settled(); split.settling.pop_front()) {
      durable = Split{split.split.id, std::move(split.settling.front().second), false};
    }
    if (!durable) continue;
    Instance& source = chain_.head();
    source.context()->shard = lane;
    const auto turn = chain_.at_work().call(wire::Doing::kDurable, source.stage());
    source.plugin().on_durable(source.self(), source.context(), reinterpret_cast<weir_split*>(&*durable));
  }
}

void SourceSplits::let_go() {
  std::vector<wire::Lease> going;
  for (auto split = splits_.begin(); split != splits_.end();) {
    // What is acknowledged outside for the next holder's commits must not pass over what is not for these.
    if (!split->second.going || !split->second.settling.empty()) {
      ++split;
      continue;
    }
    going.push_back(*split->second.going);
    split = splits_.erase(split);
  }
  if (!going.empty()) engine_.release(going);
}

}  // namespace weir::host
