// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/ids.h"
#include "sdk/topology/topology.h"
#include "sdk/wire/messages.h"

namespace weir::wire {

/// Starts what workers say to each other past the broker (WIRE.md, "From worker to worker"); kRecords and kRecordsLast
/// have the records behind them. A link is one stream from one incarnation to one other.
struct DirectHeader {
  MessageType type{};
  std::uint16_t version = kWireVersion;
  std::uint32_t stream = 0;
  Incarnation::number_type from = 0;  ///< whose message it is
  Incarnation::number_type to = 0;
  /// kRecords: records sent on the link before these; kRecordsLast counts for none. kRecordsCredit: bytes that may be
  /// sent on it in all. kRecordsDone: records of the link that are processed and committed.
  std::uint64_t number = 0;
  std::uint64_t offset = 0;       ///< kRecords: of the first, among all that the producer sends to the stream
  std::int64_t origin_us = 0;     ///< as in BatchHeader
  std::uint32_t count = 0;        ///< records
  std::uint32_t compression = 0;  ///< as in BatchHeader
};
static_assert(sizeof(DirectHeader) == 56);

Bytes direct_message(const DirectHeader& header, BytesView records = {});
/// Nothing where `message` is none of these, or of another version.
std::optional<DirectHeader> decode_direct(BytesView message);
/// Who reads each `pub_sub` stream that a worker with these peers writes, as both it and the broker see it.
using Readers = std::map<std::uint32_t, std::vector<Incarnation>>;
Readers readers_among(const std::vector<Peer>& peers, const Topology& topology);

inline BytesView records_of(BytesView message) { return message.subspan(sizeof(DirectHeader)); }

}  // namespace weir::wire
