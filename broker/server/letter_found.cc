// SPDX-License-Identifier: Apache-2.0
#include "broker/server/letter_found.h"

#include "broker/core/letter_id.h"

namespace weir::server {
namespace {

Bytes copy(BytesView bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

core::LetterFound letter_found(const JournalReader::Letter& letter, const Topology& topology, bool again) {
  core::LetterFound found;
  found.stage = letter.stage;
  found.lane = letter.lane;
  found.id = core::letter_id(topology.stages[letter.stage].name, letter.letter, letter.key);
  found.stream = letter.letter.stream;
  found.key = copy(letter.key);
  found.parked = copy(letter.parked);
  if (!found.parked.empty()) {
    found.parked_key = copy(letter.letter.key_bytes);
    return found;
  }
  found.kept_bytes = letter.key.size() + letter.bytes.size();
  if (again) found.bytes = copy(letter.bytes);
  return found;
}

}  // namespace weir::server
