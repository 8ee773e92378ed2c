// SPDX-License-Identifier: Apache-2.0
// `weir run` against a broker and workers that are shell scripts: how processes are started, watched and ended.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <memory>

#include "tests/topologies/fake_installation.h"

namespace weir::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kReady =
    R"(say '{"event":"ready","endpoint":"ipc://here","http":"http://127.0.0.1:9464","incarnations_void":true}'
)";
constexpr std::string_view kCounts =
    R"(say '{"event":"status","state":"running","in":10,"out":7,"dead_letters":1,"waiting":3,"records_per_second":5}'
)";
/// Reads what the launcher says into broker.heard until it says stop.
constexpr std::string_view kUntilStop =
    R"(while read -r -u 9 line; do echo "$line" >>broker.heard; case "$line" in *stop*) exit 0;; *drain*) drained;; esac; done
)";
constexpr std::string_view kDrained = R"(drained() { say '{"event":"drained"}'; }
)";

class RunTest : public ::testing::Test {
 protected:
  RunTest() { at_.write_topology("t.json"); }

  void broker_does(std::initializer_list<std::string_view> parts) {
    std::string script;
    for (const std::string_view part : parts) script += part;
    at_.broker_does(script);
  }
  /// Whether a process with the number in file `name` is gone, or will be within 5 s.
  bool gone(std::string_view name) const {
    const pid_t pid = std::stoi(at_.read(name));
    for (int i = 0; i < 1000; ++i) {
      if (::kill(pid, 0) != 0) return true;
      ::usleep(5000);
    }
    return false;
  }

  FakeInstallation at_;
};

TEST_F(RunTest, StartsAWorkerProcessPerWorkerOnceTheBrokerServesAndEndsWithOneSentence) {
  broker_does({kReady, kCounts,
               "until [ -e worker.a.0.pid -a -e worker.b.1.pid -a -e worker.c.0.pid ]; do sleep 0.01; done\n",
               R"(say '{"event":"status","state":"running","in":10,"out":9,"dead_letters":1,"waiting":0}'
say '{"event":"finished"}'
)",
               kUntilStop});
  const auto run = at_.weir({"run", "t.json"});
  EXPECT_EQ(run->wait(), 0) << run->err();
  EXPECT_THAT(run->last_line(), ContainsRegex("^finished t in [0-9.]+ s: 10 records in, 9 out, 1 dead letters$"));
  EXPECT_THAT(run->err(), HasSubstr("t: metrics and status at http://127.0.0.1:9464/metrics"));
  EXPECT_EQ(run->out(), "");
  EXPECT_THAT(at_.read("worker.b.1.arguments"), HasSubstr("--broker ipc://here --stage b --worker 1"));
  EXPECT_THAT(at_.read("worker.b.1.arguments"), HasSubstr("lib/weir/fake.so"));
  EXPECT_THAT(at_.read("broker.arguments"), HasSubstr(".weir/t "));
  EXPECT_TRUE(gone("broker.pid"));
  EXPECT_TRUE(gone("worker.a.0.pid"));
}

TEST_F(RunTest, TellsABrokerThatItStartsAgainWhichJournalItMustFind) {
  broker_does({R"(say '{"event":"ready","endpoint":"ipc://here","http":null,"journal":"00000000000000ab"}'
if [ $start = 1 ]; then kill -9 $$; fi
say '{"event":"failed","reason":"it is gone"}'
)",
               kUntilStop});
  const auto run = at_.weir({"run", "t.json"});
  EXPECT_EQ(run->wait(), 1);
  EXPECT_EQ(run->last_line(), "failed t: it is gone");
  const std::string starts = at_.read("broker.arguments");
  const std::size_t second = starts.find('\n') + 1;
  EXPECT_THAT(starts.substr(0, second), Not(HasSubstr("--served")));
  EXPECT_THAT(starts.substr(second), HasSubstr("--served 00000000000000ab"));
}

TEST_F(RunTest, SaysThatATopologyHasFinishedAlready) {
  broker_does({kReady, R"(say '{"event":"status","state":"finished","in":5,"out":5}'
)",
               kUntilStop});
  const auto run = at_.weir({"run", "t.json"});
  EXPECT_EQ(run->wait(), 0);
  EXPECT_THAT(run->err(), HasSubstr("t: has finished already; --fresh starts over"));
  EXPECT_THAT(run->last_line(), ContainsRegex("^finished t in .*: 5 records in, 5 out, 0 dead letters$"));
}

