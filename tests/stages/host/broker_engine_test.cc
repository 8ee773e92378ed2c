// SPDX-License-Identifier: Apache-2.0
// A worker's side of the protocol, against a broker that a test plays.
#include "stages/host/broker_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <future>

namespace weir::host {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using wire::MessageType;

constexpr std::uint64_t kIncarnation = (1ULL << 32) | 5;

class BrokerEngineTest : public ::testing::Test {
 protected:
  BrokerEngineTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-host-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    router_.bind(endpoint("hello"));
    commits_.bind(endpoint("commits"));
    commits_.set(zmq::sockopt::rcvtimeo, 5000);
  }
  ~BrokerEngineTest() override {
    engine_.reset();
    std::filesystem::remove_all(folder_);
  }

  [[nodiscard]] std::string endpoint(const std::string& name) const { return "ipc://" + folder_ + "/" + name; }

  std::future<Result<std::unique_ptr<BrokerEngine>>> say_hello() {
    BrokerEngine::Options options;
    options.broker = endpoint("hello");
    options.stage = "count";
    return std::async(std::launch::async, [options] { return BrokerEngine::open(options); });
  }
  /// Takes a hello and answers it.
  wire::WorkerHello answer(const Bytes& message) {
    zmq::message_t peer;
    zmq::message_t hello;
    EXPECT_TRUE(router_.recv(peer));
    EXPECT_TRUE(router_.recv(hello));
    router_.send(peer, zmq::send_flags::sndmore);
    router_.send(zmq::buffer(message.data(), message.size()), zmq::send_flags::none);
    auto decoded = wire::decode_worker_hello({static_cast<const std::byte*>(hello.data()), hello.size()});
    EXPECT_TRUE(decoded.ok());
    return *decoded;
  }
  void start() {
    auto opened = say_hello();
    wire::WorkerWelcome welcome;
    welcome.incarnation = Incarnation(kIncarnation);
    welcome.commits = endpoint("commits");
    welcome.topology = "{}";
    welcome.beat = 20ms;
    welcome.silence = 10s;
    const wire::WorkerHello hello = answer(wire::encode(welcome));
    inbox_.connect(hello.inbox);
    auto engine = opened.get();
    ASSERT_TRUE(engine.ok()) << engine.error().message;
    engine_ = std::move(*engine);
    Topology topology;
    topology.broker.transaction_bytes_max = 1 << 20;
    topology.stages.resize(1);
    topology.stages[0].memory_bytes = 4 << 20;
    engine_->start(topology, 0);
  }
  void send(MessageType type, const Bytes& body, std::uint64_t number) {
    const Bytes message = wire::message({type, wire::kWireVersion, 0, kIncarnation, number}, body);
    inbox_.send(zmq::buffer(message.data(), message.size()), zmq::send_flags::none);
  }
  /// The next event within a generous time.
  Event next() {
    for (int i = 0; i < 500; ++i) {
      Event event = engine_->next(10ms);
      if (event.kind != Event::Kind::kNone) return event;
    }
    return {};
  }
  /// The next numbered message of the worker.
  std::pair<wire::MessageHeader, Bytes> heard() {
    while (true) {
      zmq::message_t message;
      if (!commits_.recv(message)) return {};
      const BytesView bytes(static_cast<const std::byte*>(message.data()), message.size());
      const auto header = wire::decode_header(bytes);
      if (header->type == MessageType::kPulse || header->type == MessageType::kBeat) continue;
      const BytesView body = wire::body_of(bytes);
      return {*header, Bytes(body.begin(), body.end())};
    }
  }

  std::string folder_;
  zmq::context_t context_;
  zmq::socket_t router_{context_, zmq::socket_type::router};
  zmq::socket_t commits_{context_, zmq::socket_type::pull};
  zmq::socket_t inbox_{context_, zmq::socket_type::push};
  std::unique_ptr<BrokerEngine> engine_;
};

TEST_F(BrokerEngineTest, GivesTheSentenceOfABrokerThatRefusesIt) {
  auto opened = say_hello();
  const wire::WorkerHello hello =
      answer(wire::encode_refusal(wire::Refusal::kUnknown, "the topology has no stage \"count\""));
  EXPECT_EQ(hello.stage, "count");
  EXPECT_EQ(hello.pid, getpid());
  const auto engine = opened.get();
  ASSERT_FALSE(engine.ok());
  EXPECT_EQ(engine.error().code, Code::kRefused);
  EXPECT_THAT(engine.error().message, HasSubstr("no stage \"count\""));
}

TEST_F(BrokerEngineTest, SaysReadyFirstThenWhatItCanTakeAndNumbersWhatItSays) {
  start();
  const auto [ready, nothing] = heard();
  EXPECT_EQ(ready.type, MessageType::kReady);
  EXPECT_EQ(ready.number, 1U);
  EXPECT_EQ(ready.incarnation, kIncarnation);
  const auto [credit, body] = heard();
  EXPECT_EQ(credit.type, MessageType::kCredit);
  EXPECT_EQ(credit.number, 2U);
  EXPECT_EQ(wire::decode_totals(body)->first, 1U << 20);
}

TEST_F(BrokerEngineTest, HearsTheBrokerAtItsInbox) {
  start();
  send(MessageType::kFinish, wire::encode_shards({3}), 1);
  const Event event = next();
  EXPECT_EQ(event.kind, Event::Kind::kFinish);
  EXPECT_EQ(event.shards, std::vector<std::uint32_t>{3});
}

TEST_F(BrokerEngineTest, GivesBackCreditWithWhatIsWorkedOff) {
  start();
  heard();
  heard();
  engine_->worked_off(512 << 10, 10);
  const auto [credit, body] = heard();
  EXPECT_EQ(credit.type, MessageType::kCredit);
  EXPECT_EQ(wire::decode_totals(body)->first, (1U << 20) + (512U << 10));
}

TEST_F(BrokerEngineTest, ShowsASignOfLifeWhileARecordTakesLong) {
  start();
  for (int pulses = 0; pulses < 3;) {
    zmq::message_t message;
    ASSERT_TRUE(commits_.recv(message));
    const auto header = wire::decode_header({static_cast<const std::byte*>(message.data()), message.size()});
    if (header->type == MessageType::kPulse) ++pulses;
  }
}

TEST_F(BrokerEngineTest, EndsWhereTheBrokerHearsItNoMore) {
  start();
  heard();
  commits_.close();
  Event event;
  for (int i = 0; i < 500 && event.kind == Event::Kind::kNone; ++i) {
    engine_->beat({});
    event = engine_->next(10ms);
  }
  EXPECT_EQ(event.kind, Event::Kind::kLost);
  EXPECT_THAT(event.sentence, HasSubstr("the connection to the broker was lost"));
}

TEST_F(BrokerEngineTest, LeavesNoSocketFileBehind) {
  start();
  engine_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    EXPECT_NE(entry.path().extension(), ".ipc") << entry.path();
  }
}

}  // namespace
}  // namespace weir::host
