// SPDX-License-Identifier: Apache-2.0
// The commands that need no broker: validate, graph, plugins, and what they say of bad libraries.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "tests/topologies/fake_installation.h"

namespace weir::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CommandsTest : public ::testing::Test {
 protected:
  CommandsTest() { at_.write_topology("t.json"); }
  FakeInstallation at_;
};

TEST_F(CommandsTest, ValidateSaysThatAFileIsValid) {
  const auto validate = at_.weir({"validate", "t.json"});
  EXPECT_EQ(validate->wait(), 0) << validate->err();
  EXPECT_THAT(validate->out(), HasSubstr("t.json: t is valid"));
}

TEST_F(CommandsTest, ValidatePrintsItsFindingsAsJson) {
  const auto validate = at_.weir({"validate", "t.json", "--json", "--set", "/stages/b/config/x=no"});
  EXPECT_EQ(validate->wait(), 2);
  const auto found = nlohmann::json::parse(validate->out());
  ASSERT_EQ(found.size(), 1U) << found;
  EXPECT_EQ(found[0]["severity"], "error");
  EXPECT_EQ(found[0]["pointer"], "/stages/b/config/x");
}

TEST_F(CommandsTest, ALibraryThatCrashesWhileLoadingIsASentenceWithItsPlace) {
  at_.describe_does(
      "case $library in *bad.so) echo 'about to fall' >&2; kill -SEGV $$;; esac\necho '{\"plugins\": []}'");
  at_.write("t.json", "{\n\"name\": \"t\",\n\"libraries\": [\n\"bad.so\"\n],\n\"streams\": {}, \"stages\": {}}");
  const auto validate = at_.weir({"validate", "t.json"});
  EXPECT_EQ(validate->wait(), 2);
  EXPECT_THAT(validate->err(), HasSubstr("t.json:4: /libraries/0: the stage library "));
  EXPECT_THAT(validate->err(), HasSubstr("crashes while loading: signal 11 (SIGSEGV): about to fall"));
}

TEST_F(CommandsTest, WhereALibrarysProcessIsKilledThatIsTheErrorAndNotThatAPluginIsMissing) {
  for (const auto& [signal, cause] :
       {std::pair("KILL", "somebody killed the process that reads what is in the stage library"),
        std::pair("SEGV", "crashes while loading: signal 11 (SIGSEGV)")}) {
    at_.describe_does(std::string("kill -") + signal + " $$");
    for (const char* command : {"run", "validate"}) {
      const auto done = at_.weir({command, "t.json"});
      EXPECT_EQ(done->wait(), 1) << signal << ": " << done->err();
      EXPECT_THAT(done->err(), HasSubstr(cause));
      EXPECT_THAT(done->err(), HasSubstr("warning: no plugin \"work\""));
      EXPECT_THAT(done->err(), Not(HasSubstr("warning: the stage library")));
    }
    // A mistake in the file stays one.
    at_.write("wrong.json", R"({"name": "t", "streams": {"x": {}}, "stages": {"a": {"plugin": "in", "output": "y"}}})");
    const auto wrong = at_.weir({"run", "wrong.json"});
    EXPECT_EQ(wrong->wait(), 2) << wrong->err();
  }
}

TEST_F(CommandsTest, ALibraryWhoseProcessIsKilledOnceOrTwiceIsAskedAgain) {
  at_.before_it_describes("echo >>asked; [ $(wc -l <asked) -ge 3 ] || kill -KILL $$");
  const auto validate = at_.weir({"validate", "t.json"});
  EXPECT_EQ(validate->wait(), 0) << validate->err();
  EXPECT_THAT(validate->err(), Not(HasSubstr("killed")));
}

TEST_F(CommandsTest, GraphPrintsMermaidOrDot) {
  const auto mermaid = at_.weir({"graph", "t.json"});
  EXPECT_EQ(mermaid->wait(), 0);
  EXPECT_THAT(mermaid->out(), HasSubstr("flowchart"));
  const auto dot = at_.weir({"graph", "t.json", "--format", "dot"});
  EXPECT_EQ(dot->wait(), 0);
  EXPECT_THAT(dot->out(), HasSubstr("digraph"));
}

