// SPDX-License-Identifier: Apache-2.0
// The oracle: it knows the numbers, and nothing of the broker.
#include <algorithm>
#include <iterator>

#include "sdk/wire/map.h"
#include "sdk/wire/messages.h"
#include "tests/simulation/model_producer.h"
#include "tests/simulation/worker_process.h"
#include "tests/simulation/world.h"
#include "weir/value.h"

namespace weir::simulation {
namespace {

constexpr std::string_view kFollows = "its key is parked";  ///< why a record is parked that did not fail itself

}  // namespace

void World::settled(const std::string& of, std::uint64_t value) {
  std::uint64_t& known = settled_[of];
  known = std::max(known, value);
}

void World::restored(Incarnation incarnation, const std::string& of, std::uint64_t value) {
  // Who slept through its own fencing may hear old words late.
  if (!broker_ || inboxes_.count(incarnation) == 0) return;
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

void World::delivered_to_sink(std::uint32_t stream, std::uint32_t shard, std::uint64_t offset, BytesView record) {
  const auto [known, fresh] = left_.try_emplace({stream, shard, offset}, record.begin(), record.end());
  if (!fresh && !std::equal(record.begin(), record.end(), known->second.begin(), known->second.end()))
    problem("a record that had left the broker changed");
}

std::optional<std::set<std::uint64_t>> World::list_letters(
    const std::function<void(const server::JournalReader::Letter&, std::uint64_t)>& visit) {
  std::set<std::uint64_t> numbers;
  const Status read = broker_->reader->dead_letters(
      broker_->core->dead_letter_parts(), [&](const server::JournalReader::Letter& letter) {
        const auto number = ValueView(letter.letter.value_bytes).as<std::vector<std::uint64_t>>().front();
        const std::string at = " (number " + std::to_string(number) + ")";
        if (!numbers.insert(number).second && plan_.replayed != Replayed::kPass && !plan_.kills_on_the_way(number))
          problem("a record is two letters" + at);
        if (letter.parked.empty() && letters_.dropped.contains(number))
          problem("a letter was dropped and is back" + at);
        const std::string_view reason = letter.letter.reason;
        const bool follows = !letter.parked.empty() && reason == kFollows;
        const std::string why = plan_.is_poison(number) ? std::to_string(number) : "it killed ";
        const bool right =
            follows ? may_park(number % plan_.keys) : !plan_.is_good(number) && reason.substr(0, why.size()) == why;
        if (!right) problem("a record is a letter for a wrong reason: " + std::string(reason) + at);
        outcome_.records_parked += letter.parked.empty() ? 0 : 1;
        if (letter.parked.empty()) letters_.kept.insert(number);
        visit(letter, number);
      });
  if (read.ok()) return numbers;
  failed(read.error(), "dead letters");
  return std::nullopt;
}

void World::check_sent(const WorkerProcess& worker, BytesView message) {
  const auto header = wire::decode_header(message);
  if (!header || header->type != wire::MessageType::kDeliver) return;
  if (topology().stages[worker.stage()].kind != PluginKind::kSink) return;
  const auto delivery = wire::decode_delivery(wire::body_of(message));
  if (!delivery.ok()) return problem("a delivery cannot be read: " + delivery.error().message);
  for (const wire::DeliveryHeader& batch : delivery->batches) {
    if (batch.count != 0 && batch.offset + batch.count > committed_.settled_end(batch.stream, batch.shard))
      problem("a sink is given what a power cut may take back (I2)");
  }
}

void World::check_told(const core::Client& producer, BytesView message) {
  const auto answer = wire::MapReader::parse(message);
  if (!answer.ok() || (answer->op() != "acknowledged" && answer->op() != "opened")) return;
  const auto number = static_cast<std::uint64_t>(answer->integer(answer->op() == "opened" ? "last" : "number", 0));
  if (number > committed_.settled_message("producer " + producer.substr(1, producer.find('.') - 1)))
    problem("a producer is told of what a power cut may take back (I2)");
}

void World::check_positions() {
  for (const auto& [stage, lane, position] : committed_.positions()) {
    const bool extra = stage >= topology_.stages.size();
    if (targets_[lane + (extra ? kExtraTargets : 0)].records.size() < position)
      problem("a sink has committed what does not lie in its target (I1)");
  }
}

void World::check_written(std::uint32_t lane) {
  const std::vector<Target::Record>& records = targets_[lane].records;
  const Target::Record& record = records.back();
  if (record.offset >= committed_.settled_end(lane >= kExtraTargets ? 0 : 1, record.shard))
    return problem("a sink has written what a power cut may take back (I2)");
  // Of several shards that one target holds, the one before in the same.
  const auto before = std::find_if(std::next(records.rbegin()), records.rend(),
                                   [&](const Target::Record& other) { return other.shard == record.shard; });
  if (before == records.rend()) return;
  const std::uint64_t expected = before->offset + 1;
  const bool back = lane < kExtraTargets && record.offset < expected &&
                    replays_.begins("sums", record.shard, record.offset, record.offset + 1);
  if (record.offset != expected && !back)
    problem("a sink has written a record twice or left one out (I1) (offset " + std::to_string(record.offset) + ")");
}

void World::check_accounts(const Output& output) {
  std::uint64_t failed = 0;
  const auto letters = list_letters([&](const server::JournalReader::Letter& letter, std::uint64_t) {
    failed += letter.letter.reason == kFollows ? 0 : 1;
  });
  if (!letters) return;
  std::set<std::uint64_t> added;
  for (const auto& [key, history] : output.keys()) {
    std::map<std::uint64_t, std::uint64_t> last;  // by where it comes from
    for (const std::uint64_t number : history.numbers) {
      const std::string at = " (number " + std::to_string(number) + ")";
      if (number >= plan_.numbers_all() || number % plan_.keys != key)
        return problem("a number was added that nobody sent" + at);
      if (!added.insert(number).second && (plan_.replayed != Replayed::kPass || replays_.count() == 0)) {
        if (!plan_.acknowledged || number >= plan_.numbers) return problem("a number was added twice (I1)" + at);
        ++outcome_.records_again;
      }
      if (!plan_.is_good(number)) ++outcome_.healed;
      if (!plan_.parks || !plan_.keeps_order(number) || letters_.kept.contains(number)) continue;
      std::uint64_t& before = last[plan_.origin_of(number)];
      if (before > number) return problem("a key's records came out of order (I3)" + at);
      before = number;
    }
    for (auto letter = letters->begin(); plan_.parks && letter != letters->end(); ++letter) {
      if (*letter % plan_.keys != key || !plan_.keeps_order(*letter) || letters_.kept.contains(*letter)) continue;
      if (last[plan_.origin_of(*letter)] > *letter)
        return problem("a later record overtook one that is parked (number " + std::to_string(*letter) + ")");
    }
  }
  std::uint64_t missing_numbers = 0;
  for (std::uint64_t number = 0; number < plan_.numbers_all(); ++number) {
    const std::string at = " (number " + std::to_string(number) + ")";
    const bool may_fail = plan_.parks ? may_park(number % plan_.keys) : !plan_.is_good(number);
    const bool may_be_lost = plan_.direct && !plan_.acknowledged && number < plan_.numbers;
    if (!may_fail && !may_be_lost && !added.contains(number)) return problem("a number was not added (I1)" + at);
    const int times = (added.contains(number) ? 1 : 0) + (letters->contains(number) ? 1 : 0);
    if (times > 1) return problem("a number was added and is a letter (I1)" + at);
    const bool missing = times == 0 && !letters_.drops.contains(number);
    if (missing && !may_be_lost) return problem("a record was lost (I1)" + at);
    missing_numbers += missing ? 1 : 0;
    if (times != 0 && letters_.dropped.contains(number)) return problem("a record was dropped and is there (I1)" + at);
  }
  if (plan_.direct) {
    const std::uint64_t lost = broker_->core->ledger().stream(2).lost;
    if (lost != missing_numbers)
      return problem(std::to_string(missing_numbers) + " numbers are missing, and " + std::to_string(lost) +
                     " are counted as lost");
    outcome_.records_lost += lost;
  }
  const std::uint64_t counted = broker_->core->dead_letters();
  // Over send_receive a letter may come again, as any record, and be in the place of the first one.
  if (plan_.requeues || plan_.sums_again() || plan_.kills_pass ? counted < failed : counted != failed)
    problem("the broker counted other dead letters");
  outcome_.dead_letters += letters->size();
}

std::optional<std::map<std::pair<std::uint32_t, std::uint64_t>, World::Target::Record>> World::check_targets() {
  std::map<std::pair<std::uint32_t, std::uint64_t>, Target::Record> records;
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t> again;
  std::map<std::uint32_t, std::uint64_t> next;  // by shard
  for (const auto& [lane, target] : targets_) {
    if (lane >= kExtraTargets) break;
    for (const Target::Record& record : target.records) {
      const std::string at = " (sums/" + std::to_string(record.shard) + "/" + std::to_string(record.offset) + ")";
      std::uint64_t& expected = next[record.shard];
      const bool back =
          record.offset < expected && replays_.begins("sums", record.shard, record.offset, record.offset + 1);
      if (record.offset != expected && !back) {
        problem("the target has a record twice or lacks one (I1)" + at);
        return std::nullopt;
      }
      expected = record.offset + 1;
      const auto [known, first] = records.try_emplace({record.shard, record.offset}, record);
      if (known->second != record) problem("a record came again and had changed" + at);
      again[known->first] += first ? 0 : 1;
    }
  }
  for (const auto& [place, times] : again) {
    const auto& [shard, offset] = place;
    const std::string at = " (sums/" + std::to_string(shard) + "/" + std::to_string(offset) + ")";
    if (times < replays_.times_min("sums", shard, offset)) problem("a replay did not bring a record again" + at);
    if (times > replays_.times_max("sums", shard, offset)) problem("a record came again that nobody replayed" + at);
  }
  return records;
}

void World::check_end() {
  check_extra();
  const auto records = check_targets();
  if (!records) return;
  Output output(replays_);
  std::uint64_t numbers = 0;  // of the source
  for (const auto& [place, record] : *records) {
    const std::string wrong = record.last ? output.finish(record.key, record.count, record.sum)
                                          : output.add(record.key, record.count, record.sum, record.origin);
    if (!wrong.empty()) return problem(wrong);
  }
  if (const std::string wrong = output.check(); !wrong.empty()) return problem(wrong);
  for (const auto& [key, history] : output.keys()) {
    for (const std::uint64_t number : history.numbers) numbers += number < plan_.numbers ? 1 : 0;
  }
  const bool counted = plan_.replayed == Replayed::kPass && replays_.all_done() && !plan_.poison && !plan_.killers;
  if (counted && numbers != plan_.numbers + replays_.records())
    return problem("a replay of a stage without keys brought other records again than it said");
  std::uint64_t written = 0;
  std::uint64_t dropped = 0;  // at most: what a sink wrote without a commit lies there until the sink comes again
  for (const auto& [lane, target] : targets_) {
    written += target.records.size();
    if (lane >= kExtraTargets && !has_extra(topology())) dropped += target.records.size();
  }
  const std::uint64_t in = broker_->core->records_in();
  if (plan_.requeues ? in < plan_.numbers_all() : in != plan_.numbers_all())
    return problem("the broker counted other records in");
  const std::uint64_t out = broker_->core->records_out();
  if (out > written || out + dropped < written)
    return problem("the broker counted other records out: " + std::to_string(out) + ", and " + std::to_string(written) +
                   " were written");
  check_accounts(output);
  if (!outcome_.problem.empty()) return;
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