TEST_F(RunTest, StaysUpAfterTheEndWhenHeld) {
  broker_does({kReady, R"(say '{"event":"status","state":"running"}'
say '{"event":"finished"}'
)",
               kUntilStop});
  const auto run = at_.weir({"run", "t.json", "--hold"});
  ASSERT_TRUE(run->says("stays up until Ctrl-C")) << run->err();
  run->signal(SIGINT);
  EXPECT_EQ(run->wait(), 0);
  EXPECT_THAT(run->last_line(), HasSubstr("finished t in "));
}

TEST_F(RunTest, DrainsOnTheFirstSignalAndSaysHowMuchWaits) {
  broker_does({kDrained, kReady, kCounts, kUntilStop});
  const auto run = at_.weir({"run", "t.json"});
  ASSERT_TRUE(at_.comes("worker.c.0.pid"));
  run->signal(SIGTERM);
  EXPECT_EQ(run->wait(), 0);
  EXPECT_EQ(run->last_line(), "stopped t, run again to go on: 3 records wait");
  EXPECT_THAT(at_.read("broker.heard"), EndsWith("{\"event\":\"drain\"}\n{\"event\":\"stop\"}\n"));
  EXPECT_TRUE(gone("worker.c.0.pid"));
}

TEST_F(RunTest, StopsAtOnceOnTheSecondSignal) {
  broker_does({"drained() { : >draining; }\n", kReady, kUntilStop});
  const auto run = at_.weir({"run", "t.json"});
  ASSERT_TRUE(at_.comes("worker.c.0.pid"));
  run->signal(SIGINT);
  ASSERT_TRUE(at_.comes("draining"));
  run->signal(SIGINT);
  EXPECT_EQ(run->wait(), 130);
  EXPECT_TRUE(gone("broker.pid"));
  EXPECT_TRUE(gone("worker.c.0.pid"));
}

TEST_F(RunTest, StartsAsManyWorkersAsTheBrokerSaysAndNoneAgainThatIsTooMany) {
  broker_does({R"(say '{"event":"ready","endpoint":"ipc://here","workers":{"b":1}}'
)",
               kCounts, R"x(until [ -e worker.b.0.pid ]; do sleep 0.01; done
[ -e worker.b.1.pid ] && touch too.early
say '{"event":"scaled","workers":{"b":3,"elsewhere":4}}'
until [ "$(cat worker.b.1.starts)$(cat worker.b.2.starts)" = 11 ]; do sleep 0.01; done
say '{"event":"scaled","workers":{"b":2}}'
kill -KILL $(cat worker.b.2.pid)
kill -KILL $(cat worker.b.0.pid)
until [ "$(cat worker.b.0.starts)" = 2 ]; do sleep 0.01; done
say '{"event":"finished"}'
)x",
               kUntilStop});
  const auto run = at_.weir({"run", "t.json"});
  EXPECT_EQ(run->wait(), 0) << run->err();
  EXPECT_FALSE(at_.exists("too.early"));
  EXPECT_EQ(at_.read("worker.b.2.starts"), "1\n");
  EXPECT_EQ(at_.read("worker.b.1.starts"), "1\n");
  EXPECT_THAT(at_.read("broker.heard"), HasSubstr(R"("stage":"b","worker":2)")) << "its death is told all the same";
}

TEST_F(RunTest, StartsAWorkerAgainAndTellsTheBrokerWhatHappened) {
  at_.worker_does("if [ $stage = b ] && [ $start = 1 ]; then kill -SEGV $$; fi; exec sleep 1000");
  broker_does({kReady, "until [ \"$(cat worker.b.0.starts)$(cat worker.b.1.starts)\" = 22 ]; do sleep 0.01; done\n",
               R"(say '{"event":"finished"}'
)",
               kUntilStop});
  const auto run = at_.weir({"run", "t.json"});
  EXPECT_EQ(run->wait(), 0) << run->err();
  EXPECT_THAT(at_.read("broker.heard"), HasSubstr(R"x("cause":"signal 11 (SIGSEGV)")x"));
  EXPECT_THAT(at_.read("broker.heard"), HasSubstr(R"("own_fault":true)"));
  EXPECT_THAT(run->err(), HasSubstr("worker b/0 ended by signal 11 (SIGSEGV), starting it again in 0.1 s"));
}

TEST_F(RunTest, GivesAStageUpAfterFiveDeathsWithItsLastWords) {
  at_.worker_does("if [ $stage = b ]; then echo 'no such model' >&2; exit 1; fi; exec sleep 1000");
  broker_does({kReady, kUntilStop});
  const auto run = at_.weir({"run", "t.json"});
  EXPECT_EQ(run->wait(), 1);
  EXPECT_THAT(
      run->last_line(),
      ContainsRegex("^failed t: stage b is given up on: worker [01] died 5 times in a row without a commit, last "
                    "by exit 1; its last words: no such model$"));
  EXPECT_THAT(run->err(), HasSubstr("b/0: no such model\n"));
}

