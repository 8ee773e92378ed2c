// SPDX-License-Identifier: Apache-2.0
#include "stages/host/library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "stages/host/describe.h"

namespace weir::host {
namespace {

using testing::HasSubstr;

TEST(Library, RefusesAnotherMajorVersionAndNamesBoth) {
  const auto library = Library::load(WEIR_TEST_FUTURE);
  ASSERT_FALSE(library.ok());
  EXPECT_EQ(library.error().code, Code::kRefused);
  EXPECT_THAT(library.error().message, HasSubstr(WEIR_TEST_FUTURE));
  EXPECT_THAT(library.error().message, HasSubstr("version 2"));
  EXPECT_THAT(library.error().message, HasSubstr("version 1"));
}

TEST(Library, RefusesWhatIsNoStageLibraryOrNotThere) {
  EXPECT_THAT(Library::load(WEIR_TEST_UNRELATED).error().message, HasSubstr("is it a stage library?"));
  const auto missing = Library::load("/nowhere/stages.so");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, Code::kNotFound);
}

TEST(Library, LoadsADescriptorThatHasMoreFieldsThanItKnows) {
  const auto library = Library::load(WEIR_TEST_PROBE);
  ASSERT_TRUE(library.ok());
  ASSERT_NE(library->find("probe.newer"), nullptr);
  EXPECT_NE(library->find("probe.newer")->process, nullptr);
}

TEST(Library, ReadsNothingBehindTheSizeOfAnOlderDescriptor) {
  const auto library = Library::load(WEIR_TEST_PROBE);
  ASSERT_TRUE(library.ok());
  ASSERT_NE(library->find("probe.older"), nullptr);
  EXPECT_NE(library->find("probe.older")->process, nullptr);
  EXPECT_EQ(library->find("probe.older")->finish, nullptr);
}

TEST(Libraries, NameWhatWasSearchedForAPluginThatIsNotThere) {
  Libraries libraries({WEIR_TEST_FUTURE, WEIR_TEST_PROBE});
  EXPECT_TRUE(libraries.find("probe.twice").ok());
  const auto missing = libraries.find("probe.thrice");
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.error().message, HasSubstr("probe.thrice"));
  EXPECT_THAT(missing.error().message, HasSubstr(WEIR_TEST_PROBE));
  EXPECT_THAT(missing.error().message, HasSubstr("version 2"));
}

TEST(Describe, SaysOfEachStageWhatATopologyNeedsToKnow) {
  const auto library = Library::load(WEIR_TEST_PROBE);
  ASSERT_TRUE(library.ok());
  const auto text = describe(*library);
  ASSERT_TRUE(text.ok());
  const auto described = nlohmann::json::parse(*text);
  EXPECT_EQ(described["library"], WEIR_TEST_PROBE);
  const auto plugin = [&](const std::string& name) {
    for (const auto& one : described["plugins"]) {
      if (one["name"] == name) return one;
    }
    return nlohmann::json();
  };
  EXPECT_EQ(plugin("probe.clock"), nlohmann::json::parse(R"({"name": "probe.clock", "kind": "stage", "keyed": true,
      "key_preserving": true, "mergeable": false, "deterministic": true, "on_watermark": true, "local": false, "sharing": "single", "inputs": ["in"],
      "outputs": ["out"], "schema": null})"));
  EXPECT_EQ(plugin("probe.ports")["outputs"], nlohmann::json({"out", "rest"}));
  EXPECT_EQ(plugin("probe.ports")["schema"], nlohmann::json({{"type", "object"}}));
  EXPECT_EQ(plugin("probe.numbers")["inputs"], nlohmann::json::array());
  EXPECT_EQ(plugin("probe.ledgers")["sharing"], "shard");
  EXPECT_EQ(plugin("probe.ledgers")["outputs"], nlohmann::json::array());
}

}  // namespace
}  // namespace weir::host
