// SPDX-License-Identifier: Apache-2.0
// Programs outside a topology, against the real broker: produce, the client library, tail, status, dead-letters.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/topologies/fake_installation.h"
#include "weir/producer.h"

namespace weir::testing {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using ::testing::HasSubstr;

/// A topology "t" whose stream "x" takes records from outside and whose only stage has no worker, so that they stay.
class OutsideTest : public ::testing::Test {
 protected:
  OutsideTest() {
    at_.use_real_broker();
    at_.write("t.json", R"({"name": "t", "http": null, "broker": {"segment_size": "4MiB"},
      "streams": {"x": {"external": "in", "partition": {"by": "hash"}, "shards": 4}},
      "stages": {"c": {"plugin": "out", "input": "x"}}})");
    start();
  }
  ~OutsideTest() override { stop(); }

  void start() {
    run_ = at_.weir({"run", "t.json", "--stages", "none"});
    ASSERT_TRUE(at_.comes(".weir/t/endpoint.json")) << run_->err();
  }
  void stop() {
    if (!run_) return;
    run_->signal(SIGTERM);
    EXPECT_EQ(run_->wait(), 0) << run_->err();
    run_.reset();
  }
  pid_t broker() const {
    const json endpoint = json::parse(at_.read(".weir/t/endpoint.json"), nullptr, false);
    return endpoint.is_object() ? endpoint["pid"].get<pid_t>() : -1;
  }
  std::string data_dir() const { return (at_.folder() / ".weir" / "t").string(); }

  /// The first `count` records that the stream keeps, as tail prints them.
  std::vector<json> kept(std::size_t count) const {
    const auto tail =
        at_.weir({"tail", "x", "--data", data_dir(), "--from", "start", "--count", std::to_string(count)});
    EXPECT_EQ(tail->wait(), 0) << tail->err();
    std::vector<json> records;
    std::istringstream lines(tail->out());
    for (std::string line; std::getline(lines, line);) records.push_back(json::parse(line));
    return records;
  }
  std::uint64_t backlog() const {
    const auto status = at_.weir({"status", "--data", data_dir(), "--json"});
    EXPECT_EQ(status->wait(), 0) << status->err();
    return json::parse(status->out())["streams"][0]["records"].get<std::uint64_t>();
  }
  static std::string numbers(int from, int to) {
    std::string lines;
    for (int i = from; i <= to; ++i) lines += fmt::format("{{\"key\": {}, \"value\": {}}}\n", i % 10, i);
    return lines;
  }

  FakeInstallation at_;
  std::unique_ptr<Command> run_;
};

TEST_F(OutsideTest, ProduceWithANameTakesEachLineOnceHoweverOftenItIsRun) {
  EXPECT_EQ(at_.weir({"produce", "x", "--name", "me"}, numbers(1, 5))->wait(), 0);
  const auto again = at_.weir({"produce", "x", "--name", "me"}, numbers(1, 8));
  EXPECT_EQ(again->wait(), 0);
  EXPECT_THAT(again->err(), HasSubstr("3 records acknowledged, 5 were there already"));
  EXPECT_EQ(backlog(), 8U);
}

TEST_F(OutsideTest, WhatTailPrintsProduceReads) {
  const std::string record =
      R"({"key":"a","value":{"bytes":{"$binary":"AAEC"},"x":[1,2.5,null,true,-3]},"timestamp":-7,"headers":{"h":"v"}})";
  EXPECT_EQ(at_.weir({"produce", "x"}, record + "\n")->wait(), 0);
  const auto tail = at_.weir({"tail", "x", "--from", "start", "--count", "1"});
  EXPECT_EQ(tail->wait(), 0);
  EXPECT_EQ(tail->out(), record + "\n");
}

TEST_F(OutsideTest, TailFollowsFromTheEnd) {
  EXPECT_EQ(at_.weir({"produce", "x"}, numbers(1, 3))->wait(), 0);
  const auto tail = at_.weir({"tail", "x", "--count", "1"});
  // Whether the tail has begun cannot be seen from outside: publish until it has shown one.
  for (int i = 100; i < 400 && tail->out().empty(); ++i)
    EXPECT_EQ(at_.weir({"produce", "x"}, numbers(i, i))->wait(), 0);
  EXPECT_EQ(tail->wait(), 0);
  EXPECT_GE(json::parse(tail->out())["value"], 100);
}

