// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/committed.h"

#include <algorithm>
#include <set>

#include "sdk/wire/batch.h"
#include "sdk/wire/frame.h"
#include "weir/partial.h"
#include "weir/value.h"

namespace weir::simulation {
namespace {

std::string at(std::uint64_t number) { return " (number " + std::to_string(number) + ")"; }

std::uint64_t number_in(BytesView bytes) { return bytes.empty() ? 0 : ValueView(bytes).as<std::uint64_t>(); }

constexpr std::uint64_t kBasis = 14695981039346656037ULL;

/// Never 0.
std::uint64_t hash_of(std::uint64_t hash, BytesView bytes) {
  for (const std::byte byte : bytes) hash = (hash ^ static_cast<std::uint64_t>(byte)) * 1099511628211ULL;
  return hash == 0 ? 1 : hash;
}

std::uint64_t name_of(std::uint32_t stage, const wire::Change& change) {
  const std::uint64_t named = hash_of(kBasis ^ stage, change.name);
  return hash_of((named ^ change.name.size()) * 1099511628211ULL, change.key);
}

}  // namespace

Committed::Committed(const Plan& plan, const Topology& topology)
    : plan_(plan),
      topology_(topology),
      emitted_(plan.numbers_all()),
      added_(plan.numbers_all()),
      totals_(plan.keys),
      letters_of_(plan.numbers_all()),
      dropped_(plan.numbers_all()) {}

std::string Committed::append(Sequence sequence, bool checkpoint, BytesView payload) {
  if (sequence.value() != next_) return "an entry is not next in line";
  positions_.clear();
  std::string wrong;
  if (!checkpoint) {
    const auto header = core::decode_header(payload);
    if (!header.ok()) return "an entry cannot be read: " + header.error().message;
    const BytesView body = payload.subspan(sizeof(core::EntryHeader));
    if (header->type == core::EntryType::kTransaction) wrong = transaction(*header, payload);
    if (header->type == core::EntryType::kPublish) wrong = publish(body);
    if (header->type == core::EntryType::kLetters) wrong = move_letters(header->unit, body);
    if (header->type == core::EntryType::kReplay) wrong = replay(header->unit, body);
    if (header->type == core::EntryType::kBoundaries) wrong = move_boundaries(body);
    if (header->type == core::EntryType::kRelocated) wrong = relocate(header->unit, body);
  }
  ++next_;
  return wrong;
}

std::string Committed::start(Sequence end) {
  if (end.value() < settled_)
    return "entries that were settled are lost (I2): " + std::to_string(settled_) + " became " +
           std::to_string(end.value());
  if (end.value() > next_) return "a start found more entries than were decided";
  while (!undo_.empty() && undo_.back().first >= end.value()) {
    undo_.back().second();
    undo_.pop_back();
  }
  while (!unsettled_.empty() && unsettled_.back().first >= end.value()) unsettled_.pop_back();
  next_ = end.value();
  settle(end);  // a start serves nobody before all that it has read is on disk
  return "";
}

void Committed::settle(Sequence end) {
  settled_ = std::max(settled_, end.value());
  while (!undo_.empty() && undo_.front().first < settled_) undo_.pop_front();
  for (; !unsettled_.empty() && unsettled_.front().first < settled_; unsettled_.pop_front())
    unsettled_.front().second();
}

std::uint64_t Committed::settled_end(std::uint32_t stream, std::uint32_t shard) const {
  const auto found = settled_ends_.find({stream, shard});
  return found == settled_ends_.end() ? 0 : found->second;
}

std::uint64_t Committed::settled_message(const std::string& producer) const {
  const auto found = settled_messages_.find(producer);
  return found == settled_messages_.end() ? 0 : found->second;
}

std::uint64_t Committed::settled_transaction(Incarnation::number_type incarnation) const {
  const auto found = settled_transactions_.find(incarnation);
  return found == settled_transactions_.end() ? 0 : found->second;
}

std::uint64_t Committed::position(std::uint32_t stage, std::uint32_t lane) const {
  const auto found = positions_known_.find({stage, lane});
  return found == positions_known_.end() ? 0 : found->second;
}

std::string Committed::transaction(const core::EntryHeader& header, BytesView payload) {
  const auto commit = wire::decode_commit(payload, sizeof(core::EntryHeader));
  if (!commit.ok()) return "a transaction cannot be read: " + commit.error().message;
  std::uint64_t& last = transactions_[header.incarnation];
  if (commit->transaction <= last) return "a transaction was accepted twice (I1)";
  touch(last) = commit->transaction;
  unsettled_.emplace_back(
      next_, [this, who = header.incarnation, number = commit->transaction] { settled_transactions_[who] = number; });
  Work work;
  work.unit = header.unit;
  ranges_ = commit->consumed;
  std::string wrong;
  for (const wire::Consumed& range : commit->consumed) {
    if (wrong = consume(range, work); !wrong.empty()) return wrong;
  }
  for (const wire::SplitMoved& moved : commit->splits) {
    if (wrong = move_split(moved, work); !wrong.empty()) return wrong;
  }
  for (const wire::FrameAt& frame : commit->frames) {
    if (wrong = emit(payload.subspan(frame.position, frame.size), work); !wrong.empty()) return wrong;
  }
  for (const wire::ChangesOf& changes : commit->changes) {
    if (wrong = change(changes, work); !wrong.empty()) return wrong;
  }
  const bool sinks =
      topology_.stages[std::min<std::size_t>(work.unit, topology_.stages.size() - 1)].kind == PluginKind::kSink;
  if (sinks && work.consumed.count != 0 && positions_.empty()) return "a sink has consumed and not said how far (I1)";
  for (const auto& [split, range] : work.moved) {
    if (!plan_.direct && work.emitted_by_split[split] != range.second - range.first)
      return "a split's position went on without its output (I1)";
  }
  if (is(work.unit, "pass") && !plan_.direct && work.consumed != work.emitted)
    return "a stage without keys has emitted other records than it has consumed (I1)";
  if (is(work.unit, "sum") && adds_at_once() && work.split != work.handed_over)
    return "the partial results are not of what was consumed of hot keys (I1)";
  if (is(work.unit, "sum") && adds_at_once() && work.consumed != work.added)
    return "the sum has added other records than it has consumed (I1)";
  return check_letters(work);
}

std::string Committed::consume(const wire::Consumed& range, Work& work) {
  const Stream& stream = topology_.streams[range.stream];
  if (is_direct(stream.transport)) return "";
  const auto& contents = contents_[{range.stream, range.shard}];
  if (range.from >= range.to || range.to > contents.size()) return "records are consumed that are not there (I1)";
  const GroupOf group{work.unit, range.stream, range.shard};
  // A sink that was added begins where what is kept does.
  const bool added = work.unit >= topology_.stages.size();
  const bool sinks = added || topology_.stages[work.unit].kind == PluginKind::kSink;
  const auto barrier = barriers_.find({range.stream, range.shard});
  if (is(work.unit, "sum") && barrier != barriers_.end() && range.to > barrier->second)
    return "records behind a move of boundaries are processed before state has followed it (I1)";
  if (sinks || topology_.stages[work.unit].keyed) {
    const auto [cursor, first] = cursors_.try_emplace(group, 0);
    if (cursor->second != range.from && !(added && (first || cursor->second < range.from)))
      return "what is consumed is not next in line (I1)";
    touch(cursor->second) = range.to;
  } else {
    std::vector<bool>& taken = taken_[group];
    if (taken.size() < range.to) taken.resize(std::max<std::size_t>(range.to, 2 * taken.size()));
    for (std::uint64_t offset = range.from; offset < range.to; ++offset) {
      if (taken[offset]) return "a record is consumed twice (I1)";
      taken[offset] = true;
    }
    undo_.emplace_back(next_, [&taken, range] {
      std::fill(taken.begin() + static_cast<std::ptrdiff_t>(range.from),
                taken.begin() + static_cast<std::ptrdiff_t>(range.to), false);
    });
  }
  work.consumed_by_lane[range.shard] += range.to - range.from;
  if (sinks) touch(sunk_) += range.to - range.from;
  for (std::uint64_t offset = range.from; offset < range.to; ++offset) {
    if (stream.hot_keys == HotKeys::kPartials) {
      for (const std::uint64_t number : partials_[{range.stream, range.shard}].at(offset)) work.consumed.add(number);
    } else {
      (stream.hot_keys == HotKeys::kShared ? work.split : work.consumed).add(contents[offset]);
    }
  }
  return "";
}

std::string Committed::move_split(const wire::SplitMoved& moved, Work& work) {
  std::uint64_t& known = splits_[moved.split];
  const std::uint64_t position = number_in(moved.position);
  if (position < known) return "a split's position went back (I1)";
  work.moved[moved.split] = {known, position};
  touch(accepted_) += position - known;
  touch(known) = position;
  return "";
}

std::string Committed::emit(BytesView bytes, Work& work) {
  const auto frame = wire::FrameView::parse(bytes);
  if (!frame.ok()) return "a frame cannot be read: " + frame.error().message;
  const std::uint32_t stream = frame->header().stream;
  std::size_t begin = frame->batches_start();
  for (std::uint32_t i = 0; i < frame->header().batches; ++i) {
    const wire::BatchHeader batch = frame->batch(i);
    auto& contents = contents_[{stream, batch.shard}];
    if (batch.offset != contents.size()) return "records are not next in line in their shard (I3)";
    undo_.emplace_back(next_, [&contents, size = contents.size()] { contents.resize(size); });
    const auto plain =
        decompressor_.records(batch.compression, bytes.subspan(begin, batch.bytes), wire::batch_bytes_max(topology_));
    begin += batch.bytes;
    if (!plain.ok()) return "a batch cannot be decompressed: " + plain.error().message;
    wire::BatchReader reader(*plain);
    while (const auto record = reader.next()) {
      if (topology_.streams[stream].hot_keys == HotKeys::kPartials) {
        contents.push_back(0);
        if (std::string wrong = hand_over({stream, batch.shard}, *record, work); !wrong.empty()) return wrong;
        continue;
      }
      const auto value = ValueView(record->value).as<std::vector<std::uint64_t>>();
      contents.push_back(value[0]);
      const auto key = ValueView(record->key).as<std::uint64_t>();
      if (topology_.streams[stream].learns_boundaries && shard_of(stream, key) != batch.shard)
        return "a record lies in another shard than its key's" + at(value[0]);
      std::string wrong = emit_record(stream, key, value, work);
      if (!wrong.empty()) return wrong;
    }
    if (contents.size() != batch.offset + batch.count) return "a batch has other records than it says";
    unsettled_.emplace_back(
        next_, [this, shard = ShardOf{stream, batch.shard}, end = contents.size()] { settled_ends_[shard] = end; });
  }
  return "";
}

std::string Committed::hand_over(const ShardOf& shard, const wire::RecordRef& record, Work& work) {
  const auto key = ValueView(record.key).as<std::uint64_t>();
  const RecordView view(record.key, record.value, record.headers, record.timestamp);
  const auto numbers = PartialView(view).state<std::vector<std::uint64_t>>();
  if (!numbers) return "a partial result is of no state";
  std::vector<std::uint64_t>& partial = partials_[shard].emplace_back();
  undo_.emplace_back(next_, [this, shard] { partials_[shard].pop_back(); });
  for (std::size_t i = 2 + plan_.splits + plan_.producers; i < numbers->size(); ++i) {
    if ((*numbers)[i] >= plan_.numbers_all() || (*numbers)[i] % plan_.keys != key)
      return "a number is in a partial result of another key" + at((*numbers)[i]);
    partial.push_back((*numbers)[i]);
    work.handed_over.add((*numbers)[i]);
  }
  return "";
}

std::string Committed::emit_record(std::uint32_t stream, std::uint64_t key, const std::vector<std::uint64_t>& value,
                                   Work& work) {
  const std::string& name = topology_.streams[stream].name;
  if (name == "sums") return add(key, value, work);
  const std::uint64_t number = value[0];
  if (number >= plan_.numbers_all() || key != number % plan_.keys || value[1] != plan_.origin_of(number))
    return "a record was emitted that nobody made (I1)" + at(number);
  work.emitted.add(number);
  if (topology_.stages[work.unit].kind == PluginKind::kSource && !work.outside) {
    const auto split = static_cast<std::uint32_t>(value[1]);
    const auto moved = work.moved.find(split);
    const std::uint64_t position = number / plan_.splits;
    if (moved == work.moved.end() || position < moved->second.first || position >= moved->second.second)
      return "a source has emitted what its position does not say (I1)" + at(number);
    ++work.emitted_by_split[split];
  }
  if (name == "raw") return "";
  const bool comes_again = number < plan_.numbers && (plan_.acknowledged || plan_.replayed == Replayed::kPass);
  if (++touch(emitted_[number]) > 1 && !comes_again) return "a number was emitted twice (I1)" + at(number);
  return "";
}

std::string Committed::add(std::uint64_t key, const std::vector<std::uint64_t>& value, Work& work) {
  if (key >= plan_.keys) return "a key came out that nobody has";
  Total& total = touch(totals_[key]);
  const std::string place = " (key " + std::to_string(key) + ", count " + std::to_string(value[0]) + ")";
  if (total.finished) return "a record came behind its key's total" + place;
  if (value[2] != 0) {
    total.finished = true;
    return total.count == value[0] && total.sum == value[1] ? "" : "a total is wrong" + place;
  }
  if (value[0] != total.count + 1 || value[1] < total.sum) return "a key's count leaps or goes back (I1)" + place;
  const std::uint64_t number = value[1] - total.sum;
  total.count = value[0];
  total.sum = value[1];
  if (number >= plan_.numbers_all() || number % plan_.keys != key)
    return "a number was added that nobody sent" + at(number);
  work.added.add(number);
  work.numbers.push_back(number);
  ++touch(added_[number]);
  if (value.size() <= 3) {
    if (added_[number] > emitted_[number]) return "a number was added more often than it was sent (I1)" + at(number);
    return "";
  }
  // It says which record it is.
  const std::string stream = value[3] != 0 ? "outside" : "numbers";
  const bool consumed = std::any_of(ranges_.begin(), ranges_.end(), [&](const wire::Consumed& range) {
    return topology_.streams[range.stream].name == stream && range.shard == value[4] && range.from <= value[5] &&
           value[5] < range.to && contents_[{range.stream, range.shard}][value[5]] == number;
  });
  return consumed ? "" : "a number was added that its transaction has not consumed (I1)" + at(number);
}

std::string Committed::change(const wire::ChangesOf& changes, Work& work) {
  std::vector<std::pair<std::uint64_t, BytesView>> totals;  // by key; each is put once in a transaction
  const bool added = changes.stage >= topology_.stages.size();
  auto& lane = state_[{changes.stage, changes.shard}];
  wire::ChangesReader reader(changes.bytes);
  while (const auto change = reader.next()) {
    if (change->space == wire::Space::kDeadLetter || change->space == wire::Space::kParked)
      letter(changes.stage, changes.shard, *change, work);
    if (change->space != wire::Space::kState && change->space != wire::Space::kPosition) continue;
    if (change->space == wire::Space::kState) {
      std::uint64_t& entry = lane[name_of(changes.stage, *change)];
      touch(entry) = change->value ? hash_of(kBasis, *change->value) : 0;
      if (change->value && !added) totals.emplace_back(number_in(change->key), *change->value);
      continue;
    }
    if (!change->value) continue;
    std::uint64_t& known = positions_known_[{changes.stage, changes.shard}];
    const std::uint64_t position = number_in(*change->value);
    const bool single = !added && topology_.stages[changes.stage].sharing == Sharing::kSingle;
    if (position != known + (single ? work.consumed.count : work.consumed_by_lane[changes.shard]))
      return "a sink's position is not what it has consumed (I1)";
    touch(known) = position;
    positions_.emplace_back(changes.stage, changes.shard, position);
  }
  const bool tally = is(changes.stage, "tally");
  for (const auto& [key, value] : totals) {
    const Total& total = totals_.at(key);
    const std::string wrong =
        tally ? "a tally's state is not its count" : "a key's state is not what was added to it (I4)";
    const auto state =
        tally ? std::vector{number_in(value), total.sum} : ValueView(value).as<std::vector<std::uint64_t>>();
    if (state[0] != total.count || state[1] != total.sum) return wrong + " (key " + std::to_string(key) + ")";
  }
  return "";
}

void Committed::letter(std::uint32_t stage, std::uint32_t lane, const wire::Change& change, Work& work) {
  const auto copy = [](BytesView bytes) { return Bytes(bytes.begin(), bytes.end()); };
  auto& known = touch(letters_[{stage, lane, change.space, copy(change.name), copy(change.key)}]);
  if (known) --touch(letters_of_[*known]);
  known.reset();
  if (!change.value) return;
  const auto letter = wire::decode_dead_letter(*change.value);
  if (!letter) return;
  const std::uint64_t number = ValueView(letter->value_bytes).as<std::vector<std::uint64_t>>().at(0);
  known = number;
  ++touch(letters_of_.at(number));
  work.failed.push_back(number);
}

std::string Committed::check_letters(const Work& work) const {
  if (plan_.sums_again()) return "";  // what failed comes again too, and fails again
  for (const std::uint64_t number : work.numbers) {
    if (letters_of_[number] != 0) return "a number was added and is a letter (I1)" + at(number);
    if (dropped_[number]) return "a letter was dropped, and its number was added" + at(number);
  }
  for (const std::uint64_t number : work.failed) {
    if (plan_.is_good(number) && !plan_.parks) return "a record that is good is a letter" + at(number);
    // Who takes a dead sender's place sends under numbers of its own.
    if (letters_of_[number] > 1 && !plan_.kills_on_the_way(number)) return "a record is two letters (I1)" + at(number);
    if (letters_of_[number] != 0 && added_[number] != 0) return "a number was added and is a letter (I1)" + at(number);
  }
  return "";
}

std::string Committed::move_letters(std::uint32_t stage, BytesView body) {
  const auto moved = core::decode_letters_moved(body);
  if (!moved.ok()) return "a wish about letters cannot be read: " + moved.error().message;
  for (const core::LettersMoved::Erased& erased : moved->erased) {
    wire::ChangesReader reader(erased.changes);
    while (const auto change = reader.next()) {
      const auto copy = [](BytesView bytes) { return Bytes(bytes.begin(), bytes.end()); };
      const auto known = letters_.find({stage, erased.lane, change->space, copy(change->name), copy(change->key)});
      if (known == letters_.end() || !known->second) return "a letter goes that is none";
      if (moved->again.empty()) {
        undo_.emplace_back(next_, [this, number = *known->second] { dropped_[number] = false; });
        dropped_[*known->second] = true;
      }
      Work work;
      letter(stage, erased.lane, *change, work);
    }
  }
  return "";
}

std::string Committed::publish(BytesView body) {
  const auto publish = core::decode_publish(body);
  if (!publish.ok()) return "what a producer has sent cannot be read: " + publish.error().message;
  if (publish->name.empty()) return "";
  std::uint64_t& last = messages_[publish->name];
  // It only ends the stream.
  if (publish->frame.empty() && publish->shared.empty() && publish->number == last) return "";
  if (publish->number != last + 1) return "a producer's message was accepted twice, or out of turn (I1)";
  touch(last) = publish->number;
  unsettled_.emplace_back(next_,
                          [this, name = publish->name, number = publish->number] { settled_messages_[name] = number; });
  Work work;
  work.outside = true;
  for (const BytesView frame : {publish->frame, publish->shared}) {
    if (frame.empty()) continue;
    if (std::string wrong = emit(frame, work); !wrong.empty()) return wrong;
  }
  touch(accepted_) += work.emitted.count;
  Heap expected;
  const auto producer = static_cast<std::uint32_t>(std::stoul(publish->name.substr(publish->name.find(' ') + 1)));
  for (std::uint64_t i = 0; i < Plan::kNumbersPerMessage; ++i)
    expected.add(plan_.number_of(producer, publish->number, i));
  return work.emitted == expected ? "" : "a producer's message holds other records than it was sent with (I1)";
}

std::string Committed::replay(std::uint32_t unit, BytesView body) {
  const auto replay = core::decode_replay(body);
  if (!replay.ok()) return "a replay cannot be read: " + replay.error().message;
  for (std::uint32_t shard = 0; shard < replay->from.size(); ++shard) {
    const std::uint64_t from = replay->from[shard].offset;
    const GroupOf group{unit, replay->stream, shard};
    if (const auto cursor = cursors_.find(group); cursor != cursors_.end()) {
      if (from > cursor->second) return "a replay goes forward";
      touch(cursor->second) = from;
    } else if (const auto found = taken_.find(group); found != taken_.end()) {
      std::vector<bool>& taken = found->second;
      const auto begin = taken.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(from, taken.size()));
      const bool back = std::find(taken.begin(), begin, false) == begin && begin != taken.end() && *begin;
      if (back) std::fill(touch(taken).begin() + (begin - taken.begin()), taken.end(), false);
    }
  }
  if (!replay->reset) return "";
  for (auto& [lane, entries] : state_) {
    if (topology_.stages[std::min<std::size_t>(lane.first, topology_.stages.size() - 1)].host != unit) continue;
    for (auto& [name, value] : entries) touch(value) = 0;
  }
  for (Total& total : totals_) {
    if (is(unit, "sum")) touch(total) = Total{};
  }
  return "";
}

