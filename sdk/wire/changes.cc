// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/changes.h"

namespace weir::wire {

void append_change(Bytes& changes, const Change& change) {
  ByteWriter writer(changes);
  writer.put(change.space);
  writer.put(static_cast<std::uint8_t>(change.value.has_value()));
  writer.put(static_cast<std::uint16_t>(change.name.size()));
  writer.put(static_cast<std::uint32_t>(change.key.size()));
  writer.put(static_cast<std::uint32_t>(change.value ? change.value->size() : 0));
  writer.raw(change.name);
  writer.raw(change.key);
  if (change.value) writer.raw(*change.value);
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
  if (!reader_.ok() || put > 1 || change.space > Space::kRequeued || (put == 0 && value_size != 0)) {
    ok_ = false;
    return std::nullopt;
  }
  return change;
}

Bytes dead_letter_key(const DeadLetter& letter) {
  Bytes key;
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

Bytes encode(const DeadLetter& letter) {
  Bytes bytes;
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
