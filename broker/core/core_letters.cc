// SPDX-License-Identifier: Apache-2.0
// Dead letters that a person drops, or puts in front of their stage again.
#include <fmt/format.h>

#include <algorithm>

#include "broker/core/core.h"
#include "sdk/wire/changes.h"
#include "sdk/wire/key.h"

namespace weir::core {

using wire::Refusal;

namespace {

constexpr std::size_t kSentencesMax = 20;  ///< more refusals than a person reads are only counted

}  // namespace

std::uint64_t Core::requeued_bytes_max() const { return topology_.broker.memory_bytes / 8; }

bool Core::moves_letters() const { return !letter_answers_.empty(); }

void Core::LettersMove::refuse(std::string sentence) {
  if (++refused <= kSentencesMax) sentences.push_back(std::move(sentence));
}

bool Core::lane_ended(const UnitState& unit, std::uint32_t index) const {
  const Lane& lane = unit.lanes[index];
  if (lane.finished || ledger_.loop_ended(unit.loop)) return true;
  if (unit.intake() == Intake::kSplits) return lane.split_ended;
  return std::all_of(lane.cursors.begin(), lane.cursors.end(), [&](const Cursor& cursor) {
    const StreamState& stream = ledger_.stream(unit.inputs()[cursor.input]);
    return stream.ended && cursor.offset == stream.next_offset(cursor.shard);
  });
}

std::optional<std::string> Core::why_not_again(const LetterFound& found) const {
  const UnitState& unit = ledger_.units()[ledger_.unit_of(found.stage)];
  const StageSpec& spec = topology_.stages[found.stage];
  const auto reads = [&](const PortBinding& port) {
    return !port.resting && topology_.streams[port.stream].name == found.stream;
  };
  if (spec.resting) {
    return fmt::format("{}: stage \"{}\" is not in the topology any more; drop it, or put the stage back", found.id,
                       spec.name);
  }
  if (!std::any_of(spec.inputs.begin(), spec.inputs.end(), reads)) {
    return fmt::format("{}: stage \"{}\" does not read \"{}\" any more; drop it", found.id, spec.name, found.stream);
  }
  if (unit.relocation) {
    return fmt::format("{}: boundaries of the input of stage \"{}\" are moving; try again in a moment", found.id,
                       spec.name);
  }
  // What is due to finish cannot take a record: `finish` may have given out a part of its results already.
  if (found.lane < unit.lanes.size() && !lane_ended(unit, found.lane)) return std::nullopt;
  return fmt::format(
      "{}: its shard has finished: the input has ended and is worked off, so nothing can be put in front "
      "of the stage any more; drop it, or start over with --fresh",
      found.id);
}

std::uint32_t Core::lane_of(const LetterFound& found) const {
  const UnitState& unit = ledger_.units()[ledger_.unit_of(found.stage)];
  if (unit.inputs().empty() || !topology_.streams[unit.inputs().front()].learns_boundaries) return found.lane;
  const auto letter = wire::decode_dead_letter(found.bytes);
  if (!letter) return found.lane;
  const auto shard = wire::shard_by_learned_range(letter->key_bytes, ledger_.stream(unit.inputs().front()).boundaries);
  return shard.ok() ? shard->value() : found.lane;
}

void Core::move_letters(const Client& client, LetterRequest request, Monotonic now) {
  now_ = now;
  std::uint64_t waiting = 0;
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    for (const auto& [number, letter] : ledger_.requeued(stage)) waiting += letter.letter.size();
  }
  if (request.again && !request.found.empty() && (low_on_space() || waiting >= requeued_bytes_max())) {
    return refuse(client, Refusal::kAgain,
                  low_on_space() ? "the disk is full: nothing is requeued until there is room"
                                 : "what was requeued before waits to be worked off: try again in a while");
  }
  LettersMove move;
  move.refused = request.sentences.size();
  move.sentences = std::move(request.sentences);
  move.durable = ledger_.next_sequence();
  move_kept_letters(request, move);
  move_parked(request, move);
  wire::MapWriter answer(request.again ? "letters_requeued" : "letters_dropped");
  answer.put("count", move.moved);
  answer.put("left", request.left);
  answer.put("refused", move.refused);
  answer.put("sentences", move.sentences);
  letter_answers_.push_back({client, move.durable, std::move(answer).finish()});
  settle_letters();
}

