// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/changes.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>

namespace weir::wire {
namespace {

struct ChangeHeader {
  Space space = Space::kState;
  std::uint8_t put = 0;
  std::uint16_t name_size = 0;
  std::uint32_t key_size = 0;
  std::uint32_t value_size = 0;
};
static_assert(sizeof(ChangeHeader) == 12);

ChangeHeader header_at(const std::byte* change) {
  ChangeHeader header;
  std::memcpy(&header, change, sizeof(header));
  return header;
}

/// Name and key lie one behind the other.
std::size_t entry_bytes(const ChangeHeader& header) { return std::size_t{header.name_size} + header.key_size; }

// Makes it in its place, as do the functions of ChangesReader: a copy of what was just written, in pieces of another
// size, has to wait for the writes, which takes longer than all else here.
void take(const ChangeHeader& header, const std::byte* at, Change& change) {
  at += sizeof(header);
  change.space = header.space;
  change.name = {at, header.name_size};
  change.key = {at += header.name_size, header.key_size};
  if (header.put != 0) change.value.emplace(at + header.key_size, header.value_size);
}

}  // namespace

bool of_same_entry(const std::byte* a, const std::byte* b) {
  const ChangeHeader left = header_at(a);
  const ChangeHeader right = header_at(b);
  return left.space == right.space && left.name_size == right.name_size && left.key_size == right.key_size &&
         std::memcmp(a + sizeof(left), b + sizeof(right), entry_bytes(left)) == 0;
}

std::uint64_t hash_of_entry(const std::byte* change) {
  const ChangeHeader header = header_at(change);
  return XXH3_64bits_withSeed(change + sizeof(header), entry_bytes(header), static_cast<std::uint64_t>(header.space));
}

Change decoded_change(const std::byte* encoded) {
  Change change;
  take(header_at(encoded), encoded, change);
  return change;
}

void append_change(Bytes& changes, const Change& change) {
  // In one step: this is done for every change of state.
  const BytesView value = change.value.value_or(BytesView());
  const ChangeHeader header{change.space, static_cast<std::uint8_t>(change.value.has_value()),
                            static_cast<std::uint16_t>(change.name.size()),
                            static_cast<std::uint32_t>(change.key.size()), static_cast<std::uint32_t>(value.size())};
  const std::size_t at = changes.size();
  changes.resize(at + sizeof(header) + change.name.size() + change.key.size() + value.size());
  std::byte* to = changes.data() + at;
  const auto put = [&to](const void* from, std::size_t size) {
    if (size != 0) std::memcpy(to, from, size);
    to += size;
  };
  put(&header, sizeof(header));
  put(change.name.data(), change.name.size());
  put(change.key.data(), change.key.size());
  put(value.data(), value.size());
}

struct ChangesReader::Found {
  ChangeHeader header;
  std::size_t at = 0;  ///< where the header begins
};

bool ChangesReader::find(Found& found) {
  if (!ok_ || at_ == changes_.size()) return false;
  const std::size_t left = changes_.size() - at_;
  ChangeHeader& header = found.header;
  ok_ = left >= sizeof(header);
  if (!ok_) return false;
  std::memcpy(&header, changes_.data() + at_, sizeof(header));
  const std::uint64_t size = sizeof(header) + std::uint64_t{header.name_size} + header.key_size + header.value_size;
  ok_ =
      size <= left && header.put <= 1 && header.space <= Space::kParked && (header.put == 1 || header.value_size == 0);
  if (!ok_) return false;
  found.at = at_;
  at_ += size;
  return true;
}

std::optional<Change> ChangesReader::next() {
  std::optional<Change> change;
  Found found;
  if (find(found)) take(found.header, changes_.data() + found.at, change.emplace());
  return change;
}

std::optional<Change> ChangesReader::next_beside_state() {
  std::optional<Change> change;
  Found found;
  while (find(found)) {
    if (found.header.space == Space::kState) {
      passed_state_ = true;
      continue;
    }
    take(found.header, changes_.data() + found.at, change.emplace());
    break;
  }
  return change;
}

Bytes dead_letter_key(const DeadLetter& letter) {
  Bytes key;
  key.reserve(letter.stream.size() + 24);
  ByteWriter writer(key);
  writer.raw(as_bytes(letter.stream));
  writer.put(std::uint8_t{0});
  writer.put(__builtin_bswap32(letter.shard.value()));
  writer.put(__builtin_bswap64(letter.offset.value()));
  return key;
}

Bytes requeued_key(std::uint64_t number) {
  Bytes key;
  ByteWriter(key).put(__builtin_bswap64(number));
  return key;
}

std::optional<std::uint64_t> requeued_number(BytesView key) {
  if (key.size() != sizeof(std::uint64_t)) return std::nullopt;
  return __builtin_bswap64(ByteReader(key).get<std::uint64_t>());
}

Bytes encode(const ParkedName& name) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(__builtin_bswap64(name.turn));
  writer.put(__builtin_bswap32(name.bytes));
  return bytes;
}

std::optional<ParkedName> decode_parked_name(BytesView name) {
  if (name.size() != sizeof(std::uint64_t) + sizeof(std::uint32_t)) return std::nullopt;
  ByteReader reader(name);
  ParkedName parked;
  parked.turn = __builtin_bswap64(reader.get<std::uint64_t>());
  parked.bytes = __builtin_bswap32(reader.get<std::uint32_t>());
  return parked;
}

Bytes encode(const DeadLetter& letter) {
  Bytes bytes;
  bytes.reserve(64 + letter.stream.size() + letter.reason.size() + letter.key_bytes.size() + letter.value_bytes.size() +
                letter.headers.size());
  ByteWriter writer(bytes);
  writer.text(letter.stream);
  writer.put(letter.shard.value());
  writer.put(letter.offset.value());
  writer.put(letter.attempts);
  writer.text(letter.reason);
  writer.put(letter.timestamp);
  writer.blob(letter.key_bytes);
  writer.blob(letter.value_bytes);
  writer.blob(letter.headers);
  return bytes;
}

std::optional<DeadLetter> decode_dead_letter(BytesView bytes) {
  ByteReader reader(bytes);
  DeadLetter letter;
  letter.stream = reader.text();
  letter.shard = Shard(reader.get<std::uint32_t>());
  letter.offset = Offset(reader.get<std::uint64_t>());
  letter.attempts = reader.get<std::uint32_t>();
  letter.reason = reader.text();
  letter.timestamp = reader.get<Timestamp>();
  letter.key_bytes = reader.blob();
  letter.value_bytes = reader.blob();
  letter.headers = reader.blob();
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return letter;
}

}  // namespace weir::wire
