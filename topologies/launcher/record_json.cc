// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/record_json.h"

#include <fmt/format.h>

#include "weir/json.h"
#include "weir/json_reader.h"

namespace weir::launcher {
namespace {

/// Walks over one value and views its bytes.
bool take_value(TokenReader& reader, std::string_view& bytes) {
  const std::byte* const start = reader.position();
  if (!reader.skip()) return false;
  bytes = {reinterpret_cast<const char*>(start), static_cast<std::size_t>(reader.position() - start)};
  return true;
}

bool append_fields(BytesView key, BytesView value, Timestamp timestamp, BytesView headers, std::string& out) {
  JsonWriter writer(out);
  out += "{\"key\":";
  if (!writer.value(key)) return false;
  out += ",\"value\":";
  if (!writer.value(value)) return false;
  out += ",\"timestamp\":";
  writer.integer(timestamp);
  if (headers.empty()) return true;
  out += ",\"headers\":";
  return writer.value(headers);
}

bool append_record(TokenReader& reader, std::string& out) {
  Token token;
  std::string_view key;
  std::string_view value;
  std::string_view headers;
  if (!reader.next(token) || token.kind != Token::Kind::kArray || token.count != 4 || !take_value(reader, key) ||
      !take_value(reader, value) || !reader.next(token) || !token.is_integer() || !token.fits_signed() ||
      !take_value(reader, headers)) {
    return false;
  }
  const BytesView shown = headers == "\xc0" ? BytesView() : as_bytes(headers);
  if (!append_fields(as_bytes(key), as_bytes(value), token.as_signed(), shown, out)) return false;
  out += "}\n";
  return true;
}

}  // namespace

bool read_tail_answer(BytesView answer, std::string_view& records, std::string& positions, std::uint64_t& missed) {
  TokenReader reader(answer);
  Token token;
  if (!reader.next(token) || token.kind != Token::Kind::kMap) return false;
  for (std::uint32_t pairs = token.count; pairs > 0; --pairs) {
    Token name;
    std::string_view value;
    if (!reader.next(name) || name.kind != Token::Kind::kText || !take_value(reader, value)) return false;
    if (name.text == "records") records = value;
    if (name.text == "positions") positions = value;
    if (name.text == "missed" && TokenReader(as_bytes(value)).next(token)) missed = token.natural;
  }
  return !records.empty() && !positions.empty();
}

Result<std::uint64_t> append_records(std::string_view records, std::uint64_t count_max, std::string& out) {
  TokenReader reader(as_bytes(records));
  Token token;
  if (!reader.next(token) || token.kind != Token::Kind::kArray) return {Code::kInvalid, "the records are no list"};
  const std::uint64_t count = std::min<std::uint64_t>(token.count, count_max);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!append_record(reader, out)) return {Code::kInvalid, "a record of the answer cannot be read"};
  }
  return count;
}

void append_record(const RecordView& record, bool position, std::string& out) {
  append_fields(record.key_bytes(), record.value_bytes(), record.timestamp(), record.headers_bytes(), out);
  if (position) out += fmt::format(",\"shard\":{},\"offset\":{}", record.shard(), record.offset());
  out += "}\n";
}

Result<JsonRecord> parse_record(std::string_view line) {
  JsonReader json(JsonReader::Binary::kDecode);
  std::string packed;
  if (!json.read(line, packed)) return {Code::kInvalid, json.error()};
  TokenReader reader(as_bytes(packed));
  Token token;
  if (!reader.next(token) || token.kind != Token::Kind::kMap)
    return {Code::kInvalid, R"(a record is an object like {"key": "a", "value": 1})"};
  JsonRecord record;
  record.key = "\xc0";
  for (std::uint32_t pairs = token.count; pairs > 0; --pairs) {
    Token name;
    std::string_view value;
    if (!reader.next(name) || !take_value(reader, value)) return {Code::kInvalid, "no record"};
    if (name.text == "key") {
      record.key = value;
    } else if (name.text == "value") {
      record.value = value;
    } else if (name.text == "timestamp") {
      if (value == "\xc0") continue;
      if (!TokenReader(as_bytes(value)).next(token) || !token.is_integer() || !token.fits_signed())
        return {Code::kInvalid, "\"timestamp\" must be an integer, microseconds since 1970"};
      record.timestamp = token.as_signed();
    } else if (name.text == "headers") {
      if (value == "\xc0") continue;
      if (!TokenReader(as_bytes(value)).next(token) || token.kind != Token::Kind::kMap)
        return {Code::kInvalid, "\"headers\" must be an object"};
      record.headers = value;
    } else {
      return {Code::kInvalid,
              fmt::format("a record has no field \"{}\" (only key, value, timestamp, headers)", name.text)};
    }
  }
  if (record.value.empty()) return {Code::kInvalid, "a record needs a \"value\""};
  return record;
}

}  // namespace weir::launcher
