// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/output.h"

#include <algorithm>

namespace weir::simulation {
namespace {

std::string at(std::uint64_t key, std::uint64_t count) {
  return " (key " + std::to_string(key) + ", count " + std::to_string(count) + ")";
}

std::string at(const Origin& origin) {
  return " (" + origin.stream + "/" + std::to_string(origin.shard) + "/" + std::to_string(origin.offset) + ")";
}

}  // namespace

std::string Output::add(std::uint64_t index, std::uint64_t count, std::uint64_t sum,
                        const std::optional<Origin>& origin) {
  Key& key = keys_[index];
  if (key.finished) return "a record came behind its key's total" + at(index, count);
  if (count == 1 && key.count != 0 && replays_.any_reset()) {
    key.count = key.sum = 0;
    key.reset = true;
  }
  if (count != key.count + 1 || sum < key.sum)
    return "the target has a record twice or lacks one (I1)" + at(index, count);
  const std::uint64_t number = sum - key.sum;
  key.count = count;
  key.sum = sum;
  if (origin) {
    auto& [known, times] = key.added.try_emplace(*origin, number, 0).first->second;
    if (known != number) return "a number changed" + at(*origin);
    key.steps.push_back(*origin);
    if (++times > 1) return "";
  }
  key.numbers.push_back(number);
  return "";
}

std::string Output::finish(std::uint64_t index, std::uint64_t count, std::uint64_t sum) {
  Key& key = keys_[index];
  if (key.finished) return "a shard was finished twice" + at(index, count);
  key.finished = true;
  return count == key.count && sum == key.sum ? "" : "a total is wrong" + at(index, count);
}

std::string Output::check_steps(const Key& key) const {
  // From one to the next of the key's records in that stream, or back to where a replay begins.
  std::map<std::string, std::map<Origin, std::pair<std::uint64_t, std::uint64_t>>::const_iterator> last;
  for (const Origin& step : key.steps) {
    const auto here = key.added.find(step);
    const bool first = here == key.added.begin() || std::prev(here)->first.stream != step.stream;
    const auto before = last.find(step.stream);
    const bool next = before == last.end() ? first : !first && std::prev(here) == before->second;
    const std::uint64_t from = first ? 0 : std::prev(here)->first.offset + 1;
    if (!next && (before == last.end() || before->second->first < step ||
                  !replays_.begins(step.stream, step.shard, from, step.offset + 1))) {
      return "a number came out of turn" + at(step);
    }
    last.insert_or_assign(step.stream, here);
  }
  return "";
}

std::string Output::check() const {
  for (const auto& [index, key] : keys_) {
    if (!key.finished && !replays_.any_reset()) return "a key's total is missing (I1): " + std::to_string(index);
    if (std::string wrong = check_steps(key); !wrong.empty()) return wrong;
    for (const auto& [origin, added] : key.added) {
      const std::uint64_t again = added.second - 1;
      if (again < replays_.times_min(origin.stream, origin.shard, origin.offset))
        return "a replay did not bring a record again" + at(origin);
      if (again > replays_.times_max(origin.stream, origin.shard, origin.offset))
        return "a record came again that nobody replayed (I1)" + at(origin);
      if (!key.reset && replays_.resets(origin.stream, origin.shard, origin.offset))
        return "a reset did not forget the state" + at(origin);
    }
  }
  return "";
}

}  // namespace weir::simulation
