// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/changes.h"

namespace weir::wire {
namespace {

constexpr std::size_t kChangeHeaderBytes = 12;

}  // namespace

void append_change(Bytes& changes, const Change& change) {
  // In one step: this is done for every change of state.
  const BytesView value = change.value.value_or(BytesView());
  const std::size_t at = changes.size();
  changes.resize(at + kChangeHeaderBytes + change.name.size() + change.key.size() + value.size());
  std::byte* to = changes.data() + at;
  const auto put = [&to](const void* from, std::size_t size) {
    if (size != 0) std::memcpy(to, from, size);
    to += size;
  };
  const auto flag = static_cast<std::uint8_t>(change.value.has_value());
  const auto name_size = static_cast<std::uint16_t>(change.name.size());
  const auto key_size = static_cast<std::uint32_t>(change.key.size());
  const auto value_size = static_cast<std::uint32_t>(value.size());
  put(&change.space, sizeof(change.space));
  put(&flag, sizeof(flag));
  put(&name_size, sizeof(name_size));
  put(&key_size, sizeof(key_size));
  put(&value_size, sizeof(value_size));
  put(change.name.data(), change.name.size());
  put(change.key.data(), change.key.size());
  put(value.data(), value.size());
}

std::optional<Change> ChangesReader::next() {
  if (!ok_ || reader_.at_end()) return std::nullopt;
  Change change;
  change.space = reader_.get<Space>();
  const auto put = reader_.get<std::uint8_t>();
  const auto name_size = reader_.get<std::uint16_t>();
  const auto key_size = reader_.get<std::uint32_t>();
  const auto value_size = reader_.get<std::uint32_t>();
  change.name = reader_.raw(name_size);
  change.key = reader_.raw(key_size);
  const BytesView value = reader_.raw(value_size);
  if (put != 0) change.value = value;
  if (!reader_.ok() || put > 1 || change.space > Space::kParked || (put == 0 && value_size != 0)) {
    ok_ = false;
    return std::nullopt;
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
