// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sdk/base/bytes.h"
#include "sdk/base/ids.h"
#include "sdk/base/result.h"
#include "weir/record.h"

namespace weir::launcher {

/// Takes the broker's answer to "tail" apart: `records` (one MessagePack array, borrowed from `answer`), `positions`
/// (MessagePack, to be sent back) and how many were missed. False where it is no such answer.
bool read_tail_answer(BytesView answer, std::string_view& records, std::string& positions, std::uint64_t& missed);

/// Appends the records of a MessagePack array of [key, value, timestamp, headers], at most `count_max`, one JSON object
/// a line, as `file.write` prints them and with "headers" where a record has some. Returns their number. Errors:
/// kInvalid.
Result<std::uint64_t> append_records(std::string_view records, std::uint64_t count_max, std::string& out);

/// Appends one record in the same form, with "shard" and "offset" at its end where `position`.
void append_record(const RecordView& record, bool position, std::string& out);

/// A record as it was written in JSON: {"key", "value", "timestamp", "headers"}, of which only "value" is required.
struct JsonRecord {
  std::string key;  ///< MessagePack, as are value and headers
  std::string value;
  std::string headers;  ///< "" for none
  std::optional<Timestamp> timestamp;
};
/// Errors: kInvalid, with what is wrong.
Result<JsonRecord> parse_record(std::string_view line);

}  // namespace weir::launcher