TEST_F(RunTest, NeverGivesUpOnDeathsFromOutsideNorOnWorkersThatLostTheBroker) {
  at_.worker_does(
      "if [ $stage$worker = b0 ] && [ $start -lt 7 ]; then kill -KILL $$; fi\n"
      "if [ $stage$worker = b1 ] && [ $start -lt 7 ]; then exit 67; fi; exec sleep 1000");
  broker_does({kReady, R"sh(( until [ "$(cat worker.b.0.starts)$(cat worker.b.1.starts)" = 77 ];
    do sleep 0.05; done
say '{"event":"finished"}' ) &
)sh",
               kUntilStop});
  const auto run = at_.weir({"run", "t.json"});
  EXPECT_EQ(run->wait(), 0) << run->err();
  EXPECT_THAT(at_.read("broker.heard"), Not(HasSubstr(R"("own_fault":true)")));
}

TEST_F(RunTest, StartsAllOverWhenTheBrokerDies) {
  broker_does({R"(if [ $start = 2 ]; then touch broker.second; fi
)",
               kReady, R"(until [ -e worker.c.0.pid -a -e worker.b.1.pid ]; do sleep 0.01; done
if [ $start = 1 ]; then cp worker.c.0.pid first.pid; rm worker.c.0.pid; kill -KILL $$; fi
say '{"event":"finished"}'
)",
               kUntilStop});
  const auto run = at_.weir({"run", "t.json", "--fresh"});
  EXPECT_EQ(run->wait(), 0) << run->err();
  EXPECT_TRUE(at_.exists("broker.second"));
  EXPECT_TRUE(gone("first.pid"));
  EXPECT_THAT(run->err(), HasSubstr("the broker ended by signal 9 (SIGKILL), starting it again in 0.1 s"));
  const std::string arguments = at_.read("broker.arguments");
  EXPECT_NE(arguments.find("--fresh"), std::string::npos);
  EXPECT_EQ(arguments.find("--fresh"), arguments.rfind("--fresh")) << "only the first broker may delete";
}

TEST_F(RunTest, GivesTheBrokerUpAfterFiveFailedStarts) {
  at_.broker_does("echo 'broker: error: the disk is on fire' >&2; exit 7");
  const auto run = at_.weir({"run", "t.json"});
  EXPECT_EQ(run->wait(), 1);
  EXPECT_THAT(run->last_line(), HasSubstr("failed t: the broker is given up on: it died 5 times in a row"));
  EXPECT_THAT(run->last_line(), HasSubstr("exit 7; its last words: broker: error: the disk is on fire"));
  EXPECT_EQ(at_.read("broker.starts"), "5\n");
}

TEST_F(RunTest, BelievesABrokerThatSaysItCannotGoOn) {
  broker_does({R"(say '{"event":"failed","reason":"/x is in use by process 12"}'
exit 1
)"});
  const auto run = at_.weir({"run", "t.json"});
  EXPECT_EQ(run->wait(), 1);
  EXPECT_EQ(run->last_line(), "failed t: /x is in use by process 12");
  EXPECT_EQ(at_.read("broker.starts"), "1\n");
}

TEST_F(RunTest, FailsWithTheReasonOfAStageThatFailed) {
  broker_does({kReady,
               R"(say '{"event":"stage_failed","stage":"b","worker":1,"reason":"a record could not be processed"}'
)",
               kUntilStop});
  const auto run = at_.weir({"run", "t.json"});
  EXPECT_EQ(run->wait(), 1);
  EXPECT_EQ(run->last_line(), "failed t: stage b, worker 1: a record could not be processed");
}

TEST_F(RunTest, LeavesNoProcessBehindWhenItIsKilled) {
  broker_does({kReady, "exec sleep 1000\n"});
  const auto run = at_.weir({"run", "t.json"});
  ASSERT_TRUE(at_.comes("worker.c.0.pid"));
  run->signal(SIGKILL);
  run->wait();
  EXPECT_TRUE(gone("broker.pid"));
  for (const char* name : {"worker.a.0.pid", "worker.b.0.pid", "worker.b.1.pid", "worker.c.0.pid"})
    EXPECT_TRUE(!at_.exists(name) || gone(name)) << name;
}

