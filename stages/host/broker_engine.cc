// SPDX-License-Identifier: Apache-2.0
#include "stages/host/broker_engine.h"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "sdk/base/log.h"
#include "stages/host/local_address.h"

namespace weir::host {

using namespace std::chrono_literals;
using wire::MessageType;

namespace {

constexpr auto kHelloDeadline = 10s;
constexpr std::uint64_t kCapacityBytesMax = 32 << 20;
constexpr std::uint64_t kCapacityRecords = 1'000'000;
constexpr std::size_t kIpcPathMax = 107;

struct Address {
  std::string host;
  std::string port;
};

Address address_of(const std::string& endpoint) {
  const std::string rest = endpoint.substr(std::string("tcp://").size());
  const std::size_t colon = rest.rfind(':');
  return {rest.substr(0, colon), rest.substr(colon + 1)};
}

}  // namespace

Result<std::unique_ptr<BrokerEngine>> BrokerEngine::open(const Options& options) {
  std::unique_ptr<BrokerEngine> engine(new BrokerEngine());
  try {
    if (Status status = engine->bind_inbox(options); !status.ok()) return status.error();
    if (Status status = engine->say_hello(options); !status.ok()) return status.error();
  } catch (const zmq::error_t& error) {
    return {Code::kUnavailable, fmt::format("cannot reach the broker at {}: {}", options.broker, error.what())};
  }
  return engine;
}

Status BrokerEngine::bind_inbox(const Options& options) {
  inbox_ = zmq::socket_t(context_, zmq::socket_type::pull);
  inbox_.set(zmq::sockopt::rcvhwm, 0);  // credit bounds what is under way
  inbox_.set(zmq::sockopt::linger, 0);
  if (options.broker.starts_with("ipc://")) {
    // A new place for every incarnation, so that nothing queued for a predecessor reaches it.
    const std::string path = options.broker.substr(std::string("ipc://").size());
    inbox_file_ = fmt::format("{}/w-{}-{}.ipc", path.substr(0, path.rfind('/')), options.stage, getpid());
    if (inbox_file_.size() > kIpcPathMax)
      inbox_file_ = fmt::format("{}/w-{}.ipc", path.substr(0, path.rfind('/')), getpid());
    inbox_endpoint_ = "ipc://" + inbox_file_;
    inbox_.bind(inbox_endpoint_);
    return {};
  }
  if (!options.broker.starts_with("tcp://")) {
    return {Code::kInvalid, fmt::format("\"{}\" is no endpoint; write ipc://PATH or tcp://HOST:PORT", options.broker)};
  }
  std::string host = options.listen;
  if (host.empty()) {
    const Address broker = address_of(options.broker);
    const auto local = local_address_towards(broker.host, broker.port);
    if (!local.ok()) return local.error();
    host = *local;
  }
  inbox_.bind(fmt::format("tcp://{}:*", host));
  inbox_endpoint_ = inbox_.get(zmq::sockopt::last_endpoint);
  if (!options.advertise.empty())
    inbox_endpoint_ = fmt::format("tcp://{}:{}", options.advertise, address_of(inbox_endpoint_).port);
  return {};
}

Status BrokerEngine::say_hello(const Options& options) {
  zmq::socket_t dealer(context_, zmq::socket_type::dealer);
  dealer.set(zmq::sockopt::linger, 0);
  dealer.connect(options.broker);
  wire::WorkerHello hello;
  hello.stage = options.stage;
  hello.worker = options.worker;
  hello.pid = getpid();
  char host[256] = {};
  if (gethostname(host, sizeof(host) - 1) == 0) hello.host = host;
  hello.inbox = inbox_endpoint_;
  const Bytes message = wire::encode(hello);
  (void)dealer.send(zmq::buffer(message.data(), message.size()), zmq::send_flags::none);
  dealer.set(zmq::sockopt::rcvtimeo, static_cast<int>(std::chrono::milliseconds(kHelloDeadline).count()));
  zmq::message_t answer;
  if (!dealer.recv(answer, zmq::recv_flags::none)) {
    return {Code::kUnavailable,
            fmt::format("the broker at {} does not answer; is the topology running?", options.broker)};
  }
  auto welcome = wire::decode_worker_welcome({static_cast<const std::byte*>(answer.data()), answer.size()});
  if (!welcome.ok()) return welcome.error();
  welcome_ = std::move(*welcome);
  if (welcome_.commits.starts_with("tcp://")) {
    // A broker that listens on every address does not know by which it is reached.
    const Address commits = address_of(welcome_.commits);
    if (commits.host == "0.0.0.0" || commits.host == "*") {
      welcome_.commits = fmt::format("tcp://{}:{}", address_of(options.broker).host, commits.port);
    }
  }
  commits_ = zmq::socket_t(context_, zmq::socket_type::push);
  commits_.set(zmq::sockopt::sndhwm, 0);
  commits_.set(zmq::sockopt::linger, 1000);
  commits_.set(zmq::sockopt::reconnect_ivl, -1);
  commits_.connect(welcome_.commits);
  heard_ = beat_sent_ = monotonic_now();
  pulse_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "pulse");
    run_pulse();
  });
  return {};
}

