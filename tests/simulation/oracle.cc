// SPDX-License-Identifier: Apache-2.0
// The oracle: it knows the numbers, and nothing of the broker.
#include <algorithm>

#include "tests/simulation/model_producer.h"
#include "tests/simulation/world.h"
#include "weir/value.h"

namespace weir::simulation {

void World::settled(const std::string& of, std::uint64_t value) {
  std::uint64_t& known = settled_[of];
  known = std::max(known, value);
}

void World::restored(Incarnation incarnation, const std::string& of, std::uint64_t value) {
  // Who slept through its own fencing may hear old words late.
  if (!broker_ || broker_->inboxes.count(incarnation) == 0) return;
  remembered(of, value);
}

bool World::all_published() const {
  return std::all_of(producers_.begin(), producers_.end(),
                     [&](const auto& producer) { return producer->all_acknowledged(); });
}

void World::remembered(const std::string& of, std::uint64_t value) {
  if (value < settled_[of]) {
    problem("what was settled of " + of + " is lost (I2): " + std::to_string(settled_[of]) + " became " +
            std::to_string(value));
  }
}

void World::delivered_to_sink(std::uint32_t shard, std::uint64_t offset, BytesView record) {
  const auto [known, fresh] = left_.try_emplace({shard, offset}, record.begin(), record.end());
  if (!fresh && !std::equal(record.begin(), record.end(), known->second.begin(), known->second.end()))
    problem("a record that had left the broker changed");
}

void World::check_dead_letters() {
  std::set<std::uint64_t> expected;
  for (std::uint64_t number = 0; number < plan_.numbers_all(); ++number) {
    if (!plan_.is_good(number)) expected.insert(number);
  }
  std::multiset<std::uint64_t> found;
  const Status read = broker_->reader->dead_letters(
      broker_->core->dead_letter_parts(), [&](const server::JournalReader::Letter& letter) {
        const auto number = ValueView(letter.letter.value_bytes).as<std::vector<std::uint64_t>>().front();
        const std::string why = plan_.is_poison(number) ? std::to_string(number) : "it killed ";
        if (letter.letter.reason.substr(0, why.size()) == why) found.insert(number);
      });
  if (!read.ok()) return problem("the dead letters cannot be read: " + read.error().message);
  if (!std::equal(expected.begin(), expected.end(), found.begin(), found.end()))
    return problem("the dead letters are not the poisoned numbers");
  const std::uint64_t counted = broker_->core->dead_letters();
  if (plan_.requeues ? counted < expected.size() : counted != expected.size())
    problem("the broker counted other dead letters");
  outcome_.dead_letters += expected.size();
}

void World::check_end() {
  std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> truth;
  for (std::uint64_t number = 0; number < plan_.numbers_all(); ++number) {
    if (!plan_.is_good(number)) continue;
    auto& [count, sum] = truth[number % plan_.keys];
    ++count;
    sum += number;
  }
  std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> found;
  std::map<std::uint64_t, int> finals;
  for (const auto& [lane, target] : targets_) {
    for (const auto& [key, count, sum, last] : target.records) {
      const std::string at = " (key " + std::to_string(key) + ", count " + std::to_string(count) + ")";
      auto& [counted, summed] = found[key];
      if (last != 0) {
        if (++finals[key] > 1) return problem("a shard was finished twice" + at);
        if (count != truth[key].first || sum != truth[key].second) return problem("a total is wrong" + at);
        continue;
      }
      if (count != counted + 1) return problem("the target has a record twice or lacks one (I1)" + at);
      counted = count;
      summed = sum;
    }
  }
  if (found != truth) return problem("the target differs from the truth (I1)");
  if (finals.size() != truth.size()) return problem("a key's total is missing (I1)");
  std::uint64_t healthy = 0;
  for (const auto& [key, total] : truth) healthy += total.first;
  const std::uint64_t in = broker_->core->records_in();
  if (plan_.requeues ? in < plan_.numbers_all() : in != plan_.numbers_all())
    return problem("the broker counted other records in");
  if (broker_->core->records_out() != healthy + truth.size()) return problem("the broker counted other records out");
  check_dead_letters();
  // What is over stays over.
  broker_.reset();
  if (plan_.power_cuts) {
    disk_.power_cut();
  } else {
    disk_.kill();
  }
  start_broker();
  if (outcome_.problem.empty() && !broker_->core->ledger().finished()) problem("the end was lost");
}

}  // namespace weir::simulation