std::uint64_t Committed::shard_of(std::uint32_t stream, std::uint64_t key) const {
  const auto found = boundaries_.find(stream);
  if (found == boundaries_.end()) return 0;
  return static_cast<std::uint64_t>(std::count_if(found->second.begin(), found->second.end(),
                                                  [&](std::uint64_t boundary) { return boundary <= key; }));
}

std::string Committed::move_boundaries(BytesView body) {
  const auto moved = core::decode_boundaries_moved(body);
  if (!moved.ok()) return "boundaries cannot be read: " + moved.error().message;
  std::vector<std::uint64_t> now;
  for (const Boundary& boundary : moved->boundaries) {
    const auto* number = std::get_if<std::uint64_t>(&boundary);
    if (number == nullptr || (!now.empty() && now.back() > *number)) return "boundaries are no keys, or fall";
    now.push_back(*number);
  }
  if (now.size() + 1 != topology_.streams[moved->stream].shards) return "there are other boundaries than shards";
  if (!barriers_.empty()) return "boundaries move before state has followed the last move (I1)";
  std::vector<std::uint64_t>& before = touch(boundaries_[moved->stream]);
  std::set<std::uint32_t> concerned;
  for (std::uint32_t i = 0; i < now.size(); ++i) {
    if (!before.empty() && before[i] == now[i]) continue;
    concerned.insert({i, i + 1});
  }
  if (!before.empty() && concerned.size() != 2) return "more than one boundary moves";
  auto& barriers = touch(barriers_);
  for (const std::uint32_t shard : concerned) {
    const auto contents = contents_.find({moved->stream, shard});
    barriers[{moved->stream, shard}] = contents == contents_.end() ? 0 : contents->second.size();
  }
  const bool empty = std::all_of(contents_.begin(), contents_.end(), [&](const auto& each) {
    return each.first.first != moved->stream || each.second.empty();
  });
  if (empty) barriers.clear();  // nothing waits for nothing
  before = std::move(now);
  ++boundary_moves_;
  return "";
}

