// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace weir::bench {

void Digest::add(std::string_view key, std::string_view value) {
  ++records;
  sum += XXH3_64bits_withSeed(value.data(), value.size(), XXH3_64bits(key.data(), key.size()));
}

}  // namespace weir::bench
