// SPDX-License-Identifier: Apache-2.0
#include "broker/server/letters_json.h"

#include <fmt/format.h>

#include "broker/core/letter_id.h"
#include "weir/json.h"

namespace weir::server {

Result<std::string> letters_json(JournalReader& reader, const std::vector<core::RestoreJob::Part>& parts,
                                 const Topology& topology) {
  std::string json = "[";
  JsonWriter writer(json);
  const auto value = [&](const char* name, BytesView packed) {
    json += fmt::format(",\"{}\":", name);
    if (!writer.value(packed)) json += "null";
  };
  const Status status = reader.dead_letters(parts, [&](const JournalReader::Letter& found) {
    const wire::DeadLetter& letter = found.letter;
    const std::string& stage = topology.stages[found.stage].name;
    json += json.size() == 1 ? "\n" : ",\n";
    json += "{\"id\":";
    writer.text(core::letter_id(stage, letter, found.key));
    json += ",\"stage\":";
    writer.text(stage);
    json += ",\"stream\":";
    writer.text(letter.stream);
    json += fmt::format(",\"shard\":{},\"offset\":{},\"attempts\":{},\"reason\":", letter.shard.value(),
                        letter.offset.value(), letter.attempts);
    writer.text(letter.reason);
    value("key", letter.key_bytes);
    value("value", letter.value_bytes);
    json += fmt::format(",\"timestamp\":{}}}", letter.timestamp);
  });
  if (!status.ok()) return status.error();
  json += "]\n";
  return json;
}

}  // namespace weir::server
