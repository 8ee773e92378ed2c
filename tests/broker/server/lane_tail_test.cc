// SPDX-License-Identifier: Apache-2.0
#include "broker/server/lane_tail.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <tuple>

namespace weir::server {
namespace {

/// By space, length of the name, name and key, as a snapshot's entries rise; empty: erased.
using Model = std::map<std::tuple<int, std::size_t, std::string, std::string>, std::string>;

std::string random_text(std::mt19937& random, std::size_t size_max, int letters) {
  std::string text(random() % (size_max + 1), '\0');
  for (char& letter : text) letter = static_cast<char>(random() % static_cast<unsigned>(letters) * 85);
  return text;
}

/// Compares a tail with a map that keeps the last word of each entry.
void expect_last_words(std::uint32_t seed, int names, std::size_t key_bytes_max, const std::string& beginning = {}) {
  std::mt19937 random(seed);
  LaneTail tail;
  Model model;
  for (int entry = 0; entry < 50; ++entry) {
    const bool reset = entry < 5;
    Bytes changes;
    for (int i = 0; i < 100; ++i) {
      const auto space = names == 1 ? wire::Space::kState : static_cast<wire::Space>(random() % 5);
      const std::string name(random() % static_cast<unsigned>(names), 'n');
      const std::string key = beginning + random_text(random, key_bytes_max, 4);
      const std::string value = random() % 4 == 0 ? "" : std::to_string(random());
      wire::append_change(changes, {space, as_bytes(name), as_bytes(key),
                                    value.empty() ? std::nullopt : std::optional(as_bytes(value))});
      const bool kept = space != wire::Space::kPosition && space != wire::Space::kRequeued &&
                        !(reset && space == wire::Space::kState);
      if (kept) model[{static_cast<int>(space), name.size(), name, key}] = value;
    }
    tail.add(changes, reset);
  }
  const auto sorted = tail.sorted();
  ASSERT_TRUE(sorted.ok());
  ASSERT_EQ(sorted->size(), model.size());
  auto expected = model.begin();
  for (const wire::Change& change : *sorted) {
    const std::string name(as_text(change.name));
    EXPECT_EQ(std::tuple(static_cast<int>(change.space), name.size(), name, std::string(as_text(change.key))),
              expected->first);
    EXPECT_EQ(change.value ? as_text(*change.value) : "", expected->second);
    ++expected;
  }
}

TEST(LaneTail, KeepsTheLastWordOfEachEntryInTheOrderOfASnapshot) {
  expect_last_words(1, 1, 3);
  expect_last_words(2, 1, 12);
  expect_last_words(3, 3, 4);
}

TEST(LaneTail, OrdersKeysThatBeginAlike) {
  expect_last_words(4, 1, 3, "sensor/");
  expect_last_words(5, 1, 12, "sensor/");
  expect_last_words(6, 1, 12, std::string(100, 's'));
  expect_last_words(7, 3, 4, "sensor/");
}

TEST(LaneTail, RefusesChangesThatAreMalformed) {
  Bytes changes;
  wire::append_change(changes, {wire::Space::kState, {}, as_bytes("key"), as_bytes("value")});
  LaneTail tail;
  tail.add(changes, false);
  tail.add(BytesView(changes).first(changes.size() - 1), false);
  const auto sorted = tail.sorted();
  ASSERT_FALSE(sorted.ok());
  EXPECT_EQ(sorted.error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace weir::server