TEST_F(OutsideTest, ABadLineIsNamedAndWhatCameBeforeIsKept) {
  const auto produce = at_.weir({"produce", "x"}, numbers(1, 2) + "{\"key\": 1}\n" + numbers(4, 4));
  EXPECT_EQ(produce->wait(), 1);
  EXPECT_THAT(produce->err(), HasSubstr("line 3: a record needs a \"value\" (2 records before it were acknowledged)"));
  EXPECT_EQ(backlog(), 2U);
}

TEST_F(OutsideTest, ARecordThatTheBrokerRefusesIsNamedByItsLineAndAllBeforeItAreTaken) {
  // A map is no key; 1,000 lines travel many in a message.
  std::string lines = numbers(1, 700) + "{\"key\": {\"a\": 1}, \"value\": 1}\n" + numbers(702, 1000);
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--name", "steady"}}) {
    const std::uint64_t before = backlog();
    std::vector<std::string> arguments = {"produce", "x"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto produce = at_.weir(arguments, lines);
    EXPECT_EQ(produce->wait(), 1);
    EXPECT_THAT(produce->err(), HasSubstr("line 701: "));
    EXPECT_THAT(produce->err(), HasSubstr("(700 records before it were acknowledged)"));
    EXPECT_EQ(backlog() - before, 700U);
    lines += "nonsense\n";  // the first problem is the one that counts
  }
}

TEST_F(OutsideTest, AProducerSaysWhichRecordWasRefused) {
  Producer producer(data_dir(), "x");
  ProducerStatus status;
  for (int i = 1; i <= 500 && status; ++i) {
    if (i == 321) status = producer.publish(std::map<std::string, int>{{"a", 1}}, i);
    if (i != 321) status = producer.publish(i, i);
  }
  if (status) status = producer.flush(seconds(20));
  EXPECT_EQ(status.record(), 321U) << status.message();
  EXPECT_THAT(status.message(), HasSubstr("record 321: "));
  EXPECT_EQ(producer.acknowledged(), 320U);
  EXPECT_EQ(backlog(), 320U);
}

TEST_F(OutsideTest, ANameOfAProducerHasABound) {
  Producer longest(data_dir(), "x", {.name = std::string(255, 'n')});
  EXPECT_TRUE(longest.open()) << longest.open().message();
  Producer longer(data_dir(), "x", {.name = std::string(256, 'n')});
  EXPECT_THAT(longer.open().message(), HasSubstr("a producer's name has at most 255 bytes; this one has 256"));
}

TEST_F(OutsideTest, AProcessThatHasTheBrokersNumberIsNotTakenForIt) {
  run_->signal(SIGKILL);
  EXPECT_EQ(run_->wait(), 128 + SIGKILL);
  run_.reset();
  // As if the number of the killed broker were another program's by now: ours.
  const std::filesystem::path file = at_.folder() / ".weir/t/endpoint.json";
  json endpoint = json::parse(at_.read(".weir/t/endpoint.json"), nullptr, false);
  ASSERT_TRUE(endpoint.is_object());
  endpoint["pid"] = ::getpid();
  std::ofstream(file) << endpoint.dump();
  const auto status = at_.weir({"status", "t.json"});
  EXPECT_EQ(status->wait(), 0) << status->err();
  EXPECT_THAT(status->out(), HasSubstr("not running"));
}

TEST_F(OutsideTest, RefusesAStreamThatIsNotThere) {
  const auto produce = at_.weir({"produce", "y"}, numbers(1, 1));
  EXPECT_EQ(produce->wait(), 1);
  EXPECT_THAT(produce->err(), HasSubstr("there is no stream \"y\""));
  EXPECT_EQ(at_.weir({"tail", "y", "--from", "start"})->wait(), 1);
}

TEST_F(OutsideTest, NothingIsLostOrDoubledUnderANameWhileTheBrokerIsKilled) {
  constexpr std::uint64_t kRecords = 3000;
  Producer producer(data_dir(), "x", {.name = "steady", .window_bytes = 16 << 10});
  ASSERT_TRUE(producer.open());
  for (std::uint64_t i = 1; i <= kRecords; ++i) {
    if (i % 1000 == 0) ::kill(broker(), SIGKILL);
    const ProducerStatus published = producer.publish(i % 10, i);
    ASSERT_TRUE(published) << i << ": " << published.message();
  }
  const ProducerStatus flushed = producer.flush(seconds(20));
  ASSERT_TRUE(flushed) << flushed.message();
  std::set<std::uint64_t> values;
  for (const json& record : kept(kRecords)) values.insert(record["value"].get<std::uint64_t>());
  EXPECT_EQ(values.size(), kRecords);
  EXPECT_EQ(backlog(), kRecords);
}

