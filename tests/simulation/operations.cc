// SPDX-License-Identifier: Apache-2.0
// What a person asks of a running broker.
#include <algorithm>
#include <utility>

#include "broker/core/replay_search.h"
#include "broker/server/letter_found.h"
#include "sdk/wire/frame.h"
#include "sdk/wire/map.h"
#include "tests/simulation/worker_process.h"
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
      request.found.push_back(server::letter_found(letter, topology(), request.again));
      numbers.insert(number);
    });
    if (!read || numbers.empty()) return;
    // Work goes on while what was found is on its way to the core.
    post([this, request = std::move(request), numbers = std::move(numbers)] { ask_about_letters(request, numbers); });
  });
}

void World::ask_about_letters(core::LetterRequest request, const std::set<std::uint64_t>& numbers) {
  if (broker_->core->moves_letters()) return;
  const core::Client client = kPerson + std::to_string(++wishes_said_);
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
  if (letters_.waiting.contains(client)) return answered_about_letters(client, *answer);
  if (upgrades_.waits(client)) return answered_about_library(client, *answer);
  if (scales_.waits(client)) return answered_about_workers(client, *answer);
  if (answer->op() == "refused") {
    ++outcome_.replays_refused;
    return replays_.refused(client);
  }
  const auto records = static_cast<std::uint64_t>(answer->integer("records", 0));
  ++outcome_.replays;
  outcome_.records_replayed += records;
  if (const std::string wrong = replays_.done(client, records); !wrong.empty()) problem(wrong);
}

void World::answered_about_letters(const core::Client& client, const wire::MapReader& answer) {
  const auto asked = letters_.waiting.extract(client);
  const auto count = static_cast<std::uint64_t>(answer.integer("count", 0));
  if (answer.op() == "letters_requeued") outcome_.letters_requeued += count;
  if (answer.op() != "letters_dropped") return;
  outcome_.letters_dropped += count;
  if (answer.integer("refused", 0) == 0)
    letters_.dropped.insert(asked.mapped().sure.begin(), asked.mapped().sure.end());
}

core::ReplayRequest World::wanted_replay() {
  const auto number_of = [](const auto& all, std::string_view name) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.name == name; });
    return static_cast<std::uint32_t>(found - all.begin());
  };
  core::ReplayRequest request;
  request.reset = wishes_() % 2 == 0;
  const char* stage = "out";
  const char* stream = "sums";
  if (plan_.replayed == Replayed::kPass) {
    stage = "pass";
    stream = "raw";
  } else if (plan_.replayed == Replayed::kSum) {
    stage = "sum";
    stream = plan_.producers != 0 && wishes_() % 3 == 0 ? "outside" : "numbers";
  }
  request.stage = number_of(topology_.stages, stage);
  request.stream = number_of(topology_.streams, stream);
  return request;
}

void World::replay() {
  constexpr std::size_t kReplaysMax = 6;  // more prove no more
  if (now_ < plan_.calm_from && replays_.count() < kReplaysMax)
    later(Monotonic(static_cast<std::int64_t>(wishes_() % 1'000'000)), [this] { replay(); });
  if (!broker_ || !broker_->core) return;
  in_broker(broker_->reader_lane, micros(5000), [this] {
    core::ReplayRequest request = wanted_replay();
    const core::StreamState& stream = broker_->core->ledger().stream(request.stream);
    core::ReplayWanted wanted;
    const std::uint64_t kind = wishes_() % 3;
    if (kind == 1) {
      wanted.kind = core::ReplayWanted::Kind::kOffset;
      wanted.offset = wishes_() % (1 + stream.next_offset(0));
    } else if (kind == 2) {
      wanted.kind = core::ReplayWanted::Kind::kTime;
      wanted.time_us = wall_us() - static_cast<std::int64_t>(wishes_() % 2'000'000);
    }
    core::ReplaySearch search(wanted, stream.shards());
    for (std::uint64_t frame = stream.first_frame(); frame < stream.end_frame() && !search.done(); ++frame) {
      const core::FrameSlot& slot = stream.slot(frame);
      if (!slot.bytes && !slot.place.written()) return;  // the daemon looks again in a moment
      const auto bytes = slot.bytes ? Result<Bytes>(Bytes(slot.bytes.bytes.begin(), slot.bytes.bytes.end()))
                                    : broker_->reader->read(slot.place);
      if (!bytes.ok()) return failed(bytes.error(), "replay");
      const auto view = wire::FrameView::parse(*bytes);
      std::vector<wire::BatchHeader> batches;
      for (std::uint32_t i = 0; i < view->header().batches; ++i) batches.push_back(view->batch(i));
      search.see(frame, batches);
    }
    auto places = search.places(stream);
    if (!places.ok()) {
      if (plan_.keeps_all()) problem("a stream that keeps all does not: " + places.error().message);
      ++outcome_.replays_refused;
      return;
    }
    if (kind == 0) {
      const bool whole = std::all_of(places->begin(), places->end(), [](const auto& from) { return from.offset == 0; });
      if (!whole && plan_.keeps_all()) return problem("a stream that keeps all has let go of its beginning");
      if (!whole && topology_.streams[request.stream].retains()) ++outcome_.replays_cut_short;
    }
    request.from = std::move(*places);
    // Work goes on while what was found is on its way to the core.
    post([this, request = std::move(request)] { ask_for_replay(request); });
  });
}

void World::ask_for_replay(core::ReplayRequest request) {
  const core::Client client = kPerson + std::to_string(++wishes_said_);
  const StageSpec& stage = topology_.stages[request.stage];
  const std::string& stream = topology_.streams[request.stream].name;
  ReplaysAsked::Replay asked{stream, request.reset, {}, {}, false, 0};
  const auto fact = [&](std::size_t shard) { return stage.name + " of " + stream + "/" + std::to_string(shard); };
  for (std::size_t shard = 0; shard < request.from.size(); ++shard) {
    asked.from.push_back(request.from[shard].offset);
    asked.settled.push_back(settled_[fact(shard)]);
  }
  const std::vector<std::uint64_t> from = asked.from;
  const std::size_t before = replays_.count();
  replays_.add(client, std::move(asked));
  trace("replay", request.stage);
  if (has(Bug::kReplayCutShort)) request.from.back().offset = UINT64_MAX;  // and so no way back
  with_core([&] {
    if (!broker_->core->replay(client, request, now_)) replays_.refused(client);
  });
  if (replays_.count() == before) return;
  outcome_.replays_with_reset += request.reset ? 1 : 0;
  for (std::size_t shard = 0; shard < from.size(); ++shard) {
    std::uint64_t& known = settled_[fact(shard)];
    known = std::min(known, from[shard]);
  }
  for (const auto& [pid, worker] : workers_) {
    if (worker->stage() == request.stage) worker->forget_facts();
  }
  // The most interesting moment for a crash.
  if (plan_.kills && now_ < plan_.calm_from && wishes_() % 4 == 0) disk_.crash_after(1 + wishes_() % 8);
}

}  // namespace weir::simulation