TEST_F(RunTest, KillsAFencedWorkerThatDoesNotExit) {
  at_.worker_does("trap '' TERM INT; while true; do sleep 1000; done");
  broker_does({kReady, R"(until [ -e worker.b.0.pid ]; do sleep 0.01; done
pid=$(cat worker.b.0.pid); cp worker.b.0.pid fenced.pid; rm worker.b.0.pid
say "{\"event\":\"fenced\",\"stage\":\"b\",\"worker\":0,\"pid\":$pid,\"reason\":\"silent\"}"
until [ -e worker.b.0.pid ]; do sleep 0.01; done
say '{"event":"finished"}'
)",
               kUntilStop});
  const auto run = at_.weir({"run", "t.json"});
  EXPECT_EQ(run->wait(), 0) << run->err();
  EXPECT_TRUE(gone("fenced.pid"));
}

TEST_F(RunTest, DoesNotStartWorkersAgainWhoseStageHasFinished) {
  at_.worker_does("if [ $stage = a ]; then sleep 0.3; exit 0; fi; exec sleep 1000");
  broker_does({kReady, R"(until [ -e worker.a.0.pid ]; do sleep 0.01; done
say '{"event":"stage_finished","stage":"a"}'
pid=$(cat worker.a.0.pid); while kill -0 $pid 2>/dev/null; do sleep 0.01; done; sleep 0.5
say '{"event":"finished"}'
)",
               kUntilStop});
  const auto run = at_.weir({"run", "t.json"});
  EXPECT_EQ(run->wait(), 0) << run->err();
  EXPECT_EQ(at_.read("worker.a.0.starts"), "1\n");
}

TEST_F(RunTest, StartsOnlyTheStagesThatAreNamed) {
  broker_does({kReady, R"(until [ -e worker.a.0.pid -a -e worker.c.0.pid ]; do sleep 0.01; done; sleep 0.2
say '{"event":"finished"}'
)",
               kUntilStop});
  const auto run = at_.weir({"run", "t.json", "--stages", "a,c"});
  EXPECT_EQ(run->wait(), 0) << run->err();
  EXPECT_FALSE(at_.exists("worker.b.0.pid"));
  const auto wrong = at_.weir({"run", "t.json", "--stages", "a,cc"});
  EXPECT_EQ(wrong->wait(), 2);
  EXPECT_THAT(wrong->err(), HasSubstr("no stage \"cc\""));
}

TEST_F(RunTest, RefusesABadFileWithEveryErrorAndExitTwo) {
  at_.write("bad.json", R"({
  "name": "t",
  "streams": { "x": {} },
  "stages": {
    "a": { "plugin": "inn", "output": "x" },
    "c": { "plugin": "out", "input": "y" }
  }
})");
  const auto run = at_.weir({"run", "bad.json"});
  EXPECT_EQ(run->wait(), 2);
  EXPECT_THAT(run->err(), HasSubstr("bad.json:5: /stages/a/plugin: "));
  EXPECT_THAT(run->err(), HasSubstr("bad.json:6: /stages/c/input: "));
  const auto missing = at_.weir({"run", "missing.json"});
  EXPECT_EQ(missing->wait(), 2);
  EXPECT_THAT(missing->err(), HasSubstr("missing.json:1: cannot be read: No such file or directory\n"));
}

TEST_F(RunTest, RefusesADataDirectoryThatCannotBeMade) {
  at_.write("file", "");
  const auto run = at_.weir({"run", "t.json", "--data", "file/deeper"});
  EXPECT_EQ(run->wait(), 1);
  EXPECT_THAT(run->err(), HasSubstr("cannot be made"));
}

TEST_F(RunTest, PrintsRecordsOfConsolePrintOnStandardOutputUnprefixed) {
  at_.describe_does(R"(cat <<'END'
{"plugins": [{"name": "in", "kind": "source"}, {"name": "console.print", "kind": "sink"}]}
END
)");
  at_.write("print.json", R"({"name": "t", "streams": {"x": {}},
    "stages": {"a": {"plugin": "in", "output": "x"}, "c": {"plugin": "console.print", "input": "x"}}})");
  at_.worker_does("echo \"{\\\"value\\\":\\\"$stage\\\"}\"; touch said.$stage; exec sleep 1000");
  broker_does({kReady, R"(until [ -e said.a -a -e said.c ]; do sleep 0.01; done; say '{"event":"finished"}'
)",
               kUntilStop});
  const auto run = at_.weir({"run", "print.json"});
  EXPECT_EQ(run->wait(), 0) << run->err();
  EXPECT_EQ(run->out(), "{\"value\":\"c\"}\n");
  EXPECT_THAT(run->err(), HasSubstr("a/0: {\"value\":\"a\"}\n"));
}

}  // namespace
}  // namespace weir::testing
