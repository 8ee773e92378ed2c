// SPDX-License-Identifier: Apache-2.0
// Records of parked keys: those that come follow the one that failed, and a wish has them worked off in turn.
#include <utility>

#include "sdk/base/log.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/changes.h"
#include "stages/host/chain.h"

namespace weir::host {
namespace {

BytesView records_of(const weir_batch& batch) {
  return {reinterpret_cast<const std::byte*>(batch.records.data), batch.records.size};
}

}  // namespace

/// The batch is cut into runs between records of parked keys, which follow their key. A run is cut again where one of
/// its records has been parked, since later ones may be of its key.
Status Chain::work_around_parked(const Work& item, std::uint32_t first, std::uint32_t& done) {
  Instance& instance = *item.instance;
  ParkedKeys& keys = instance.parked();
  const BytesView records = records_of(item.batch);
  std::size_t start = 0;  // where record `done` begins
  const auto skip = [&](std::uint32_t count) {
    wire::BatchReader reader(records.subspan(start));
    for (std::uint32_t i = 0; i < count; ++i) reader.next();
    start += reader.position();
  };
  skip(first);
  done = first;
  std::uint32_t followed = 0;
  while (done < item.batch.count) {
    const std::uint32_t left = item.batch.count - done;
    std::uint32_t run = left;
    std::size_t size = records.size() - start;
    std::optional<wire::RecordRef> parked;
    if (keys.any(item.lane)) {
      wire::BatchReader reader(records.subspan(start));
      for (run = 0; run < left; ++run) {
        size = reader.position();
        const auto record = reader.next();
        if (!record) return {Code::kCorrupt, "a batch holds fewer records than its directory says"};
        if (keys.find(item.lane, record->key) != nullptr) {
          parked = record;
          break;
        }
        size = reader.position();
      }
    }
    if (run != 0) {
      Work part = item;
      part.batch.count = run;
      part.batch.offset += done;
      part.batch.records = {item.batch.records.data + start, size};
      if (part.origins != nullptr) part.origins += done;
      if (!item.requeued && item.origins == nullptr) at_work_.come_from(part.batch.offset);
      std::uint32_t part_done = 0;
      if (Status status = work_run(part, 0, part_done); !status.ok()) return status;
      done += part_done;
      if (part_done < run) {
        skip(part_done);
      } else {
        start += size;
      }
      if (&instance == instances_.front().get() && full()) break;
      if (part_done < run) continue;
    }
    if (parked) {
      follow(item, done, *parked);
      ++followed;
      ++done;
      skip(1);
    }
  }
  if (followed == 0) return {};
  transaction_.count(instance.stage(), false, "parked", followed);
  // A requeued record was counted when it came the first time.
  if (!item.requeued) transaction_.counted(instance.stage()).records_in += followed;
  return {};
}

void Chain::follow(const Work& item, std::uint32_t record, const wire::RecordRef& parked) {
  Instance& instance = *item.instance;
  wire::DeadLetter letter = letter_of(item, record, parked);
  letter.attempts = item.requeued ? again_->attempts : 0;
  letter.reason = "its key is parked";
  const std::uint64_t before = instance.parked().bytes();
  instance.parked().park(item.lane, place_of(item, letter), letter, transaction_.changes(instance.stage(), item.lane));
  instance.add_bytes(instance.parked().bytes() - before);
}

void Chain::park(const Work& item, const wire::DeadLetter& letter) {
  Instance& instance = *item.instance;
  Bytes& changes = transaction_.changes(instance.stage(), item.lane);
  parked_ = true;
  if (item.turn != 0) {
    instance.parked().replace(item.lane, item.turn, letter, changes);
  } else {
    instance.parked().park(item.lane, place_of(item, letter), letter, changes);
    ++transaction_.counted(instance.stage()).dead_letters;
  }
  instance.add_bytes(wire::encode(letter).size());
  log::warning("parked: {} of \"{}\", shard {}, offset {}, and with it later records of its key: {}",
               instance.spec().name, letter.stream, letter.shard.value(), letter.offset.value(), letter.reason);
}

Status Chain::work_off_parked(const wire::Requeued& requeued, const wire::Condemned* condemned, bool& more) {
  more = false;
  Instance* instance = find(requeued.stage);
  if (instance == nullptr) return {Code::kInvalid, "the broker asks about a parked key of a stage that is not here"};
  ParkedKeys& keys = instance->parked();
  const ParkedKeys::Records* records = keys.find(requeued.shard, requeued.key);
  if (records == nullptr) {
    close_requeued(requeued);
    return {};
  }
  const auto [turn, kept] = *records->begin();  // a copy: it may go while it is worked on
  const auto letter = wire::decode_dead_letter(kept.letter);
  if (!letter) return {Code::kInvalid, "a parked record is malformed"};
  wire::Requeued as_letter = requeued;
  as_letter.key = kept.place;
  Bytes record;
  auto item = this->requeued(as_letter, *letter, record);
  if (!item.ok()) return item.error();
  item->turn = turn;
  parked_ = false;
  const auto at_work = at_work_.requeued(requeued.number, turn);
  if (condemned != nullptr && condemned->offset == turn) {
    transaction_.count(requeued.stage, false, "death", 1);
    if (Status status = lose(*item, 0, {condemned->reason, "death", condemned->attempts}); !status.ok()) return status;
  } else {
    std::uint32_t done = 0;
    if (Status status = work_run(*item, 0, done); !status.ok()) return status;
    count_input(record.size());
  }
  again_.reset();
  if (std::exchange(parked_, false)) {
    close_requeued(requeued);
    return {};
  }
  if (letter->timestamp <= instance->context()->watermark) ++transaction_.counted(requeued.stage).late;
  keys.erase(requeued.shard, requeued.key, turn, transaction_.changes(requeued.stage, requeued.shard));
  more = keys.find(requeued.shard, requeued.key) != nullptr;
  if (!more) close_requeued(requeued);
  return {};
}

Status Chain::drop_parked(const wire::Requeued& requeued) {
  Instance* instance = find(requeued.stage);
  if (instance == nullptr) return {Code::kInvalid, "the broker asks about a parked key of a stage that is not here"};
  Bytes& changes = transaction_.changes(requeued.stage, requeued.shard);
  const std::size_t name_bytes = wire::encode(wire::ParkedName()).size();
  for (BytesView names = requeued.letter; !names.empty(); names = names.subspan(name_bytes)) {
    const auto name = wire::decode_parked_name(names.first(std::min(name_bytes, names.size())));
    if (!name) return {Code::kInvalid, "the broker names a parked record that has no name"};
    instance->parked().erase(requeued.shard, requeued.key, name->turn, changes);
  }
  close_requeued(requeued);
  return {};
}

}  // namespace weir::host
