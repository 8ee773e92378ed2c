// SPDX-License-Identifier: Apache-2.0
// Every key as an independent program has it.
#define XXH_INLINE_ALL
#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sdk/wire/key.h"

namespace weir::wire {
namespace {

Bytes from_hex(const std::string& hex) {
  Bytes bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

nlohmann::json read(const std::string& name) { return nlohmann::json::parse(std::ifstream(WEIR_GOLDEN "/" + name)); }

TEST(GoldenKeys, AreBroughtToTheirShortestForm) {
  std::size_t forms = 0;
  for (const auto& vector : read("keys.json")) {
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
  for (const auto& vector : read("keys.json")) {
    const Bytes canonical = from_hex(vector["canonical"]);
    char hex[17] = {};
    std::snprintf(hex, sizeof(hex), "%016llx",
                  static_cast<unsigned long long>(XXH3_64bits(canonical.data(), canonical.size())));
    EXPECT_EQ(hex, vector["xxh3_64"].get<std::string>());
  }
}

TEST(GoldenKeys, GoToTheirShards) {
  std::size_t integers = 0;
  for (const auto& vector : read("keys.json")) {
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

TEST(GoldenRanges, GoToTheirShardsOrToNone) {
  std::size_t refused = 0;
  std::size_t taken = 0;
  for (const auto& vector : read("ranges.json")) {
    std::vector<Boundary> boundaries;
    for (const auto& boundary : vector["boundaries"]) {
      if (boundary.is_string()) {
        boundaries.emplace_back(boundary.get<std::string>());
      } else if (boundary.is_number_unsigned()) {
        boundaries.emplace_back(boundary.get<std::uint64_t>());
      } else if (boundary.is_number_integer()) {
        boundaries.emplace_back(boundary.get<std::int64_t>());
      } else {
        boundaries.emplace_back(boundary.get<double>());
      }
    }
    for (const auto& [key, shard] : vector["shards"].items()) {
      const auto found = shard_by_range(from_hex(key), boundaries);
      EXPECT_EQ(found.ok(), !shard.is_null()) << key << " at " << vector["boundaries"];
      if (found.ok() && !shard.is_null()) {
        EXPECT_EQ(found->value(), shard.get<std::uint32_t>()) << key << " at " << vector["boundaries"];
      }
      ++(shard.is_null() ? refused : taken);
    }
  }
  EXPECT_GT(refused, 200U);
  EXPECT_GT(taken, 600U);
}

TEST(GoldenFields, MakeKeysOfValues) {
  std::size_t without = 0;
  for (const auto& vector : read("fields.json")) {
    Stream stream;
    stream.key_is_list = vector["key"].is_array();
    stream.key = stream.key_is_list ? vector["key"].get<std::vector<std::string>>()
                                    : std::vector<std::string>{vector["key"].get<std::string>()};
    Bytes key;
    Bytes canonical;
    const bool found =
        KeyFields(stream).extract(from_hex(vector["value"]), key).ok() && canonical_key(key, canonical).ok();
    EXPECT_EQ(found, !vector["canonical"].is_null()) << vector["key"];
    if (!found || vector["canonical"].is_null()) {
      ++without;
      continue;
    }
    EXPECT_EQ(canonical, from_hex(vector["canonical"])) << vector["key"];
  }
  EXPECT_GT(without, 8U);
}

TEST(GoldenNoKeys, AreRefused) {
  for (const auto& vector : read("no_keys.json")) {
    Bytes canonical;
    EXPECT_FALSE(canonical_key(from_hex(vector["bytes"]), canonical).ok()) << vector["why"];
  }
}

}  // namespace
}  // namespace weir::wire
