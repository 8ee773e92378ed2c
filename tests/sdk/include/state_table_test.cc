// SPDX-License-Identifier: Apache-2.0
#include "weir/state_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <new>
#include <optional>
#include <random>
#include <vector>

#include "weir/state_store.h"

namespace weir {
namespace {

using Values = std::map<std::string, std::vector<int>>;

/// Keeps what flushes say, as a changelog's compaction would, and gives it back.
class Kept final : public StateChanges, public StateOrigin {
 public:
  void put(std::string_view key, std::string_view value) override {
    values[std::string(key)] = ValueView(std::as_bytes(std::span(value))).as<std::vector<int>>();
    bytes_[std::string(key)] = value;
  }
  void erase(std::string_view key) override {
    values.erase(std::string(key));
    bytes_.erase(std::string(key));
  }
  bool find(std::string_view key, BytesView& value) override {
    ++asked;
    const auto found = bytes_.find(std::string(key));
    if (found != bytes_.end()) value = std::as_bytes(std::span(found->second));
    return found != bytes_.end();
  }
  bool next(const std::string* after, std::string& key, BytesView& value) override {
    const auto found = after == nullptr ? bytes_.begin() : bytes_.upper_bound(*after);
    if (found == bytes_.end()) return false;
    key = found->first;
    value = std::as_bytes(std::span(found->second));
    return true;
  }
  Values values;
  int asked = 0;

