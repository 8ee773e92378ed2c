// SPDX-License-Identifier: Apache-2.0
#include "weir/config.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace weir {
namespace {

std::string sentence_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "nothing was wrong";
}

TEST(Config, GivesWhatStandsAtAPointer) {
  const Config config(R"({"a": {"b/c": [1, 2.5, "x"], "m~n": true}, "n": 10.0})");
  EXPECT_EQ(config.get<int>("/a/b~1c/0"), 1);
  EXPECT_EQ(config.get<double>("/a/b~1c/1"), 2.5);
  EXPECT_EQ(config.get<std::string>("/a/b~1c/2"), "x");
  EXPECT_TRUE(config.get<bool>("/a/m~0n"));
  EXPECT_EQ(config.get<std::uint32_t>("/n"), 10U);  // JSON Schema takes 10.0 for an integer
  EXPECT_EQ(config.get<int>("/absent", 7), 7);
  EXPECT_FALSE(config.contains("/a/b~1c/3"));
}

TEST(Config, NamesThePointerInItsErrors) {
  const Config config(R"({"a": "x", "d": "5 ms", "s": "1.5KiB"})");
  EXPECT_EQ(sentence_of([&] { static_cast<void>(config.get<int>("/a")); }),
            "/a: expected an integer, found the string \"x\"");
  EXPECT_EQ(sentence_of([&] { static_cast<void>(config.get<int>("/b")); }), "/b: is missing");
  EXPECT_EQ(sentence_of([&] { static_cast<void>(config.get_duration("/d", "1s")); }),
            "/d: \"5 ms\" is no duration like \"50ms\" (us, ms, s, m, h)");
  EXPECT_EQ(config.get_size("/s", "1B"), 1536U);
  EXPECT_EQ(config.get_duration("/absent", "2m"), std::chrono::minutes(2));
}

TEST(Config, GivesTheElementsOfAListEachWithItsPlace) {
  const Config config(R"({"list": [{"n": 1}, {"n": [2, "x"]}, 3], "none": [], "text": "x"})");
  const std::vector<Config> elements = config.elements("/list");
  ASSERT_EQ(elements.size(), 3U);
  EXPECT_EQ(elements[0].get<int>("/n"), 1);
  EXPECT_EQ(elements[1].elements("/n")[1].get<std::string>(""), "x");
  EXPECT_EQ(elements[2].get<int>(""), 3);
  EXPECT_EQ(sentence_of([&] { static_cast<void>(elements[1].elements("/n")[1].get<int>("")); }),
            "/list/1/n/1: expected an integer, found the string \"x\"");
  EXPECT_EQ(sentence_of([&] { static_cast<void>(elements[0].get<int>("/m")); }), "/list/0/m: is missing");
  for (const char* nothing : {"/none", "/text", "/absent"}) EXPECT_TRUE(config.elements(nothing).empty()) << nothing;
}

}  // namespace
}  // namespace weir