BrokerEngine::~BrokerEngine() {
  stopping_ = true;
  if (pulse_.joinable()) pulse_.join();
  inbox_.close();
  commits_.close();
  if (inbox_file_.empty()) return;
  (void)unlink(inbox_file_.c_str());
  // A folder that holds sockets only goes with the last of them, be it the broker's or ours; a data directory is never
  // empty.
  (void)rmdir(inbox_file_.substr(0, inbox_file_.rfind('/')).c_str());
}

void BrokerEngine::run_pulse() {
  zmq::socket_t socket(context_, zmq::socket_type::push);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::reconnect_ivl, -1);
  socket.connect(welcome_.commits);
  const Bytes message = wire::message({MessageType::kPulse, wire::kWireVersion, 0, welcome_.incarnation.value(), 0});
  Monotonic said = monotonic_now();
  while (!stopping_) {
    // Nobody wakes this thread: it looks up often enough to end soon.
    zmq::poll(static_cast<zmq::pollitem_t*>(nullptr), 0, 50ms);
    if (monotonic_now() - said < welcome_.beat) continue;
    said = monotonic_now();
    (void)socket.send(zmq::buffer(message.data(), message.size()), zmq::send_flags::dontwait);
  }
}

void BrokerEngine::start(const Topology& topology, std::uint32_t stage) {
  const StageSpec& spec = topology.stages[stage];
  commit_after_ = spec.commit_after;
  window_bytes_ = std::min(4 * topology.broker.transaction_bytes_max, spec.memory_bytes / 4);
  capacity_bytes_ = std::clamp<std::uint64_t>(spec.memory_bytes / 4, 64 << 10, kCapacityBytesMax);
  send(MessageType::kReady, {});
  send_credit();
}

void BrokerEngine::send(MessageType type, BytesView body) {
  const Bytes message = wire::message({type, wire::kWireVersion, 0, welcome_.incarnation.value(), ++sent_}, body);
  (void)commits_.send(zmq::buffer(message.data(), message.size()), zmq::send_flags::dontwait);
}

void BrokerEngine::send_credit() {
  credited_ = worked_;
  send(MessageType::kCredit, wire::encode_totals({worked_.first + capacity_bytes_, worked_.second + kCapacityRecords}));
}

void BrokerEngine::worked_off(std::uint64_t bytes, std::uint64_t records) {
  worked_.first += bytes;
  worked_.second += records;
  // The broker judges by what is under way who is idle: small amounts are told too, but not one by one.
  const bool much = worked_.first - credited_.first >= std::min<std::uint64_t>(capacity_bytes_ / 4, 64 << 10);
  if (much || worked_.second - credited_.second >= kCapacityRecords / 4) send_credit();
}

void BrokerEngine::commit(const Bytes& body, std::uint64_t published) {
  ++committed_;
  published_ += published;
  unaccepted_.emplace_back(committed_, body.size());
  unaccepted_bytes_ += body.size();
  if (worked_.first != credited_.first || worked_.second != credited_.second) send_credit();
  send(MessageType::kCommit, body);
}

void BrokerEngine::release(const std::vector<wire::Lease>& leases) {
  send(MessageType::kReleased, wire::encode_leases(leases));
}

bool BrokerEngine::beat_due() const { return monotonic_now() - beat_sent_ >= welcome_.beat; }

void BrokerEngine::beat(const wire::Measured& measured) {
  beat_sent_ = monotonic_now();
  if (sent_ == 0) return;
  const Bytes message = wire::message({MessageType::kBeat, wire::kWireVersion, 0, welcome_.incarnation.value(), sent_},
                                      wire::encode_measured(measured));
  (void)commits_.send(zmq::buffer(message.data(), message.size()), zmq::send_flags::dontwait);
}

Event BrokerEngine::lost(std::string sentence) const {
  Event event;
  event.kind = Event::Kind::kLost;
  event.sentence = std::move(sentence);
  return event;
}