TEST_F(OutsideTest, WithoutANameNothingIsLostWhileTheBrokerIsKilled) {
  constexpr int kRecords = 3000;
  Producer producer(data_dir(), "x", {.window_bytes = 8 << 10});
  for (int i = 1; i <= kRecords; ++i) {
    if (i == kRecords / 2) ::kill(broker(), SIGKILL);
    const ProducerStatus published = producer.publish(i % 10, i);
    ASSERT_TRUE(published) << i << ": " << published.message();
  }
  ASSERT_TRUE(producer.flush(seconds(20)));
  std::set<int> values;
  for (const json& record : kept(backlog())) values.insert(record["value"].get<int>());
  EXPECT_EQ(values.size(), static_cast<std::size_t>(kRecords));
}

TEST_F(OutsideTest, ASecondProducerOfANameEndsTheFirst) {
  Producer first(data_dir(), "x", {.name = "one"});
  ASSERT_TRUE(first.publish("a", 1));
  ASSERT_TRUE(first.flush(seconds(10)));
  Producer second(data_dir(), "x", {.name = "one"});
  ASSERT_TRUE(second.open());
  EXPECT_EQ(second.last(), 1U);
  ProducerStatus status;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    status = first.publish("a", 2);
    if (status.ok()) status = first.flush(seconds(10));
  }
  EXPECT_THAT(status.message(), HasSubstr("another producer took the name"));
  ASSERT_TRUE(second.publish("a", 2));
  EXPECT_TRUE(second.flush(seconds(10)));
}

TEST_F(OutsideTest, WhoeverAsksABrokerThatStandsStillIsToldSoWithinTenSeconds) {
  ASSERT_EQ(::kill(broker(), SIGSTOP), 0);
  const auto begun = std::chrono::steady_clock::now();
  const auto scale = at_.weir({"scale", "c", "2", "t.json"});
  const auto replay = at_.weir({"replay", "c", "t.json", "--stream", "x", "--from", "start"});
  const auto drop = at_.weir({"dead-letters", "drop", "--all", "--data", data_dir()});
  EXPECT_EQ(scale->wait(), 1);
  const auto took = std::chrono::duration_cast<seconds>(std::chrono::steady_clock::now() - begun).count();
  EXPECT_LE(took, 10);
  EXPECT_THAT(scale->err(),
              ::testing::ContainsRegex(R"(did not answer within 4 s; .*\(asked 2 times, [89] s in all\))"));
  for (const auto* asks : {&replay, &drop}) {
    EXPECT_TRUE((*asks)->says("has not answered for 5 s")) << (*asks)->err();
    EXPECT_THAT((*asks)->err(), HasSubstr(asks == &replay ? "600 s in all" : "60 s in all"));
  }
  EXPECT_LE(std::chrono::steady_clock::now() - begun, seconds(10));
  ASSERT_EQ(::kill(broker(), SIGCONT), 0);
  EXPECT_EQ(drop->wait(), 0) << drop->err();
  replay->wait();
}

TEST_F(OutsideTest, ALineThatIsTooLongIsRefusedBeforeItIsRead) {
  // The broker takes half of transaction_bytes_max: half a MiB here.
  const auto begun = std::chrono::steady_clock::now();
  const auto produce =
      at_.weir({"produce", "x", "t.json"}, "{\"value\": 1}\n{\"value\": \"" + std::string(60 << 20, 'x') + "\"}\n");
  EXPECT_EQ(produce->wait(), 1);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, seconds(3));
  EXPECT_THAT(produce->err(), ::testing::ContainsRegex(
                                  "line 2: it has more than [0-9]+ bytes; the broker takes records of at most [0-9]+ "
                                  "bytes \\(1 records before it were acknowledged\\)"));
  // What fits as MessagePack passes, however its text is written.
  std::string escaped;
  for (int i = 0; i < 400'000; ++i) escaped += "\\u0001";
  const auto fits = at_.weir({"produce", "x", "t.json"}, "{\"value\": \"" + escaped + "\"}\n");
  EXPECT_EQ(fits->wait(), 0) << fits->err();
}

