// SPDX-License-Identifier: Apache-2.0
// What a person asks of a running broker.
#include "broker/server/letter_found.h"
#include "sdk/wire/map.h"
#include "tests/simulation/world.h"

namespace weir::simulation {

void World::move_letters() {
  if (now_ < plan_.calm_from)
    later(Monotonic(static_cast<std::int64_t>(wishes_() % 1'000'000)), [this] { move_letters(); });
  if (!broker_ || !broker_->core || broker_->core->moves_letters()) return;
  in_broker(broker_->reader_lane, micros(5000), [this] {
    core::LetterRequest request;
    request.again = !plan_.drops || wishes_() % 3 != 0;
    const bool all = wishes_() % 2 == 0;
    std::set<std::uint64_t> numbers;
    const auto read = list_letters([&](const server::JournalReader::Letter& letter, std::uint64_t number) {
      if (!all && wishes_() % 2 == 0) return;
      request.found.push_back(server::letter_found(letter, topology_, request.again));
      numbers.insert(number);
    });
    if (!read || numbers.empty()) return;
    // Work goes on while what was found is on its way to the core.
    post([this, request = std::move(request), numbers = std::move(numbers)] { ask_about_letters(request, numbers); });
  });
}

void World::ask_about_letters(core::LetterRequest request, const std::set<std::uint64_t>& numbers) {
  if (broker_->core->moves_letters()) return;
  const core::Client client = kPerson + std::to_string(++letters_.asked);
  LettersAsked::Drop& drop = letters_.waiting[client];
  for (const std::uint64_t number : numbers) {
    const std::uint64_t key = number % plan_.keys;
    if (request.again) {
      letters_.keys_requeued.insert(key);
      continue;
    }
    letters_.drops.insert(number);
    // A wish to work a parked key off may be ahead of this one.
    if (!plan_.parks || !letters_.keys_requeued.contains(key)) drop.sure.insert(number);
  }
  trace(request.again ? "requeue" : "drop", request.found.size());
  with_core([&] { broker_->core->move_letters(client, std::move(request), now_); });
  // The most interesting moment for a crash.
  if (plan_.kills && now_ < plan_.calm_from && wishes_() % 4 == 0) disk_.crash_after(1 + wishes_() % 8);
}

void World::answered(const core::Client& client, BytesView message) {
  trace("answer", 0, message);
  const auto answer = wire::MapReader::parse(message);
  if (!answer.ok()) return problem("the broker's answer is no map");
  const auto asked = letters_.waiting.extract(client);
  if (asked.empty()) return problem("a person is answered twice");
  const auto count = static_cast<std::uint64_t>(answer->integer("count", 0));
  if (answer->op() == "letters_requeued") outcome_.letters_requeued += count;
  if (answer->op() != "letters_dropped") return;
  outcome_.letters_dropped += count;
  if (answer->integer("refused", 0) == 0)
    letters_.dropped.insert(asked.mapped().sure.begin(), asked.mapped().sure.end());
}

}  // namespace weir::simulation
