// SPDX-License-Identifier: Apache-2.0
// The commands that need no broker: validate, graph, plugins, and what they say of bad libraries.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
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

TEST_F(CommandsTest, ALibraryThatSetNamesIsAFindingOfSet) {
  at_.describe_does("case $library in *bad.so) kill -SEGV $$;; esac\necho '{\"plugins\": []}'");
  at_.write("t.json", "{\n\"name\": \"t\",\n\"libraries\": [\n\"good.so\"\n],\n\"streams\": {}, \"stages\": {}}");
  const std::string finding = "\n--set:2: /libraries/0: the stage library ";
  const std::vector<std::string> set = {"--set", "/http=null", "--set", "/libraries=[\"bad.so\"]"};
  for (const char* command : {"validate", "run"}) {
    std::vector<std::string> arguments = {command, "t.json"};
    arguments.insert(arguments.end(), set.begin(), set.end());
    const auto done = at_.weir(arguments);
    EXPECT_EQ(done->wait(), 2);
    EXPECT_THAT("\n" + done->err(), HasSubstr(finding));
  }
  const auto added = at_.weir({"validate", "t.json", "--json", "--set", "/libraries/-=bad.so"});
  EXPECT_EQ(added->wait(), 2);
  const auto found = nlohmann::json::parse(added->out());
  EXPECT_EQ(found[0]["file"], "--set");
  EXPECT_EQ(found[0]["line"], 1);
  EXPECT_EQ(found[0]["pointer"], "/libraries/1");
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

TEST_F(CommandsTest, DoctorSaysNoWhereRunWouldNotBegin) {
  at_.use_real_broker();
  at_.write("file", "");
  for (const char* folder : {"foreign", "damaged", "lost", "new", "died"})
    std::filesystem::create_directories(at_.folder() / folder);
  at_.write("foreign/diary.txt", "");
  at_.write("damaged/weir.json", "{}");
  std::filesystem::create_directories(at_.folder() / "lost" / "journal");
  at_.write("died/lock", "1 1\n");
  const auto refused = [&](const char* data, const std::string& why) {
    const auto doctor = at_.weir({"doctor", "--data", data});
    EXPECT_EQ(doctor->wait(), 1) << data;
    EXPECT_THAT(doctor->out(), HasSubstr("BAD      data directory: " + (at_.folder() / why).string()));
    EXPECT_THAT(doctor->out(), HasSubstr("Weir cannot run here"));
    const auto run = at_.weir({"run", "t.json", "--data", data});
    EXPECT_EQ(run->wait(), 1) << data << ": " << run->err();
  };
  refused("file", "file is no directory");
  refused("file/deeper", "file is no directory");
  refused("foreign", "foreign holds \"diary.txt\" and no weir.json: it is not a data directory of Weir");
  refused("damaged", "damaged/weir.json is damaged");
  refused("lost", "lost holds \"journal\" and no weir.json: it has lost that");
  for (const char* data : {"new", "died", "new/deeper"}) {
    const auto doctor = at_.weir({"doctor", "--data", data});
    EXPECT_EQ(doctor->wait(), 0) << data << ": " << doctor->out();
  }
  // Unasked it looks at the folder of all that run here.
  std::filesystem::create_directories(at_.folder() / ".weir" / "t");
  EXPECT_EQ(at_.weir({"doctor"})->wait(), 0);
  std::filesystem::remove_all(at_.folder() / ".weir");
  at_.write(".weir", "");
  EXPECT_EQ(at_.weir({"doctor"})->wait(), 1);
}

TEST_F(CommandsTest, EveryCommandSaysOfABadFileWhereItIsWrongAndEndsWithTwo) {
  at_.write("bad.json", "{\n\"name\": t\n}");
  at_.write("unset.json", "{\n\"name\": \"t\",\n\"broker\": {\"data_dir\": \"${NOT_SET_ANYWHERE}\"}\n}");
  at_.write("nameless.json", "{\n}");
  using Line = std::vector<std::string>;
  for (const Line& line :
       {Line{"status"}, Line{"tail", "x"}, Line{"produce", "x"}, Line{"consume", "x", "--group", "g"},
        Line{"consume", "x", "--group", "g", "--drop"}, Line{"dead-letters", "list"}, Line{"dead-letters", "show"},
        Line{"dead-letters", "requeue", "--all"}, Line{"replay", "b", "--stream", "x", "--from", "start"},
        Line{"scale", "b", "2"}, Line{"upgrade", "b", "--back"}, Line{"journal", "check"}, Line{"journal", "dump"},
        Line{"journal", "salvage", "--to", "new"}, Line{"validate"}, Line{"run"}, Line{"graph"}}) {
    const bool loose = line[0] != "validate" && line[0] != "run" && line[0] != "graph";
    const auto expect = [&](const char* file, const std::string& finding) {
      Line whole = line;
      whole.emplace_back(file);
      const auto done = at_.weir(whole);
      EXPECT_EQ(done->wait(), 2) << whole[0] << " " << file << ": " << done->err();
      EXPECT_EQ(done->err().substr(0, finding.size()), finding);
      EXPECT_EQ(done->out(), "");
    };
    expect("missing.json", "missing.json:1: cannot be read: No such file or directory\n");
    expect("bin", "bin:1: cannot be read: Is a directory\n");
    expect("bad.json", "bad.json:2: this is no valid JSON");
    if (!loose) continue;
    expect("unset.json", "unset.json:3: /broker/data_dir: ");
    expect("nameless.json", "nameless.json:1: /name: ");
  }
  // That nothing runs is no mistake in the file.
  const auto status = at_.weir({"status", "t.json"});
  EXPECT_EQ(status->wait(), 1);
  EXPECT_THAT(status->err(), HasSubstr("weir: error: t.json has not run here: "));
}

TEST_F(CommandsTest, ValidatePrintsAFileThatCannotBeReadAsJsonToo) {
  const auto validate = at_.weir({"validate", "missing.json", "--json"});
  EXPECT_EQ(validate->wait(), 2);
  const auto found = nlohmann::json::parse(validate->out());
  ASSERT_EQ(found.size(), 1U) << found;
  EXPECT_EQ(found[0]["severity"], "error");
  EXPECT_EQ(found[0]["file"], "missing.json");
  EXPECT_EQ(found[0]["line"], 1);
  EXPECT_EQ(found[0]["pointer"], "");
  EXPECT_EQ(found[0]["message"], "cannot be read: No such file or directory");
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
