// SPDX-License-Identifier: Apache-2.0
#include "stages/host/state_store.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace weir::host {
namespace {

wire::Change change_of(const std::string& name, const std::string& key, std::optional<BytesView> value) {
  return {wire::Space::kState, as_bytes(name), as_bytes(key), value};
}

TEST(StateStore, CountsTheBytesOfWhatItHolds) {
  // Beside it a map of strings, which is measured whole at each step.
  using Key = std::pair<std::string, std::string>;
  std::map<std::uint32_t, std::map<Key, std::string>> model;
  const auto measured = [&] {
    std::uint64_t sum = 0;
    for (const auto& [lane, entries] : model)
      for (const auto& [key, value] : entries) sum += key.first.size() + 1 + key.second.size() + value.size();
    return sum;
  };
  StateStore store;
  std::mt19937 random(7);
  for (int step = 0; step < 2000; ++step) {
    const auto lane = static_cast<std::uint32_t>(random() % 3);
    const std::string name(1 + random() % 2, 'n');
    const std::string key(random() % 5, 'k');
    const std::string value(random() % 40, 'v');
    Bytes changes;
    switch (random() % 8) {
      case 0:
        store.load(lane, change_of(name, key, std::nullopt));
        model[lane].erase({name, key});
        break;
      case 1:
        store.load(lane, change_of(name, key, as_bytes(value)));
        model[lane][{name, key}] = value;
        break;
      case 2:
        ASSERT_TRUE(store.put(lane, as_bytes(name), as_bytes(key), std::nullopt).ok());
        store.mark();
        store.take_changes(lane, changes);
        model[lane].erase({name, key});
        break;
      case 3:
        ASSERT_TRUE(store.put(lane, as_bytes(name), as_bytes(key), as_bytes(value + "undone")).ok());
        store.undo();
        store.take_changes(lane, changes);
        EXPECT_TRUE(changes.empty());
        break;
      case 4:
        if (random() % 4 != 0) continue;
        store.drop(lane);
        model.erase(lane);
        break;
      default:
        ASSERT_TRUE(store.put(lane, as_bytes(name), as_bytes(key), as_bytes(value)).ok());
        store.mark();
        store.take_changes(lane, changes);
        model[lane][{name, key}] = value;
    }
    ASSERT_EQ(store.bytes(), measured()) << "step " << step;
  }
}

}  // namespace
}  // namespace weir::host
