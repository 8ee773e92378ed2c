// SPDX-License-Identifier: Apache-2.0
#include "stages/host/parked_keys.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "sdk/wire/key.h"

namespace weir::host {
namespace {

constexpr std::uint32_t kBytesOfNext = 64;  ///< a parked record takes so much beside what it holds

/// `key` as it is compared: in canonical form, where it has one. What is returned may lie in `room`.
std::string_view compared(BytesView key, Bytes& room) {
  if (!wire::is_plainly_canonical(key) && wire::canonical_key(key, room).ok()) return as_text(room);
  return as_text(key);
}

void put(Bytes& changes, std::uint64_t turn, const ParkedKeys::Record& record) {
  const Bytes name = wire::encode(wire::ParkedName{turn, record.bytes});
  wire::append_change(changes, {wire::Space::kParked, name, record.place, BytesView(record.letter)});
}

void put_erase(Bytes& changes, std::uint64_t turn, const ParkedKeys::Record& record) {
  const Bytes name = wire::encode(wire::ParkedName{turn, record.bytes});
  wire::append_change(changes, {wire::Space::kParked, name, record.place, std::nullopt});
}

}  // namespace

std::size_t ParkedKeys::Hash::operator()(std::string_view key) const { return XXH3_64bits(key.data(), key.size()); }

const ParkedKeys::Records* ParkedKeys::find(std::uint32_t lane, BytesView key) const {
  const auto at = lanes_.find(lane);
  if (at == lanes_.end()) return nullptr;
  Bytes room;
  const std::string_view wanted = compared(key, room);
  if (!at->second.seen->test(Hash()(wanted) % kSeen)) return nullptr;
  const auto records = at->second.keys.find(wanted);
  return records == at->second.keys.end() ? nullptr : &records->second;
}

void ParkedKeys::add(std::uint32_t index, BytesView key, std::uint64_t turn, Record record) {
  Lane& lane = lanes_[index];
  Bytes room;
  bytes_ += record.bytes;
  const std::string_view known = compared(key, room);
  lane.seen->set(Hash()(known) % kSeen);
  lane.keys[std::string(known)].insert_or_assign(turn, std::move(record));
  lane.next = std::max(lane.next, turn + 1);
}

void ParkedKeys::park(std::uint32_t lane, Bytes place, const wire::DeadLetter& letter, Bytes& changes) {
  Record record;
  record.bytes = static_cast<std::uint32_t>(letter.key_bytes.size() + letter.value_bytes.size() +
                                            letter.headers.size() + place.size()) +
                 kBytesOfNext;
  record.place = std::move(place);
  record.letter = wire::encode(letter);
  const std::uint64_t turn = lanes_[lane].next;
  put(changes, turn, record);
  add(lane, letter.key_bytes, turn, std::move(record));
}

void ParkedKeys::replace(std::uint32_t index, std::uint64_t turn, const wire::DeadLetter& letter, Bytes& changes) {
  Bytes room;
  Record& record = lanes_[index].keys.find(compared(letter.key_bytes, room))->second.find(turn)->second;
  // Erased first: what it takes is given back and taken again.
  put_erase(changes, turn, record);
  record.letter = wire::encode(letter);
  put(changes, turn, record);
}

void ParkedKeys::erase(std::uint32_t index, BytesView key, std::uint64_t turn, Bytes& changes) {
  const auto lane = lanes_.find(index);
  if (lane == lanes_.end()) return;
  Bytes room;
  const auto records = lane->second.keys.find(compared(key, room));
  if (records == lane->second.keys.end()) return;
  const auto record = records->second.find(turn);
  if (record == records->second.end()) return;
  put_erase(changes, turn, record->second);
  bytes_ -= record->second.bytes;
  records->second.erase(record);
  if (records->second.empty()) lane->second.keys.erase(records);
  // Turns may begin anew then: nothing is left that they could be mixed up with.
  if (lane->second.keys.empty()) lanes_.erase(lane);
}

Status ParkedKeys::load(std::uint32_t lane, const wire::Change& change) {
  const auto name = wire::decode_parked_name(change.name);
  const auto letter = change.value ? wire::decode_dead_letter(*change.value) : std::nullopt;
  if (!name || !letter) return {Code::kInvalid, "a malformed parked record from the broker"};
  add(lane, letter->key_bytes, name->turn,
      {name->bytes, Bytes(change.key.begin(), change.key.end()), Bytes(change.value->begin(), change.value->end())});
  return {};
}

void ParkedKeys::drop(std::uint32_t index) {
  const auto lane = lanes_.find(index);
  if (lane == lanes_.end()) return;
  for (const auto& [key, records] : lane->second.keys) {
    for (const auto& [turn, record] : records) bytes_ -= record.bytes;
  }
  lanes_.erase(lane);
}

}  // namespace weir::host