void BrokerEngine::pump() {
  zmq::message_t message;
  while (!urgent_ && inbox_.recv(message, zmq::recv_flags::dontwait)) {
    heard_ = monotonic_now();
    auto event = take(std::move(message));
    if (!event) continue;
    switch (event->kind) {
      case Event::Kind::kDrain:
      case Event::Kind::kStop:
      case Event::Kind::kFenced:
      case Event::Kind::kLost:
        urgent_ = std::move(event);
        break;
      default:
        events_.push_back(std::move(*event));
    }
  }
  if (!urgent_ && monotonic_now() - heard_ > welcome_.silence) urgent_ = lost("the broker was silent for too long");
}

bool BrokerEngine::urgent() {
  pump();
  return urgent_.has_value();
}

Event BrokerEngine::next(std::chrono::milliseconds wait) {
  const Monotonic deadline = monotonic_now() + wait;
  pump();
  for (bool waited = false;; waited = true) {
    if (urgent_) {
      // What came before is not begun any more: its records stay with the broker.
      events_.clear();
      Event event = std::move(*urgent_);
      urgent_.reset();
      return event;
    }
    const bool held = !events_.empty() && events_.front().kind == Event::Kind::kDeliver && !has_window();
    if (!events_.empty() && !held) {
      Event event = std::move(events_.front());
      events_.pop_front();
      return event;
    }
    // Credit or a commit's answer may have come: what waited for it goes on.
    const Monotonic now = monotonic_now();
    if (waited || now >= deadline) return {};
    zmq::pollitem_t item{inbox_.handle(), 0, ZMQ_POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - now) + 1ms;
    zmq::poll(&item, 1,
              std::min<std::chrono::milliseconds>(
                  left, std::chrono::duration_cast<std::chrono::milliseconds>(welcome_.beat)));
    pump();
  }
}

std::optional<Event> BrokerEngine::take(zmq::message_t received) {
  auto held = std::make_shared<zmq::message_t>(std::move(received));
  const BytesView message(static_cast<const std::byte*>(held->data()), held->size());
  const auto header = wire::decode_header(message);
  if (!header || header->incarnation != welcome_.incarnation.value())
    return std::nullopt;  // stale, or nobody's of ours
  if (header->type == MessageType::kBeatDown) {
    if (header->number != received_)
      return lost(fmt::format("a message from the broker was lost: {} of {} came", received_, header->number));
    return std::nullopt;
  }
  if (header->number != received_ + 1)
    return lost(fmt::format("message {} of the broker came where {} was due", header->number, received_ + 1));
  received_ = header->number;
  const BytesView body = wire::body_of(message);
  const auto broken = [&](const Error& error) { return lost("the broker sent " + error.message); };
  Event event;
  event.owner = held;
  switch (header->type) {
    case MessageType::kGrant:
    case MessageType::kRevoke: {
      auto leases = wire::decode_leases(body);
      if (!leases.ok()) return broken(leases.error());
      event.kind = header->type == MessageType::kGrant ? Event::Kind::kGrant : Event::Kind::kRevoke;
      event.leases = std::move(*leases);
      return event;
    }
    case MessageType::kState: {
      const auto part = wire::decode_state(body);
      if (!part.ok()) return broken(part.error());
      event.kind = Event::Kind::kState;
      event.state = *part;
      return event;
    }
    case MessageType::kDeliver: {
      auto delivery = wire::decode_delivery(body);
      if (!delivery.ok()) return broken(delivery.error());
      event.kind = Event::Kind::kDeliver;
      event.delivery = std::move(*delivery);
      return event;
    }
    case MessageType::kCommitted: {
      const auto totals = wire::decode_totals(body);
      if (!totals.ok()) return broken(totals.error());
      accepted_ = totals->first;
      settled_ = totals->second;
      while (!unaccepted_.empty() && unaccepted_.front().first <= accepted_) {
        unaccepted_bytes_ -= unaccepted_.front().second;
        unaccepted_.pop_front();
      }
      return std::nullopt;
    }
    case MessageType::kPublish: {
      const auto totals = wire::decode_totals(body);
      if (!totals.ok()) return broken(totals.error());
      publish_granted_ = totals->first;
      return std::nullopt;
    }
    case MessageType::kFinish: {
      auto shards = wire::decode_shards(body);
      if (!shards.ok()) return broken(shards.error());
      event.kind = Event::Kind::kFinish;
      event.shards = std::move(*shards);
      return event;
    }
    case MessageType::kDrain:
      event.kind = Event::Kind::kDrain;
      return event;
    case MessageType::kStop:
      event.kind = Event::Kind::kStop;
      return event;
    case MessageType::kFenced: {
      const auto sentence = wire::decode_sentence(body);
      event.kind = Event::Kind::kFenced;
      event.sentence = sentence.ok() ? *sentence : std::string();
      return event;
    }
    default:
      return lost(fmt::format("the broker sent a message of unknown type {}", static_cast<int>(header->type)));
  }
}

}  // namespace weir::host