void Core::move_kept_letters(const LetterRequest& request, LettersMove& move) {
  const std::uint64_t entry_bytes_max = topology_.broker.transaction_bytes_max / 2;
  for (std::size_t at = 0; at < request.found.size();) {
    // One entry: letters of one stage, as many as fit.
    const std::uint32_t stage = request.found[at].stage;
    LettersMoved moved;
    std::map<std::uint32_t, Bytes> erased;
    std::uint64_t bytes = 0;
    for (; at < request.found.size() && request.found[at].stage == stage; ++at) {
      const LetterFound& found = request.found[at];
      if (!found.parked.empty()) continue;
      const std::uint64_t size = 2 * found.key.size() + found.bytes.size() + 64;
      if (bytes != 0 && bytes + size > entry_bytes_max) break;
      if (request.again) {
        LetterFound at_its_key = found;
        at_its_key.lane = lane_of(found);
        if (auto why_not = why_not_again(at_its_key)) {
          move.refuse(std::move(*why_not));
          continue;
        }
        moved.again.push_back({at_its_key.lane, found.key, found.bytes});
      }
      bytes += size;
      moved.bytes += found.kept_bytes;
      wire::append_change(erased[found.lane], {wire::Space::kDeadLetter, {}, found.key, std::nullopt});
      ++move.moved;
    }
    if (erased.empty()) continue;
    for (const auto& [lane, changes] : erased) moved.erased.push_back({lane, changes});
    // A person is told that it is done: on disk, whatever the streams ask for.
    move.durable = append({EntryType::kLetters, {}, stage, 0}, encode(moved), Durability::kFsync).plus(1);
  }
}

void Core::settle_letters() {
  // Written too: the next request reads the journal for what is left.
  while (!letter_answers_.empty() && letter_answers_.front().sequence <= std::min(settled_, written_)) {
    outside_.reply(letter_answers_.front().client, std::move(letter_answers_.front().answer));
    letter_answers_.pop_front();
  }
}

void Core::deliver_requeued(std::uint32_t index) {
  const UnitState& unit = ledger_.units()[index];
  UnitLeases& leases = leases_[index];
  std::set<std::uint32_t> held_back;  // lanes whose next one must wait, and with it those behind
  for (const std::uint32_t stage : unit.stages()) {
    for (const auto& [number, letter] : ledger_.requeued(stage)) {
      if (letter.sequence >= settled_) break;
      if (leases.requeued.contains(number) || held_back.contains(letter.lane)) continue;
      Worker* worker = nullptr;
      if (unit.intake() == Intake::kRanges) {
        worker = choose(index, letter.letter.size(), 1, Dispatch::kLeastLoaded);
      } else if (letter.lane < leases.lanes.size() && leases.lanes[letter.lane].state == LaneLease::State::kHeld) {
        worker = find_worker(leases.lanes[letter.lane].holder);
      }
      const bool takes = worker != nullptr && !set_apart(*worker) && worker->state == Worker::State::kReady &&
                         (unit.intake() == Intake::kSplits ||
                          (worker->capacity.first != 0 && worker->admits(letter.letter.size(), 1)));
      if (!takes) {
        held_back.insert(letter.lane);
        continue;
      }
      leases.requeued.emplace(number, RequeuedAt{worker->incarnation, letter.lane});
      worker->on_sent(letter.letter.size(), 1, now_);
      const auto killer = leases.requeued_suspects.find(number);
      if (killer != leases.requeued_suspects.end() && killer->second.deaths > topology_.stages[stage].retries)
        condemn(*worker, {0, 0, killer->second.offset, number, 0, {}}, killer->second.deaths, killer->second.cause);
      send(*worker, wire::MessageType::kRequeued,
           wire::encode_requeued({number, stage, letter.lane, letter.what, letter.key, letter.letter}));
    }
  }
}

std::optional<std::string> Core::judge_requeued(const Worker& worker, const wire::ChangesOf& changes,
                                                std::set<std::uint64_t>& worked_off) const {
  const auto& requeued = leases_[worker.unit].requeued;
  wire::ChangesReader reader(changes.bytes);
  while (const auto change = reader.next_beside_state()) {
    if (change->space == wire::Space::kParked && !wire::decode_parked_name(change->name))
      return "its state changes are malformed";
    if (change->space != wire::Space::kRequeued) continue;
    const auto number = wire::requeued_number(change->key);
    if (!number || change->value) return "its state changes are malformed";
    const auto at = requeued.find(*number);
    const bool here = at != requeued.end() && at->second.worker == worker.incarnation &&
                      at->second.lane == changes.shard && ledger_.requeued(changes.stage).contains(*number);
    if (!here || !worked_off.insert(*number).second) return "it works off a requeued record that is not its own";
  }
  if (!reader.ok()) return "its state changes are malformed";
  return std::nullopt;
}

void Core::forget_requeued(std::uint32_t unit) {
  const auto gone = [&](const auto& entry) {
    const auto& stages = ledger_.units()[unit].stages();
    return std::none_of(stages.begin(), stages.end(),
                        [&](std::uint32_t stage) { return ledger_.requeued(stage).contains(entry.first); });
  };
  std::erase_if(leases_[unit].requeued, gone);
  std::erase_if(leases_[unit].requeued_suspects, gone);
}

}  // namespace weir::core