 private:
  std::map<std::string, std::string> bytes_;
};

Values contents(StateTable<std::vector<int>>& table) {
  Values values;
  table.for_each([&](ValueView key, const std::vector<int>& value) { values[key.as<std::string>()] = value; });
  return values;
}

/// Of the longer ones a table keeps but the place.
std::string plain_key_of(int number) {
  return "key " + std::to_string(number) + std::string(number % 3 == 0 ? number % 40 : 0, '.');
}

std::string key_of(int number) {
  std::string key;
  encode(key, plain_key_of(number));
  return key;
}

Values with_plain_keys(const Values& encoded) {
  Values plain;
  for (const auto& [key, value] : encoded) plain[ValueView(std::as_bytes(std::span(key))).as<std::string>()] = value;
  return plain;
}

/// Of `held_max` bytes it is a cache.
void expect_a_map(std::optional<std::uint64_t> held_max) {
  std::mt19937 random(11);
  StateTable<std::vector<int>> table;
  Values model;
  Kept kept;
  if (held_max) table.ask(&kept);
  for (std::uint64_t unit = 1; unit < 20'000; ++unit) {
    const Values before = model;
    for (auto steps = 1 + random() % 6; steps > 0; --steps) {
      const int number = static_cast<int>(random() % (unit % 5000 < 1000 ? 400 : 40));
      const std::string key = key_of(number);
      const std::string plain = plain_key_of(number);
      if (random() % 2 == 0) table.expect(key_of(static_cast<int>(random() % 400)));  // changes nothing
      switch (random() % 4) {
        case 0:
          table.erase(key, unit);
          model.erase(plain);
          break;
        case 1: {
          const auto* found = table.find(key);
          ASSERT_EQ(found != nullptr, model.contains(plain));
          if (found != nullptr) {
            ASSERT_EQ(*found, model[plain]);
          }
          break;
        }
        default: {
          std::vector<int>& value = table.touch(key, unit);
          ASSERT_EQ(value, model[plain]);
          value.push_back(static_cast<int>(unit));
          if (value.size() > 3) value.clear();
          model[plain] = value;
        }
      }
    }
    if (random() % 3 == 0) {
      table.undo();
      model = before;
    } else {
      table.keep();
    }
    if (random() % 50 == 0) {
      table.flush(kept);
      ASSERT_EQ(with_plain_keys(kept.values), model);
      if (held_max) {
        table.evict(*held_max);
        ASSERT_LE(table.held(), *held_max);
      }
    }
    if (unit % 100 == 0) {
      ASSERT_EQ(contents(table), model);
    }
  }
}

TEST(StateTable, IsAMapWhoseLastUnitOfWorkCanBeUndone) { expect_a_map(std::nullopt); }

TEST(StateTable, IsTheSameMapInFrontOfAnOriginHoweverLittleItHolds) {
  for (const std::uint64_t held_max : {0, 2'000, 20'000, 1'000'000}) expect_a_map(held_max);
}

TEST(StateTable, AsksItsOriginOnceForWhatIsUsedAgainAndAgain) {
  Kept kept;
  std::string value;
  encode(value, std::vector<int>{7});
  for (int i = 0; i < 1000; ++i) kept.put(key_of(i), value);
  StateTable<std::vector<int>> table;
  table.ask(&kept);
  for (std::uint64_t round = 1; round <= 100; ++round) {
    // Ten keys all the time, and each of the others now and then; a key that is not there is remembered too.
    for (int i = 0; i < 10; ++i) EXPECT_EQ(table.touch(key_of(i), round), std::vector<int>{7});
    EXPECT_EQ(table.find(key_of(-1)), nullptr);
    for (std::uint64_t i = 0; i < 9; ++i) EXPECT_NE(table.find(key_of(static_cast<int>(10 + round * 9 + i))), nullptr);
    table.keep();
    table.flush(kept);
    table.evict(std::uint64_t{30} * 150);
  }
  EXPECT_LE(kept.asked, 11 + 900 + 50) << "the hot ones stay, but for a few now and then";
}

TEST(StateTable, DrainsAnOriginInPortionsWithoutHoldingIt) {
  Kept kept;
  std::string value;
  encode(value, std::vector<int>{7});
  for (int i = 0; i < 1000; ++i) kept.put(key_of(i), value);
  StateTable<std::vector<int>> table;
  table.ask(&kept);
  table.touch(key_of(1000), 1) = {7};
  table.erase(key_of(5), 1);
  table.keep();
  std::map<std::string, int> seen;
  std::uint64_t held_max = 0;
  std::uint64_t unit = 2;
  for (bool more = true; more; ++unit) {
    int taken = 0;
    more = !table.drain(
        unit,
        [&](ValueView key, const std::vector<int>& each) {
          EXPECT_EQ(each, std::vector<int>{7});
          ++taken;
          ++seen[key.as<std::string>()];
          return true;
        },
        [&] { return taken == 30; });
    table.keep();
    held_max = std::max(held_max, table.held());
    table.flush(kept);
  }
  EXPECT_EQ(seen.size(), 1000U);
  EXPECT_FALSE(seen.contains("key 5"));
  for (const auto& [key, times] : seen) EXPECT_EQ(times, 1) << key;
  EXPECT_TRUE(kept.values.empty());
  EXPECT_LT(held_max, 40U * 200) << "a portion at a time";
}

TEST(StateTable, DrainsInPortionsAlsoWhereNothingFillsTheTransaction) {
  StateTable<std::vector<int>> table;
  constexpr int kKeys = 100'000;
  for (int i = 0; i < kKeys; ++i) table.touch(key_of(i), 1) = {i};
  Kept kept;
  table.keep();
  table.flush(kept);
  int visited = 0;
  int calls = 0;
  for (bool more = true; more; ++calls) {
    const int before = visited;
    more = !table.drain(
        2, [&](ValueView, const std::vector<int>&) { return ++visited != 0; }, [] { return false; });
    EXPECT_LT(visited - before, kKeys / 4) << "what is erased is held until it is flushed";
    table.keep();
    table.flush(kept);
  }
  EXPECT_EQ(visited, kKeys);
  EXPECT_GT(calls, 4);
}

TEST(StateTable, UndoesWhatWasDoneThroughAReference) {
  StateTable<std::vector<int>> table;
  std::vector<int>& value = table.touch(key_of(1), 1);
  value = {1};
  table.keep();
  for (int i = 2; i < 1000; ++i) table.touch(key_of(i), 2) = {i};  // the table grows under the reference
  table.keep();
  table.touch(key_of(1), 3);
  value.push_back(2);
  table.undo();
  EXPECT_EQ(*table.find(key_of(1)), std::vector<int>{1});
}

/// A text for whose copy there may be no memory.
struct Scarce {
  Scarce() = default;
  Scarce(const Scarce& other) : text(other.text) {
    if (none_left) throw std::bad_alloc();
  }
  Scarce(Scarce&&) noexcept = default;
  Scarce& operator=(const Scarce&) = delete;
  Scarce& operator=(Scarce&&) noexcept = default;
  ~Scarce() = default;

