// SPDX-License-Identifier: Apache-2.0
// Every key as an independent program has it: keys.json.
#define XXH_INLINE_ALL
#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "sdk/wire/key.h"

namespace weir::wire {
namespace {

Bytes from_hex(const std::string& hex) {
  Bytes bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

nlohmann::json vectors() { return nlohmann::json::parse(std::ifstream(WEIR_GOLDEN "/keys.json")); }

TEST(GoldenKeys, AreBroughtToTheirShortestForm) {
  std::size_t forms = 0;
  for (const auto& vector : vectors()) {
    for (const auto& form : vector["forms"]) {
      Bytes canonical;
      ASSERT_TRUE(canonical_key(from_hex(form), canonical).ok()) << form;
      EXPECT_EQ(canonical, from_hex(vector["canonical"])) << form;
      ++forms;
    }
  }
  EXPECT_GT(forms, 200U);
}

TEST(GoldenKeys, HashAsXxh3Does) {
  for (const auto& vector : vectors()) {
    const Bytes canonical = from_hex(vector["canonical"]);
    char hex[17] = {};
    std::snprintf(hex, sizeof(hex), "%016llx",
                  static_cast<unsigned long long>(XXH3_64bits(canonical.data(), canonical.size())));
    EXPECT_EQ(hex, vector["xxh3_64"].get<std::string>());
  }
}

TEST(GoldenKeys, GoToTheirShards) {
  std::size_t integers = 0;
  for (const auto& vector : vectors()) {
    const Bytes canonical = from_hex(vector["canonical"]);
    for (const auto& [shards, shard] : vector["hash_shards"].items()) {
      EXPECT_EQ(shard_by_hash(canonical, static_cast<std::uint32_t>(std::stoul(shards))).value(),
                shard.get<std::uint32_t>())
          << vector["canonical"] << " of " << shards;
    }
    const bool integer = vector.contains("modulo_shards");
    EXPECT_EQ(shard_by_modulo(canonical, 32).ok(), integer) << vector["canonical"];
    if (!integer) continue;
    ++integers;
    for (const auto& [shards, shard] : vector["modulo_shards"].items()) {
      EXPECT_EQ(shard_by_modulo(canonical, static_cast<std::uint32_t>(std::stoul(shards)))->value(),
                shard.get<std::uint32_t>())
          << vector["canonical"] << " of " << shards;
    }
  }
  EXPECT_GT(integers, 30U);
}

}  // namespace
}  // namespace weir::wire