std::string Committed::relocate(std::uint32_t unit, BytesView body) {
  const auto relocated = core::decode_relocated(body);
  if (!relocated.ok()) return "relocated state cannot be read: " + relocated.error().message;
  const auto whole = [&] {
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t> entries;
    for (const auto& [of, lane] : state_) {
      if (of.first >= topology_.stages.size() || topology_.stages[of.first].host != unit ||
          !barriers_.contains({0, of.second}))
        continue;
      for (const auto& [name, value] : lane)
        if (value != 0) entries[{of.first, name}] = value;
    }
    return entries;
  };
  const bool sums = is(unit, "sum");
  if (sums && !relocating_) touch(relocating_) = whole();
  for (const core::Relocated::Changes& changes : relocated->changes) {
    auto& lane = state_[{changes.stage, changes.lane}];
    wire::ChangesReader reader(changes.changes);
    while (const auto change = reader.next()) {
      const std::uint64_t key = number_in(change->key);
      if (change->value && shard_of(0, key) != changes.lane)
        return "state follows a key to where it does not lie (key " + std::to_string(key) + ")";
      touch(lane[name_of(changes.stage, *change)]) = change->value ? hash_of(kBasis, *change->value) : 0;
      ++state_moved_;
    }
  }
  if (relocated->step != core::Relocated::Step::kDone || !sums) return "";
  if (*relocating_ != whole()) return "state is another one behind its way to other shards (I1)";
  touch(relocating_).reset();
  touch(barriers_).clear();
  for (std::uint32_t stage = unit; stage < topology_.stages.size(); ++stage) {
    if (topology_.stages[stage].host != unit) continue;
    std::unordered_map<std::uint64_t, std::uint32_t> places;  // of each entry
    for (const auto& [of, entries] : state_) {
      if (of.first != stage) continue;
      for (const auto& [name, value] : entries) {
        if (value != 0 && !places.emplace(name, of.second).second) return "the state of a key is in two shards (I4)";
      }
    }
  }
  return "";
}

void Committed::fold(std::uint32_t stage, BytesView changes, Lane& into) {
  wire::ChangesReader reader(changes);
  while (const auto change = reader.next()) {
    if (change->space != wire::Space::kState) continue;
    into[name_of(stage, *change)] = change->value ? hash_of(kBasis, *change->value) : 0;
  }
}

std::string Committed::compare(std::uint32_t unit, std::uint32_t lane, const Lane& restored) const {
  std::size_t found = 0;
  std::size_t wanted = 0;
  bool same = true;
  for (const auto& [of, entries] : state_) {
    const std::uint32_t stage = of.first;
    const bool within = stage < topology_.stages.size() ? topology_.stages[stage].host == unit : stage == unit;
    if (!within || of.second != lane) continue;
    for (const auto& [name, value] : entries) {
      wanted += value != 0 ? 1 : 0;
      const auto given = restored.find(name);
      same = same && (given == restored.end() ? 0 : given->second) == value;
    }
  }
  for (const auto& [name, value] : restored) found += value != 0 ? 1 : 0;
  if (same && found == wanted) return "";
  return "the state that a lane is given back is not what was committed (I4): " + std::to_string(found) +
         " entries for " + std::to_string(wanted);
}

}  // namespace weir::simulation
