// SPDX-License-Identifier: Apache-2.0
#include "stages/host/broker_engine.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>

#include "sdk/base/log.h"
#include "sdk/wire/zmq_bytes.h"
#include "stages/host/leave_signal.h"
#include "stages/host/local_address.h"

namespace weir::host {

using namespace std::chrono_literals;
using wire::MessageType;

namespace {

constexpr auto kHelloDeadline = 10s;
constexpr std::size_t kIpcPathMax = 107;
constexpr Monotonic kPolled = 4ms;         ///< shorter waits are slept
constexpr unsigned long kSlackNs = 5'000;  ///< by which such a sleep may last longer

struct Address {
  std::string host;
  std::string port;
};

/// What a signal has interrupted is done again; only its handler was to run (leave_signal.h).
template <typename Call>
auto uninterrupted(Call call) {
  while (true) {
    try {
      return call();
    } catch (const zmq::error_t& error) {
      if (error.num() != EINTR) throw;
    }
  }
}

Address address_of(const std::string& endpoint) {
  const std::string rest = endpoint.substr(std::string("tcp://").size());
  const std::size_t colon = rest.rfind(':');
  return {rest.substr(0, colon), rest.substr(colon + 1)};
}

}  // namespace

Result<std::unique_ptr<BrokerEngine>> BrokerEngine::open(const Options& options) {
  std::unique_ptr<BrokerEngine> engine(new BrokerEngine());
  (void)prctl(PR_SET_TIMERSLACK, kSlackNs);
  engine->asked_to_leave_ = options.asked_to_leave;
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
  messages_ = wire::ZmqInbox(inbox_);
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
  hello.libraries = options.libraries;
  hello.trial = options.trial;
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
  auto said = wire::decode_worker_welcome({static_cast<const std::byte*>(answer.data()), answer.size()});
  if (!said.ok()) return said.error();
  if (said->commits.starts_with("tcp://")) {
    // A broker that listens on every address does not know by which it is reached.
    const Address commits = address_of(said->commits);
    if (commits.host == "0.0.0.0" || commits.host == "*") {
      said->commits = fmt::format("tcp://{}:{}", address_of(options.broker).host, commits.port);
    }
  }
  set_welcome(std::move(*said));
  commits_ = zmq::socket_t(context_, zmq::socket_type::push);
  commits_.set(zmq::sockopt::sndhwm, 0);
  commits_.set(zmq::sockopt::linger, 1000);
  commits_.set(zmq::sockopt::reconnect_ivl, -1);
  commits_.connect(welcome().commits);
  pulse_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "pulse");
    LeaveSignal::leave_to_others();
    run_pulse();
  });
  return {};
}

BrokerEngine::~BrokerEngine() {
  {
    const std::lock_guard lock(pulse_mutex_);
    stopping_ = true;
  }
  pulse_ends_.notify_one();
  if (pulse_.joinable()) pulse_.join();
  peers_.close();
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
  socket.connect(welcome().commits);
  const Bytes message = wire::message({MessageType::kPulse, wire::kWireVersion, 0, welcome().incarnation.value(), 0});
  std::unique_lock lock(pulse_mutex_);
  while (!pulse_ends_.wait_for(lock, welcome().beat, [this] { return stopping_; })) {
    if (monotonic_now() - transmitted_.load(std::memory_order_relaxed) < welcome().beat) continue;  // it has been heard
    (void)socket.send(zmq::buffer(message.data(), message.size()), zmq::send_flags::dontwait);
  }
}

void BrokerEngine::transmit(Bytes message, Follows follows) {
  zmq::message_t outgoing = wire::zmq_message(std::move(message));
  // As parts of one they leave at once, and wake one thread after the other once.
  const auto more = follows == Follows::kMore ? zmq::send_flags::sndmore : zmq::send_flags::none;
  // Without a bound on what waits it is not taken only where there is no connection any more.
  const auto sent = uninterrupted([&] { return commits_.send(outgoing, zmq::send_flags::dontwait | more); });
  if (sent) {
    transmitted_.store(monotonic_now(), std::memory_order_relaxed);
  } else if (!cut_off_since_) {
    cut_off_since_ = monotonic_now();
  }
}

std::optional<BrokerSession::Received> BrokerEngine::receive() {
  zmq::message_t message;
  if (!uninterrupted([&] { return messages_.receive(message); })) return std::nullopt;
  auto held = std::make_shared<zmq::message_t>(std::move(message));
  const BytesView view(static_cast<const std::byte*>(held->data()), held->size());
  return Received{std::move(held), view};
}

Event BrokerEngine::next(Monotonic wait) {
  const Monotonic deadline = monotonic_now() + wait;
  watch_connections();
  pump();
  for (bool waited = false;; waited = true) {
    const Monotonic now = monotonic_now();
    const bool waits = !waited && now < deadline;
    if (auto event = take(waits)) return std::move(*event);
    // Credit or a commit's answer may have come: what waited for it goes on.
    if (!waits) return {};
    constexpr Monotonic kSoon{5'000};
    wait_for_message(holds_records() ? std::min(deadline - now, kSoon) : deadline - now);
    pump();
  }
}

void BrokerEngine::watch_connections() {
  const Monotonic now = monotonic_now();
  if (now - peers_watched_ < welcome().beat) return;
  peers_watched_ = now;
  // Of a peer that is dead the broker says so within that time. One that lives cannot be reached: all that this worker
  // has to do with it ends with this worker.
  // What the broker said before may still come, the end for one.
  if (cut_off_since_ && now - *cut_off_since_ >= welcome().beat) lose("the connection to the broker was lost");
  if (peers_.any_lost_before(now, now - welcome().silence)) lose("the connection to another worker was lost");
}

void BrokerEngine::wait_for_message(Monotonic most) {
  // A source that is due soon looks by itself what has come; others have nothing to do but what comes.
  if (reads() && most < kPolled) {
    std::this_thread::sleep_for(most);
    return;
  }
  if (!messages_.surely_empty()) return;
  pollfd polled{messages_.descriptor(), POLLIN, 0};
  const auto left = std::chrono::nanoseconds(std::min<Monotonic>(most, welcome().beat));
  const timespec time{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
  (void)::ppoll(&polled, 1, &time, nullptr);  // a signal's handler was to run (leave_signal.h)
}

}  // namespace weir::host