TEST_F(OutsideTest, SaysSoWhenNothingRuns) {
  stop();
  Producer producer(data_dir(), "x");
  EXPECT_THAT(producer.publish("a", 1).message(), HasSubstr("nothing is running on"));
  const auto produce = at_.weir({"produce", "x", "t.json"}, numbers(1, 1));
  EXPECT_EQ(produce->wait(), 1);
  EXPECT_THAT(produce->err(), HasSubstr("nothing is running on"));
  const auto status = at_.weir({"status"});
  EXPECT_EQ(status->wait(), 1);
  EXPECT_THAT(status->err(), HasSubstr("nothing is running under ./.weir"));
}

TEST_F(OutsideTest, AnEndedStreamTakesNothingMore) {
  EXPECT_EQ(at_.weir({"produce", "x", "--end"}, numbers(1, 3))->wait(), 0);
  const auto late = at_.weir({"produce", "x"}, numbers(4, 4));
  EXPECT_EQ(late->wait(), 1);
  EXPECT_THAT(late->err(), HasSubstr("has ended"));
}

TEST_F(OutsideTest, AStoppedDirectoryIsReadToo) {
  EXPECT_EQ(at_.weir({"produce", "x"}, numbers(1, 3))->wait(), 0);
  stop();
  EXPECT_EQ(kept(3).size(), 3U);
  EXPECT_EQ(backlog(), 3U);
  const auto letters = at_.weir({"dead-letters", "list", "t.json", "--json"});
  EXPECT_EQ(letters->wait(), 0) << letters->err();
  EXPECT_EQ(json::parse(letters->out()), json::array());
  const auto status = at_.weir({"status", "t.json"});
  EXPECT_EQ(status->wait(), 0);
  EXPECT_THAT(status->out(), HasSubstr("t: not running"));
}

TEST_F(OutsideTest, FortyLinesOfPythonPublishExactlyOnce) {
  for (const int to : {5, 8}) {
    const std::string path = WEIR_SOURCE "/sdk/wire/produce.py";
    const auto script = at_.program({"/usr/bin/python3", path, data_dir(), "x", "py"}, numbers(1, to));
    EXPECT_EQ(script->wait(), 0) << script->err();
  }
  EXPECT_EQ(backlog(), 8U);
  std::ifstream source(WEIR_SOURCE "/sdk/wire/produce.py");
  EXPECT_LE(std::count(std::istreambuf_iterator<char>(source), {}, '\n'), 40);
}

TEST_F(OutsideTest, WhoeverSubscribesGetsTheStatusAgainAndAgain) {
  constexpr const char* kSubscriber = R"(
import json, sys, msgpack, zmq
context = zmq.Context()
asked = context.socket(zmq.DEALER)
asked.connect(json.load(open(sys.argv[1] + "/endpoint.json"))["broker"])
asked.send(msgpack.packb({"op": "open", "stream": "x"}))
heard = context.socket(zmq.SUB)
heard.connect(msgpack.unpackb(asked.recv())["news"])
heard.subscribe("status")
for _ in range(2):
    assert heard.poll(10000), "no news"
    topic, message = heard.recv_multipart()
    message = msgpack.unpackb(message)
    print(topic.decode(), message["op"], json.loads(message["json"])["topology"])
context.destroy(linger=0)
)";
  const auto subscriber = at_.program({"/usr/bin/python3", "-c", kSubscriber, data_dir()}, "");
  EXPECT_EQ(subscriber->wait(), 0) << subscriber->err();
  EXPECT_EQ(subscriber->out(), "status status t\nstatus status t\n");
}

TEST_F(OutsideTest, TheOnlyRunningTopologyIsMeantWhereNoneIsNamed) {
  const auto status = at_.weir({"status"});
  EXPECT_EQ(status->wait(), 0) << status->err();
  EXPECT_THAT(status->out(), HasSubstr("t: "));
  const auto file = at_.weir({"status", "t.json", "--json"});
  EXPECT_EQ(file->wait(), 0) << file->err();
  EXPECT_EQ(json::parse(file->out())["topology"], "t");
}

TEST_F(OutsideTest, ADirectoryInUseIsASentence) {
  const auto second = at_.weir({"run", "t.json", "--stages", "none"});
  EXPECT_EQ(second->wait(), 1);
  EXPECT_THAT(second->last_line(), HasSubstr("is in use by process"));
}

}  // namespace
}  // namespace weir::testing
