// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/plugins.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/sdk/topology/standard_plugins.h"

namespace weir {
namespace {

TEST(Plugins, ReadsADescriptionAndFillsInWhatItLeavesOut) {
  const auto plugins = Plugins::parse_description(
      R"({"library": "/l.so", "plugins": [{"name": "Acme.dedup-2", "kind": "stage"}, {"name": "s", "kind": "source", "deterministic": false},
          {"name": "k", "kind": "sink", "sharing": "any", "schema": {"type": "object"}}]})",
      "given.so");
  ASSERT_TRUE(plugins) << plugins.error().message;
  ASSERT_EQ(plugins->size(), 3U);
  const Plugin& stage = (*plugins)[0];
  EXPECT_EQ(stage.library, "/l.so");
  EXPECT_EQ(stage.inputs, std::vector<std::string>{"in"});
  EXPECT_EQ(stage.outputs, std::vector<std::string>{"out"});
  EXPECT_FALSE(stage.keyed || stage.key_preserving || stage.mergeable);
  EXPECT_TRUE(stage.deterministic);
  EXPECT_EQ(stage.schema, "");
  EXPECT_TRUE((*plugins)[1].inputs.empty());
  EXPECT_FALSE((*plugins)[1].deterministic);
  EXPECT_TRUE((*plugins)[2].outputs.empty());
  EXPECT_EQ((*plugins)[2].sharing, Sharing::kAny);
  EXPECT_EQ((*plugins)[2].schema, R"({"type":"object"})");
}

TEST(Plugins, RefusesADescriptionThatIsNone) {
  const auto refusal = [](std::string_view json) {
    const auto plugins = Plugins::parse_description(json, "l.so");
    return plugins ? std::string() : plugins.error().message;
  };
  EXPECT_EQ(refusal("{}"), "the description of l.so has no list \"plugins\"");
  EXPECT_NE(refusal("{"), "");
  EXPECT_NE(refusal(R"({"plugins": {}})"), "");
  EXPECT_EQ(refusal(R"({"plugins": [{"name": "a b", "kind": "stage"}]})"),
            "library l.so describes plugin \"a b\" with a bad \"name\"");
  EXPECT_EQ(refusal(R"({"plugins": [{"name": "a"}]})"), "library l.so describes plugin \"a\" with a bad \"kind\"");
  EXPECT_EQ(refusal(R"({"plugins": [{"name": "a", "kind": "stage", "keyed": 1}]})"),
            "library l.so describes plugin \"a\" with a bad \"keyed\"");
  EXPECT_EQ(refusal(R"({"plugins": [{"name": "a", "kind": "stage", "inputs": ["x", "x"]}]})"),
            "library l.so describes plugin \"a\" with a bad \"inputs\"");
  EXPECT_EQ(refusal(R"({"plugins": [{"name": "a", "kind": "source", "inputs": ["in"]}]})"),
            "library l.so describes plugin \"a\" with a bad \"inputs\"");
  EXPECT_EQ(refusal(R"({"plugins": [{"name": "a", "kind": "sink", "outputs": ["out"]}]})"),
            "library l.so describes plugin \"a\" with a bad \"outputs\"");
  EXPECT_EQ(refusal(R"({"plugins": [{"name": "a", "kind": "stage", "schema": "x"}]})"),
            "library l.so describes plugin \"a\" with a bad \"schema\"");
  EXPECT_NE(refusal(R"({"plugins": [7]})"), "");
}

TEST(Plugins, RefusesOneNameInTwoLibraries) {
  Plugins plugins;
  Plugin plugin;
  plugin.name = "sum";
  plugin.library = "/a.so";
  EXPECT_TRUE(plugins.add(plugin).ok());
  EXPECT_TRUE(plugins.add(plugin).ok()) << "the same library, named twice";
  plugin.library = "/b.so";
  const Status refused = plugins.add(plugin);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "plugin \"sum\" is in two libraries, /a.so and /b.so; leave one of them out");
}

TEST(Plugins, FindsByNameAndListsInOrder) {
  const Plugins plugins = standard_plugins();
  ASSERT_NE(plugins.find("keyed.sum"), nullptr);
  EXPECT_TRUE(plugins.find("keyed.sum")->keyed);
  EXPECT_EQ(plugins.find("keyed"), nullptr);
  const std::vector<std::string> names = plugins.names();
  EXPECT_TRUE(std::ranges::is_sorted(names));
  EXPECT_EQ(names.size(), plugins.all().size());
}

}  // namespace
}  // namespace weir