TEST_F(CommandsTest, PluginsListsThemAndExplainsOne) {
  const auto all = at_.weir({"plugins", "--json"});
  EXPECT_EQ(all->wait(), 0) << all->err();
  const auto list = nlohmann::json::parse(all->out());
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0]["name"], "in");
  EXPECT_EQ(list[0]["kind"], "source");
  const auto one = at_.weir({"plugins", "work"});
  EXPECT_EQ(one->wait(), 0);
  EXPECT_THAT(one->out(), HasSubstr("\"integer\""));
  const auto wrong = at_.weir({"plugins", "wrok"});
  EXPECT_EQ(wrong->wait(), 1);
  EXPECT_THAT(wrong->err(), HasSubstr("did you mean \"work\"?"));
}

TEST_F(CommandsTest, NewStageWritesAFolderOnceAndOnlyUnderAProperName) {
  const auto first = at_.weir({"new-stage", "top-words"});
  EXPECT_EQ(first->wait(), 0) << first->err();
  for (const char* name : {"CMakeLists.txt", "top-words.cc", "top-words_test.cc", "top-words.json", "README.md"})
    EXPECT_TRUE(at_.exists(std::string("top-words/") + name)) << name;
  const std::string source = at_.read("top-words/top-words.cc");
  EXPECT_THAT(source, HasSubstr("class TopWords final : public weir::Stage"));
  EXPECT_THAT(source, HasSubstr("WEIR_STAGE(TopWords, \"top-words\");"));
  EXPECT_THAT(source, ::testing::Not(HasSubstr("@")));
  EXPECT_THAT(at_.read("top-words/CMakeLists.txt"), HasSubstr(at_.folder().string()));
  const auto second = at_.weir({"new-stage", "top-words"});
  EXPECT_EQ(second->wait(), 1);
  EXPECT_THAT(second->err(), HasSubstr("./top-words exists already"));
  EXPECT_EQ(at_.weir({"new-stage", "Top"})->wait(), 2);
  const auto reserved = at_.weir({"new-stage", "test"});
  EXPECT_EQ(reserved->wait(), 2);
  EXPECT_THAT(reserved->err(), HasSubstr("CMake has a target of its own"));
  EXPECT_FALSE(at_.exists("test"));
}

TEST_F(CommandsTest, DoctorMeasuresTheDiskAndSaysWhatIsMissing) {
  const auto well = at_.weir({"doctor", "--json"});
  EXPECT_EQ(well->wait(), 0) << well->out();
  const auto report = nlohmann::json::parse(well->out());
  EXPECT_TRUE(report["ok"].get<bool>());
  EXPECT_GE(report["sync_overwriting_ms"].get<double>(), 0);
  EXPECT_FALSE(at_.exists(".weir")) << "it only looks";
  at_.describe_does("exit 1");
  const auto ill = at_.weir({"doctor"});
  EXPECT_EQ(ill->wait(), 1);
  EXPECT_THAT(ill->out(), HasSubstr("BAD      libraries: 0 plugins"));
}

TEST_F(CommandsTest, ABadCommandLineIsExitTwoAndHelpAndVersionAreExitZero) {
  EXPECT_EQ(at_.weir({})->wait(), 2);
  EXPECT_EQ(at_.weir({"fly"})->wait(), 2);
  EXPECT_EQ(at_.weir({"run"})->wait(), 2);
  EXPECT_EQ(at_.weir({"run", "t.json", "--log-level", "loud"})->wait(), 2);
  EXPECT_EQ(at_.weir({"run", "--help"})->wait(), 0);
  const auto version = at_.weir({"--version"});
  EXPECT_EQ(version->wait(), 0);
  EXPECT_THAT(version->out(), HasSubstr("weir 0."));
}

}  // namespace
}  // namespace weir::testing