  std::string text;
  static inline bool none_left = false;
  MSGPACK_DEFINE(text)
};

TEST(StateTable, TellsUnitsOfWorkApartHoweverManyThereWere) {
  StateTable<std::vector<int>> table;
  Kept kept;
  std::uint64_t unit = 1;
  for (const std::uint64_t later : {std::uint64_t{1} << 31, std::uint64_t{1} << 32, std::uint64_t{1} << 63}) {
    table.touch("key", unit) = {1};
    table.keep();
    table.flush(kept);
    unit += later;
    table.touch("key", unit) = {2};
    table.undo();
    EXPECT_EQ(*table.find("key"), std::vector{1}) << later << " units later";
  }
}

TEST(StateTable, LeavesAValueAsItWasThatCannotBeRemembered) {
  StateTable<Scarce> table;
  table.touch(key_of(1), 1).text = "kept";
  table.keep();
  Scarce::none_left = true;
  EXPECT_THROW(table.touch(key_of(1), 2), std::bad_alloc);
  Scarce::none_left = false;
  table.undo();
  EXPECT_EQ(table.find(key_of(1))->text, "kept");
  table.touch(key_of(1), 3).text += " still";
  table.undo();
  EXPECT_EQ(table.find(key_of(1))->text, "kept");
}

TEST(StateTable, DrainsInPortionsAndForgetsWhatIsDrained) {
  StateTable<std::vector<int>> table;
  for (int i = 0; i < 1000; ++i) table.touch(key_of(i), 1) = {i};
  table.keep();
  Kept kept;
  std::map<std::string, int> seen;
  int portions = 0;
  for (bool more = true; more; ++portions) {
    int taken = 0;
    more = !table.drain(
        static_cast<std::uint64_t>(portions) + 2,
        [&](ValueView key, const std::vector<int>&) {
          ++taken;
          ++seen[key.as<std::string>()];
          return true;
        },
        [&] { return taken == 30; });
    table.keep();
    table.flush(kept);
  }
  EXPECT_EQ(seen.size(), 1000U);
  for (const auto& [key, times] : seen) EXPECT_EQ(times, 1) << key;
  EXPECT_EQ(portions, 34);
  EXPECT_TRUE(contents(table).empty());
  EXPECT_TRUE(kept.values.empty());
}

TEST(StateTable, TakesNoMoreMemoryForKeysThatComeAndGo) {
  StateTable<std::vector<int>> table;
  Kept kept;
  std::uint64_t bytes = 0;
  for (int round = 0; round < 100; ++round) {
    const auto unit = static_cast<std::uint64_t>(round) * 2 + 1;
    for (int i = 0; i < 500; ++i) table.touch(key_of(round * 500 + i), unit) = {i};
    table.keep();
    for (int i = 0; i < 500; ++i) table.erase(key_of(round * 500 + i), unit + 1);
    table.keep();
    table.flush(kept);
    if (round == 0) bytes = table.bytes();
  }
  EXPECT_EQ(table.bytes(), bytes);
}

/// What a flush of `store` hands over: bytes of keys and values.
std::uint64_t flushed(StateStore& store, std::uint32_t shards) {
  class Sum final : public StateChanges {
   public:
    explicit Sum(std::uint64_t& bytes) : bytes_(bytes) {}
    void put(std::string_view key, std::string_view value) override { bytes_ += key.size() + value.size(); }
    void erase(std::string_view key) override { bytes_ += key.size(); }

   private:
    std::uint64_t& bytes_;
  };
  std::uint64_t bytes = 0;
  for (std::uint32_t shard = 0; shard < shards; ++shard)
    store.flush(shard, [&](std::string_view /*name*/) { return Sum(bytes); });
  return bytes;
}

TEST(StateStore, KnowsBeforeAFlushHowMuchItWillBeWhereValuesAreOfOneSize) {
  constexpr std::uint32_t kShards = 3;
  std::mt19937_64 random(7);
  StateStore store;
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 500; ++i) {
      const auto shard = static_cast<std::uint32_t>(random() % kShards);
      const std::uint64_t before = store.pending().bytes();
      store.begin();
      for (int change = 0; change < 3; ++change) {
        const std::string key = key_of(static_cast<int>(random() % 300));
        auto& table = store.changing<std::uint64_t>(shard, random() % 2 == 0 ? "one" : "other");
        if (random() % 4 == 0) {
          table.erase(key, store.unit());
        } else {
          table.touch(key, store.unit()) = random() >> (random() % 64);
        }
      }
      if (random() % 3 != 0) continue;
      store.undo();
      ASSERT_EQ(store.pending().bytes(), before);
    }
    if (round % 10 == 9) store.drop(1);
    const std::uint64_t pending = store.pending().bytes();
    const std::uint64_t bytes = flushed(store, kShards);
    EXPECT_GE(pending, bytes);
    EXPECT_LE(pending, 3 * bytes);
    EXPECT_EQ(store.pending().bytes(), 0U);
  }
}

TEST(StateStore, DoesNotKnowHowMuchAFlushWillBeWhereValuesMayHaveGrown) {
  StateStore store;
  store.begin();
  store.changing<std::uint64_t>(0, "count").touch(key_of(1), store.unit()) = 1;
  const std::uint64_t counted = store.pending().bytes();
  EXPECT_NE(counted, PendingState::kUnknown);
  store.begin();
  store.changing<std::string>(0, "text").touch(key_of(1), store.unit()) = "text";
  EXPECT_EQ(store.pending().bytes(), PendingState::kUnknown);
  store.undo();
  EXPECT_EQ(store.pending().bytes(), counted);
  store.begin();
  store.changing<std::string>(0, "text").touch(key_of(1), store.unit()) = "text";
  flushed(store, 1);
  EXPECT_EQ(store.pending().bytes(), 0U);
}

TEST(StateStore, RefusesToReadStateAsAnotherType) {
  StateStore store;
  std::string value;
  encode(value, "text");
  store.load(0, "name", key_of(1), std::as_bytes(std::span(value)));
  EXPECT_THROW(static_cast<void>(store.table<int>(0, "name")), StateError);
  StateStore other;
  static_cast<void>(other.table<int>(0, "name"));
  EXPECT_THROW(static_cast<void>(other.table<double>(0, "name")), StateError);
}

}  // namespace
}  // namespace weir
