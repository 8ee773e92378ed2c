// SPDX-License-Identifier: Apache-2.0
// Fused chains, external streams and warnings.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sdk/topology/standard_plugins.h"

namespace weir {
namespace {

std::string file(const std::string& streams, const std::string& stages, const std::string& more = "") {
  return "{\"name\": \"t\"" + more + ",\n\"streams\": {" + streams + "},\n\"stages\": {\n" + stages + "\n}}";
}

const std::string kNumbers = R"("n": {"plugin": "generate.sequence", "output": "a", "config": {"to": 9}})";

TEST(Rules, GiveAChainOfFusedStagesTheHostAtItsHead) {
  const Loaded loaded = load(file(
      R"("a": {"partition": {"by": "hash"}}, "b": {"transport": "fused"}, "c": {"transport": "fused"})", kNumbers + R"(,
    "p": {"plugin": "console.print", "input": "c", "workers": 2},
    "s": {"plugin": "keyed.sum", "input": "b", "output": "c", "workers": 2},
    "f": {"plugin": "filter", "input": "a", "output": "b", "workers": 2})"));
  ASSERT_EQ(findings(loaded), "");
  EXPECT_EQ(loaded.topology->find_stage("n")->host, 0U);
  EXPECT_EQ(loaded.topology->find_stage("f")->host, 3U);
  EXPECT_EQ(loaded.topology->find_stage("s")->host, 3U);
  EXPECT_EQ(loaded.topology->find_stage("p")->host, 3U);
}

TEST(Rules, RefuseFusedStagesThatCannotBeOneWorker) {
  EXPECT_EQ(
      findings(load(file(R"("a": {"transport": "fused"})", kNumbers + R"(,
    "p": {"plugin": "console.print", "input": "a", "workers": 2})"))),
      "t.json:5: /stages/p/workers: stages \"n\" and \"p\" are one worker, since stream \"a\" is fused, but ask for 1 "
      "and 2 workers; give both the same number\n");
  EXPECT_EQ(findings(load(file(R"("a": {"transport": "fused"})", kNumbers + R"(,
    "p": {"plugin": "console.print", "input": "a"},
    "q": {"plugin": "console.print", "input": "a"})"))),
            "t.json:2: /streams/a: a fused stream joins one stage to one other, but p, q read this one\n");
  EXPECT_EQ(findings(load(file(R"("a": {"transport": "fused"})", kNumbers + R"(,
    "m": {"plugin": "generate.sequence", "output": "a", "config": {"to": 9}},
    "p": {"plugin": "console.print", "input": "a"})"))),
            "t.json:2: /streams/a: a fused stream joins one stage to one other, but n, m write this one\n");
  EXPECT_EQ(findings(load(file(R"("a": {"transport": "fused"}, "b": {"external": "in"})", kNumbers + R"(,
    "p": {"plugin": "console.print", "input": ["b", "a"]})"))),
            "t.json:5: /stages/p/input/1: a stage behind a fused stream takes no other input\n");
}

TEST(Rules, RefuseASinkFusedToASource) {
  EXPECT_EQ(
      findings(load(file(R"("a": {"transport": "fused"})", kNumbers + R"(,
    "p": {"plugin": "console.print", "input": "a"})"))),
      "t.json:5: /stages/p: a sink sees only records that are durable, and a source's become so in a \"queue\" stream; "
      "put one between them\n");
}

TEST(Rules, RefuseWhatMakesAQueueOnAFusedStream) {
  EXPECT_EQ(
      findings(
          load(file("\"a\": {\"transport\": \"fused\", \"shards\": 4,\n\"dispatch\": \"round_robin\"}", kNumbers + R"(,
    "p": {"plugin": "console.print", "input": "a"})"))),
      "t.json:2: /streams/a/shards: a fused stream takes no \"shards\": its producer and its consumer are one worker\n"
      "t.json:3: /streams/a/dispatch: a fused stream takes no \"dispatch\": its producer and its consumer are one "
      "worker\n");
}

TEST(Rules, LetAKeyedStageFollowAFusedStreamOnlyWhereTheChainKeepsTheKey) {
  const auto chain = [](const std::string& partition, const std::string& plugin) {
    return findings(load(file(
        R"("a": {"partition": {"by": ")" + partition + R"("}}, "b": {"transport": "fused"}, "c": {})", kNumbers + R"(,
    "f": {"plugin": ")" + plugin + R"(", "input": "a", "output": "b"},
    "s": {"plugin": "keyed.sum", "input": "b", "output": "c"},
    "p": {"plugin": "console.print", "input": "c"})")));
  };
  EXPECT_EQ(chain("modulo", "filter"), "");
  EXPECT_EQ(
      chain("hash", "text.words"),
      "t.json:6: /stages/s/input: plugin \"keyed.sum\" keeps state per key behind a fused stream, but stage \"f\" "
      "before it does not keep the key\n");
  EXPECT_EQ(chain("none", "filter"),
            "t.json:6: /stages/s/input: plugin \"keyed.sum\" keeps state per key behind a fused stream, but the chain "
            "begins with \"f\", whose input is not keyed\n");
  EXPECT_EQ(findings(load(file(R"("a": {"transport": "fused"}, "c": {})", kNumbers + R"(,
    "s": {"plugin": "keyed.sum", "input": "a", "output": "c"},
    "p": {"plugin": "console.print", "input": "c"})"))),
            "t.json:5: /stages/s/input: plugin \"keyed.sum\" keeps state per key behind a fused stream, but the chain "
            "begins with the source \"n\", not with a keyed stream\n");
}

TEST(Rules, FindACycleOfFusedStreams) {
  EXPECT_EQ(findings(load(file(R"("a": {"transport": "fused"}, "b": {"transport": "fused"})", R"(
    "f": {"plugin": "filter", "input": "a", "output": "b"},
    "g": {"plugin": "filter", "input": "b", "output": "a"})"))),
            "t.json:2: /streams/a: stream \"a\" closes a cycle of the stages f, g; if its records are to come "
            "round again, write \"loop\": true\n");
}

TEST(Rules, TakeALoopThatClosesACycleAndNoOther) {
  const auto loop = [](const std::string& a, const std::string& b, const std::string& more = "") {
    return findings(load(file("\"n\": {}, \"a\": {" + a + "}, \"b\": {" + b + "}, \"out\": {}", R"(
    "s": {"plugin": "generate.sequence", "output": "n", "config": {"to": 9}},
    "f": {"plugin": "filter", "input": ["n", "b"], "output": "a"},
    "g": {"plugin": "filter", "input": "a", "output": "b"},
    "h": {"plugin": "filter", "input": "a", "output": "out"},
    "p": {"plugin": "console.print", "input": "out"})" + more)));
  };
  EXPECT_EQ(loop("", R"("loop": true)"), "");
  EXPECT_EQ(loop(R"("loop": true)", ""), "") << "either stream closes it";
  EXPECT_EQ(loop(R"("loop": true)", R"("loop": true)"), "");
  EXPECT_EQ(loop("", R"("loop": false)"),
            "t.json:2: /streams/b: stream \"b\" closes a cycle of the stages f, g; if its records are to come round "
            "again, write \"loop\": true\n");
  EXPECT_EQ(
      loop("", R"("loop": true, "transport": "fused")"),
      "t.json:2: /streams/b/loop: a fused stream takes no \"loop\": its producer and its consumer are one worker\n"
      "t.json:6: /stages/f/input/1: a stage behind a fused stream takes no other input\n");
  EXPECT_EQ(findings(load(file(R"("a": {"loop": true})", kNumbers + R"(,
    "p": {"plugin": "console.print", "input": "a"})"))),
            "t.json:2: /streams/a/loop: stream \"a\" closes no cycle: nothing that its readers emit comes back to n\n");
}

TEST(Rules, TakeAStageThatReadsItsOwnOutput) {
  EXPECT_EQ(findings(load(file(R"("a": {}, "again": {"loop": true}, "m": {})", kNumbers + R"(,
    "f": {"plugin": "filter", "input": ["a", "again"], "output": "again"},
    "q": {"plugin": "filter", "input": "again", "output": "m"},
    "p": {"plugin": "console.print", "input": "m"})"))),
            "");
}

TEST(Rules, RefuseAResultAtTheEndThatGoesRound) {
  const std::string keyed = R"("partition": {"by": "hash"})";
  EXPECT_EQ(
      findings(load(file("\"a\": {" + keyed + "}, \"again\": {\"loop\": true, " + keyed + "}", kNumbers + R"(,
    "c": {"plugin": "keyed.count", "input": ["a", "again"], "output": "again", "config": {"emit": "final"}},
    "p": {"plugin": "console.print", "input": "again"})"))),
      "t.json:5: /stages/c/config: stage \"c\" emits when its input has ended, but the loop over stream \"again\" "
      "ends only when nothing goes round any more\n");
}

TEST(Rules, TakeStreamsThatGroupsOutsideRead) {
  EXPECT_EQ(findings(load(file(R"("a": {"external": "out"})", kNumbers))), "");
  EXPECT_EQ(findings(load(file(R"("a": {}, "b": {"external": "both"})", kNumbers + R"(,
    "p": {"plugin": "console.print", "input": "a"})"))),
            "");
}

TEST(Rules, BindPortsByNameAndListsToPortIn) {
  const std::string streams = R"("a": {"external": "in", "partition": {"by": "hash"}},
    "b": {"external": "in", "partition": {"by": "hash"}}, "m": {}, "r": {})";
  const Loaded loaded = load(file(streams, R"(
    "j": {"plugin": "join", "inputs": {"left": "a", "right": "b"}, "outputs": {"matched": "m", "rest": "r"}},
    "p": {"plugin": "console.print", "input": ["m", "r"]})"));
  ASSERT_EQ(findings(loaded), "");
  const StageSpec& join = *loaded.topology->find_stage("j");
  EXPECT_EQ(join.inputs[1].port, "right");
  EXPECT_EQ(join.inputs[1].stream, 1U);
  EXPECT_EQ(join.outputs[0].port, "matched");
  const StageSpec& print = *loaded.topology->find_stage("p");
  ASSERT_EQ(print.inputs.size(), 2U);
  EXPECT_EQ(print.inputs[0].port, "in");
  EXPECT_EQ(print.inputs[1].port, "in");
  EXPECT_EQ(findings(load(file(streams, R"(
    "j": {"plugin": "join", "inputs": {"left": "a"}, "outputs": {"matched": "m", "rest": "r"}},
    "k": {"plugin": "console.print", "input": "b"},
    "p": {"plugin": "console.print", "input": ["m", "r"]})"))),
            "t.json:6: /stages/j/input: port \"right\" of plugin \"join\" is joined to no stream; write \"inputs\": "
            "{\"right\": \"STREAM\"}\n");
}

TEST(Rules, LetSeveralStagesWriteOneStreamAndSeveralReadIt) {
  EXPECT_EQ(findings(load(file(R"("a": {"external": "in"})", kNumbers + R"(,
    "m": {"plugin": "generate.sequence", "output": "a", "config": {"to": 9}},
    "p": {"plugin": "console.print", "input": "a"}, "q": {"plugin": "console.print", "input": "a"})"))),
            "");
}

TEST(Rules, RefuseInputsThatDifferInShards) {
  EXPECT_EQ(
      findings(load(file(R"("a": {"external": "in", "partition": {"by": "hash"}},
    "b": {"external": "in", "partition": {"by": "hash"}, "shards": 16}, "c": {})",
                         R"(
    "s": {"plugin": "keyed.sum", "input": ["a", "b"], "output": "c"},
    "p": {"plugin": "console.print", "input": "c"})"))),
      "t.json:6: /stages/s/input/1: the inputs of a stage must agree: \"a\" is partitioned by hash into 32 shards, "
      "\"b\" is partitioned by hash into 16 shards\n");
}

TEST(Rules, RefuseInputsWithOtherBoundaries) {
  const auto found = [](const char* one, const char* other) {
    const auto stream = [](const char* name, const char* boundaries) {
      return fmt::format(R"("{}": {{"external": "in", "partition": {{"by": "range", "boundaries": {}}}}})", name,
                         boundaries);
    };
    return findings(load(file(stream("a", one) + ",\n" + stream("b", other) + R"(, "c": {})", R"(
    "s": {"plugin": "keyed.sum", "input": ["a", "b"], "output": "c"},
    "p": {"plugin": "console.print", "input": "c"})")));
  };
  EXPECT_EQ(found("[1, 2.5]", "[1.0, 2.5]"), "") << "they mean the same keys";
  EXPECT_EQ(found("[1, 2]", "[1, 2.5]"),
            "t.json:6: /stages/s/input/1: the inputs of a stage must agree: \"a\" is partitioned by range into 3 "
            "shards at [1, 2], \"b\" is partitioned by range into 3 shards at [1, 2.5]\n");
}

TEST(Warnings, SayWherePriorityHasNoEffect) {
  EXPECT_EQ(findings(load(file(R"("a": {"dispatch": "priority"})",
                               kNumbers + R"(, "p": {"plugin": "console.print", "input": "a"})"))),
            "t.json:4: /stages/p/input: warning: sink \"p\" takes the records of stream \"a\" as they come, so that "
            "\"priority\" has no effect; put a stage between them\n");
}

TEST(Warnings, SayWhereASinkMayWriteWhatThePowerCutTakesBack) {
  const std::string stages = kNumbers + R"(, "p": {"plugin": "console.print", "input": "a"})";
  const std::string sentence =
      "warning: sink \"p\" reads stream \"a\" under durability \"none\": after a power cut it may "
      "have written what the journal has lost, and writes it again\n";
  const Loaded whole = load(file(R"("a": {})", stages, R"(, "broker": {"durability": "none"})"));
  EXPECT_TRUE(whole.topology);
  EXPECT_EQ(findings(whole), "t.json:1: /broker/durability: " + sentence);
  EXPECT_EQ(findings(load(file(R"("a": {"durability": "none"})", stages))),
            "t.json:2: /streams/a/durability: " + sentence);
  EXPECT_EQ(findings(load(file(R"("a": {"durability": "interval"})", stages, R"(, "broker": {"durability": "none"})"))),
            "");
}

TEST(Warnings, CountTheWorkersThatWouldIdle) {
  EXPECT_EQ(findings(load(file(R"("a": {"partition": {"by": "hash"}, "shards": 2}, "b": {})", kNumbers + R"(,
    "s": {"plugin": "keyed.sum", "input": "a", "output": "b", "workers": 3},
    "p": {"plugin": "console.print", "input": "b", "workers": 2})"))),
            "t.json:5: /stages/s/workers: warning: 3 workers share 2 shards of the input, so 1 would idle\n"
            "t.json:6: /stages/p/workers: warning: 2 workers share 1 shard of the input, so 1 would idle\n");
}

TEST(Warnings, SayWhereEventTimeIsNotToldToAStageThatWantsIt) {
  const auto clock = [](const std::string& stream) {
    return findings(load(file("\"a\": {" + stream + "}, \"b\": {}", kNumbers + R"(,
    "c": {"plugin": "test.clock", "input": "a", "output": "b"},
    "p": {"plugin": "console.print", "input": "b"})")));
  };
  EXPECT_EQ(clock(R"("partition": {"by": "hash"})"), "");
  EXPECT_EQ(clock(""),
            "t.json:5: /stages/c/input: warning: plugin \"test.clock\" has on_watermark, which is called only behind "
            "keyed streams, and stream \"a\" is not; give it \"partition\": {\"by\": \"hash\"}\n");
}

TEST(Warnings, SayThatFinalNeedsAnEnd) {
  const auto count = [](const std::string& config, const std::string& streams) {
    return findings(
        load(file(streams, R"("n": {"plugin": "generate.sequence", "output": "a", "config": )" + config + R"(},
    "f": {"plugin": "filter", "input": "a", "output": "b"},
    "c": {"plugin": "keyed.count", "input": "b", "output": "c", "config": {"emit": "final"}},
    "p": {"plugin": "console.print", "input": "c"})")));
  };
  const std::string streams = R"("a": {"external": "in"}, "b": {"partition": {"by": "hash"}}, "c": {})";
  EXPECT_EQ(count(R"({"to": 3})", streams), "") << "external streams can be ended";
  EXPECT_EQ(count("{}", streams),
            "t.json:6: /stages/c/config: warning: final on an input that cannot end: source \"n\" "
            "never ends, so stage \"c\" emits nothing\n");
}

TEST(Warnings, SayWhereOrderIsLostBeforeAStageThatNeedsIt) {
  const auto last = [](const std::string& op, const std::string& workers) {
    return findings(load(file(R"("a": {}, "b": {"partition": {"by": "hash"}}, "c": {})", kNumbers + R"(,
    "f": {"plugin": "filter", "input": "a", "output": "b", "workers": )" + workers + R"(},
    "r": {"plugin": "keyed.reduce", "input": "b", "output": "c", "config": {"op": ")" + op + R"("}},
    "p": {"plugin": "console.print", "input": "c"})")));
  };
  EXPECT_EQ(last("max", "2"), "");
  EXPECT_EQ(last("last", "1"), "");
  EXPECT_EQ(last("last", "2"),
            "t.json:6: /stages/r: warning: the result depends on the order of records, which the 2 "
            "workers of stage \"f\" do not keep\n");
}

TEST(Rules, LetANumberOfWorkersFollowOnlyWhatWaitsAtTheBroker) {
  const std::string follows = R"("workers": {"max": 2})";
  EXPECT_EQ(findings(load(file(R"("a": {"transport": "push_pull"}, "b": {})", kNumbers + R"(,
    "f": {"plugin": "filter", "input": "a", "output": "b", )" + follows + R"(},
    "p": {"plugin": "console.print", "input": "b"})"))),
            "t.json:5: /stages/f/workers: a stage that is sent records past the broker has no backlog that its workers "
            "could follow; give their number\n");
  EXPECT_EQ(
      findings(load(file(R"("a": {}, "b": {"transport": "fused"}, "c": {})", kNumbers + R"(,
    "f": {"plugin": "filter", "input": "a", "output": "b", "workers": 2},
    "g": {"plugin": "filter", "input": "b", "output": "c", )" + follows + R"(},
    "p": {"plugin": "console.print", "input": "c"})"))),
      "t.json:6: /stages/g/workers: stages \"f\" and \"g\" are one worker, since stream \"b\" is fused, but ask for 2 "
      "and 1 to 2 workers; give both the same number\n");
  EXPECT_EQ(findings(load(file(R"("a": {})", R"("n": {"plugin": "generate.sequence", "output": "a", )" + follows + R"(},
    "p": {"plugin": "console.print", "input": "a"})"))),
            "t.json:4: /stages/n/workers: a source has no backlog that its workers could follow; give their number\n");
}

TEST(Rules, GiveAStreamPastTheBrokerOneReaderThatTakesRecordsOneByOne) {
  const std::string streams = R"("a": {"transport": "push_pull"}, "b": {}, "c": {})";
  EXPECT_EQ(
      findings(load(file(streams, kNumbers + R"(,
    "f": {"plugin": "filter", "input": "a", "output": "b", "workers": 2},
    "g": {"plugin": "filter", "input": "a", "output": "c"},
    "p": {"plugin": "console.print", "input": ["b", "c"]})"))),
      "t.json:2: /streams/a: a push_pull stream leads to one stage, but 2 read this one; let them read a queue\n");
  EXPECT_EQ(
      findings(load(file(R"("a": {"transport": "push_pull"})", kNumbers + R"(,
    "p": {"plugin": "console.print", "input": "a"})"))),
      "t.json:5: /stages/p/input: sink \"p\" takes whole shards in order, which a push_pull stream does not have; "
      "put a \"queue\" stream in front of it\n");
  EXPECT_EQ(
      findings(load(file(R"("a": {"transport": "push_pull"}, "b": {"transport": "fused"})", kNumbers + R"(,
    "f": {"plugin": "filter", "input": "a", "output": "b"},
    "p": {"plugin": "console.print", "input": "b"})"))),
      "t.json:5: /stages/f/input: sink \"p\" takes whole shards in order, which a push_pull stream does not have; "
      "put a \"queue\" stream in front of it\n");
  EXPECT_EQ(findings(load(file(R"("a": {"transport": "push_pull"}, "b": {})", kNumbers + R"(,
    "s": {"plugin": "keyed.sum", "input": "a", "output": "b"},
    "p": {"plugin": "console.print", "input": "b"})"))),
            "t.json:5: /stages/s/input: plugin \"keyed.sum\" keeps state per key, but a push_pull stream is not keyed; "
            "make \"a\" a queue with \"partition\": {\"by\": \"hash\"}\n");
  EXPECT_EQ(
      findings(load(file(R"("a": {"transport": "push_pull"}, "b": {"loop": true}, "c": {})", kNumbers + R"(,
    "f": {"plugin": "filter", "input": ["a", "b"], "output": "c"},
    "g": {"plugin": "filter", "input": "c", "output": "b"})"))),
      "t.json:5: /stages/f/input/0: stage \"f\" is part of a loop, which takes nothing new while it is full, and a "
      "push_pull stream keeps nothing; make \"a\" a queue\n");
}

TEST(Rules, LetSeveralStagesReadWhatIsPublished) {
  EXPECT_EQ(
      findings(load(file(R"("a": {"transport": "pub_sub", "last_values": "1MiB"}, "b": {}, "c": {})", kNumbers + R"(,
    "f": {"plugin": "filter", "input": "a", "output": "b", "workers": 2},
    "g": {"plugin": "filter", "input": "a", "output": "c"},
    "p": {"plugin": "console.print", "input": ["b", "c"]})"))),
      "");
  EXPECT_EQ(
      findings(load(file(R"("a": {"transport": "pub_sub"}, "b": {})", kNumbers + R"(,
    "f": {"plugin": "filter", "input": "a", "output": "b"},
    "p": {"plugin": "console.print", "input": ["a", "b"]})"))),
      "t.json:6: /stages/p/input/0: sink \"p\" takes whole shards in order, which a pub_sub stream does not have; "
      "put a \"queue\" stream in front of it\n");
  EXPECT_EQ(
      findings(
          load(file(R"("a": {"transport": "pub_sub"}, "b": {"partition": {"by": "hash"}}, "c": {})", kNumbers + R"(,
    "f": {"plugin": "filter", "input": "a", "output": "b", "workers": 2},
    "s": {"plugin": "keyed.sum", "input": "b", "output": "c"},
    "p": {"plugin": "console.print", "input": "c"})"))),
      "t.json:6: /stages/s: warning: stage \"s\" keeps state of records that came over the pub_sub stream \"a\": each "
      "is in it as often as workers read that stream, and those that a kill loses on the way "
      "(weir_stream_lost_records_total) are missing\n");
}

TEST(Rules, WarnOfStateBehindAStreamThatMayLoseRecords) {
  EXPECT_EQ(
      findings(
          load(file(R"("a": {"transport": "push_pull"}, "b": {"partition": {"by": "hash"}}, "c": {})", kNumbers + R"(,
    "f": {"plugin": "filter", "input": "a", "output": "b"},
    "s": {"plugin": "keyed.sum", "input": "b", "output": "c"},
    "p": {"plugin": "console.print", "input": "c"})"))),
      "t.json:6: /stages/s: warning: stage \"s\" keeps state of records that came over the push_pull stream \"a\": "
      "those that a kill loses on the way (weir_stream_lost_records_total) are missing in it\n");
}

}  // namespace
}  // namespace weir
