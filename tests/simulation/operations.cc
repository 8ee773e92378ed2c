// SPDX-License-Identifier: Apache-2.0
// What a person asks of a running broker.
#include "broker/server/letter_found.h"
#include "sdk/wire/map.h"
#include "tests/simulation/world.h"

namespace weir::simulation {

void World::requeue() {
  if (now_ < plan_.calm_from) later(micros(3'000'000), [this] { requeue(); });
  if (!broker_ || !broker_->core || broker_->core->moves_letters()) return;
  in_broker(broker_->reader_lane, micros(5000), [this] {
    core::LetterRequest request;
    request.again = true;
    const Status read = broker_->reader->dead_letters(
        broker_->core->dead_letter_parts(), [&](const server::JournalReader::Letter& letter) {
          request.found.push_back(server::letter_found(letter, topology_, request.again));
        });
    if (!read.ok()) return failed(read.error(), "dead letters");
    trace("requeue", request.found.size());
    with_core([&] { broker_->core->move_letters(kPerson, std::move(request), now_); });
  });
}

void World::answered(const core::Client&, BytesView message) {
  const auto answer = wire::MapReader::parse(message);
  if (answer.ok() && answer->op() == "letters_requeued")
    outcome_.letters_requeued += static_cast<std::uint64_t>(answer->integer("count", 0));
  trace("answer", 0, message);
}

}  // namespace weir::simulation
