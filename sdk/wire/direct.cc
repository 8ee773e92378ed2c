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
  const bool known = header.type >= MessageType::kRecords && header.type <= MessageType::kRecordsLast;
  if (!known || header.version != kWireVersion) return std::nullopt;
  return header;
}

Readers readers_among(const std::vector<Peer>& peers, const Topology& topology) {
  Readers readers;
  for (const Peer& peer : peers) {
    for (const std::uint32_t stream : peer.to) {
      if (stream < topology.streams.size() && topology.streams[stream].transport == Transport::kPubSub)
        readers[stream].push_back(peer.incarnation);
    }
  }
  return readers;
}

}  // namespace weir::wire
