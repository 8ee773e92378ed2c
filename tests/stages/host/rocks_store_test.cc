// SPDX-License-Identifier: Apache-2.0
#include "stages/host/rocks_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/support/temporary_folder.h"

namespace weir::host {
namespace {

constexpr LocalPosition kAt{2, 77};

class RocksStoreTest : public testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<RocksStores> stores(const std::string& journal = "j") const {
    return std::make_unique<RocksStores>(RocksStores::Options{folder_ / "state/count", journal, 4 << 20, 4});
  }
  static std::unique_ptr<LocalStore> open(RocksStores& stores, std::uint32_t lane = 0) {
    auto store = stores.open(lane);
    EXPECT_TRUE(store.ok()) << store.error().message;
    return store.ok() ? std::move(*store) : nullptr;
  }
  static std::string get(LocalStore& store, const std::string& key) {
    std::string value;
    const auto found = store.get(key, value);
    EXPECT_TRUE(found.ok());
    return found.ok() && *found ? value : "(none)";
  }
  static std::string walk(LocalStore& store, const std::string& from, const std::string& end) {
    std::string seen;
    std::string key;
    std::string value;
    for (std::string at = from;; at = key + '\0') {
      const auto found = store.seek(at, end, key, value);
      EXPECT_TRUE(found.ok());
      if (!found.ok() || !*found) return seen;
      seen += key + "=" + value + " ";
    }
  }
  [[nodiscard]] std::vector<std::string> folders() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "state/count"))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  testing_host::TemporaryFolder folder_;
};

TEST_F(RocksStoreTest, KeepsWhatWasWrittenWithItsPosition) {
  const auto opened = stores();
  auto store = open(*opened);
  EXPECT_EQ(store->position(), LocalPosition{});
  ASSERT_TRUE(store->write({{"a", as_bytes("1")}, {"b", as_bytes("2")}, {"c", as_bytes("3")}}, kAt).ok());
  ASSERT_TRUE(store->write({{"b", std::nullopt}}, {2, 80}).ok());
  store.reset();
  store = open(*opened);
  EXPECT_EQ(store->position(), (LocalPosition{2, 80}));
  EXPECT_EQ(get(*store, "a"), "1");
  EXPECT_EQ(get(*store, "b"), "(none)");
  EXPECT_EQ(walk(*store, "", "z"), "a=1 c=3 ");
  EXPECT_EQ(walk(*store, "a", "c"), "a=1 ");
  EXPECT_GT(store->bytes(), 0U);
  EXPECT_EQ(folders(), std::vector<std::string>{"0-1"});
}

TEST_F(RocksStoreTest, ShowsAWalkWhatWasWrittenMeanwhile) {
  const auto opened = stores();
  const auto store = open(*opened);
  ASSERT_TRUE(store->write({{"a", as_bytes("1")}, {"c", as_bytes("3")}}, kAt).ok());
  std::string key;
  std::string value;
  ASSERT_TRUE(*store->seek("a", "z", key, value));
  ASSERT_TRUE(store->write({{"b", as_bytes("2")}}, kAt).ok());
  ASSERT_TRUE(*store->seek(std::string("a") + '\0', "z", key, value));
  EXPECT_EQ(key, "b");
}

TEST_F(RocksStoreTest, IsVoidForAnotherJournalAndEmptyOnceCleared) {
  {
    const auto opened = stores();
    ASSERT_TRUE(open(*opened)->write({{"a", as_bytes("1")}}, kAt).ok());
  }
  const auto other = stores("another");
  auto store = open(*other);
  EXPECT_EQ(store->position(), LocalPosition{});
  ASSERT_TRUE(store->clear().ok());
  EXPECT_EQ(get(*store, "a"), "(none)");
  EXPECT_EQ(walk(*store, "", "z"), "");
}

TEST_F(RocksStoreTest, GivesAnotherFolderWhereAProcessStillHoldsTheFirstAndForgetsThatLater) {
  const auto first = stores();
  auto zombie = open(*first);
  ASSERT_TRUE(zombie->write({{"a", as_bytes("zombie")}}, kAt).ok());
  const auto second = stores();
  auto successor = open(*second);
  EXPECT_EQ(successor->position(), LocalPosition{});
  ASSERT_TRUE(successor->write({{"a", as_bytes("successor")}}, {3, 90}).ok());
  ASSERT_TRUE(zombie->write({{"a", as_bytes("late")}}, kAt).ok()) << "it harms nobody";
  EXPECT_EQ(get(*successor, "a"), "successor");
  successor.reset();
  zombie.reset();
  EXPECT_EQ(get(*open(*second), "a"), "successor");
  EXPECT_EQ(folders(), std::vector<std::string>{"0-2"});
}

TEST_F(RocksStoreTest, PassesOverAFolderThatIsDamaged) {
  const auto opened = stores();
  ASSERT_TRUE(open(*opened)->write({{"a", as_bytes("1")}}, kAt).ok());
  std::ofstream(folder_ / "state/count/0-1/CURRENT") << "nonsense";
  const auto store = open(*opened);
  EXPECT_EQ(store->position(), LocalPosition{});
  EXPECT_EQ(get(*store, "a"), "(none)");
}

}  // namespace
}  // namespace weir::host
