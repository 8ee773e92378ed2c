// SPDX-License-Identifier: Apache-2.0
#include "broker/core/letter_id.h"

#include <fmt/format.h>

namespace weir::core {

std::string letter_id(const std::string& stage, const wire::DeadLetter& letter, BytesView key) {
  std::string id = fmt::format("{}/{}/{}/{}", stage, letter.stream, letter.shard.value(), letter.offset.value());
  const std::size_t place = wire::dead_letter_key(letter).size();
  if (key.size() <= place) return id;
  id += '/';
  for (const std::byte byte : key.subspan(place)) id += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return id;
}

}  // namespace weir::core
