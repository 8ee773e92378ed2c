// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/library_fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdk/wire/library_hash.h"
#include "tests/support/temporary_folder.h"
#include "topologies/launcher/kept_libraries.h"

namespace weir::launcher {
namespace {

using testing::HasSubstr;

StageSpec stage() {
  StageSpec stage;
  stage.name = "total";
  stage.plugin = "acme.total";
  stage.inputs = {{"in", 0}, {"in", 1}};
  stage.outputs = {{"out", 2}};
  stage.keyed = true;
  stage.config = R"({"unit": "m"})";
  return stage;
}

Plugin plugin() {
  Plugin plugin;
  plugin.name = "acme.total";
  plugin.inputs = {"in"};
  plugin.outputs = {"out"};
  plugin.keyed = true;
  plugin.schema = R"({"type": "object", "properties": {"unit": {"type": "string"}}})";
  return plugin;
}

template <typename Change>
std::string because(Change change, StageSpec of = stage(), const Plugin* before = nullptr) {
  Plugin other = plugin();
  change(other);
  return why_not(of, other, before).value_or("");
}

TEST(LibraryFit, TakesWhatTheTopologyReliesOn) {
  EXPECT_EQ(because([](Plugin&) {}), "");
  EXPECT_EQ(because([](Plugin& other) { other.key_preserving = other.mergeable = true; }), "") << "more is no harm";
}

TEST(LibraryFit, LooksAtNoJointOfHotKeys) {
  StageSpec splits = stage();
  splits.inputs.push_back({"in", 3});  // records of hot keys
  splits.inputs.push_back({"", 4});    // partial results
  splits.outputs.push_back({"", 4});
  EXPECT_EQ(because([](Plugin&) {}, splits), "");
}

TEST(LibraryFit, NamesWhatIsOtherwise) {
  EXPECT_EQ(because([](Plugin& other) { other.kind = PluginKind::kSink; }),
            "stage \"total\" is a stage, and the new acme.total is a sink");
  EXPECT_EQ(because([](Plugin& other) {
              other.inputs = {"left", "right"};
            }),
            "stage \"total\" has the input ports in, and the new acme.total has left, right");
  EXPECT_THAT(because([](Plugin& other) { other.outputs.emplace_back("late"); }), HasSubstr("the output ports out"));
  EXPECT_EQ(because([](Plugin& other) { other.keyed = false; }),
            "stage \"total\" is keyed, and the new acme.total is not");
  StageSpec preserving = stage();
  preserving.key_preserving = true;
  EXPECT_THAT(because([](Plugin&) {}, preserving), HasSubstr("preserves keys"));
  Plugin merging = plugin();
  merging.mergeable = true;
  EXPECT_THAT(because([](Plugin&) {}, stage(), &merging), HasSubstr("can merge"));
  EXPECT_THAT(because([](Plugin& other) { other.local = true; }), HasSubstr("things of one machine"));
  EXPECT_THAT(because([](Plugin& other) { other.sharing = Sharing::kShard; }),
              HasSubstr("is shared as \"single\", and that of the new acme.total as \"shard\""));
  EXPECT_THAT(because([](Plugin& other) { other.schema = R"({"type": "object", "required": ["scale"]})"; }),
              HasSubstr("the config of stage \"total\" is none for the new acme.total"));
  EXPECT_THAT(because([](Plugin& other) { other.schema.clear(); }), HasSubstr("takes none"));
}

TEST(KeptLibraries, KeepsWhatIsInALibraryUnderItsHash) {
  const testing_host::TemporaryFolder folder;
  const std::string source = folder / "total.so";
  testing_host::write_file(source, "one");
  const KeptLibraries kept(folder / "data");
  const std::string hash = *wire::library_hash(source);
  ASSERT_TRUE(wire::is_library_hash(hash));
  EXPECT_FALSE(kept.has(hash, "total.so"));
  const auto path = kept.keep(source, hash, "total.so");
  ASSERT_TRUE(path.ok()) << path.error().message;
  testing_host::write_file(source, "two");
  EXPECT_TRUE(kept.has(hash, "total.so"));
  EXPECT_EQ(kept.keep(source, hash, "total.so").value(), *path) << "it is there already";
  EXPECT_NE(*wire::library_hash(source), hash);
  EXPECT_FALSE(kept.keep(source, std::string(32, 'a'), "total.so").ok()) << "that is not what is in it";
  testing_host::write_file(*path, "damaged");
  EXPECT_FALSE(kept.has(hash, "total.so"));
  kept.forget_others({});
  EXPECT_EQ(wire::library_hash(*path).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace weir::launcher
