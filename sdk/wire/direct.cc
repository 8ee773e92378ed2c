// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/direct.h"

namespace weir::wire {

Bytes direct_message(const DirectHeader& header, BytesView records) {
  Bytes bytes;
  bytes.reserve(sizeof(header) + records.size());
  ByteWriter writer(bytes);
  writer.raw(std::as_bytes(std::span(&header, 1)));
  writer.raw(records);
  return bytes;
}

std::optional<DirectHeader> decode_direct(BytesView message) {
  DirectHeader header;
  if (message.size() < sizeof(header)) return std::nullopt;
  std::memcpy(&header, message.data(), sizeof(header));
  const bool known = header.type >= MessageType::kRecords && header.type <= MessageType::kRecordsDone;
  if (!known || header.version != kWireVersion) return std::nullopt;
  return header;
}

}  // namespace weir::wire
