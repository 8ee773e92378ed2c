// SPDX-License-Identifier: Apache-2.0
#include "weir/producer.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <utility>
#include <vector>

#include "sdk/base/clock.h"
#include "sdk/client/attempts.h"
#include "sdk/client/client_connection.h"
#include "sdk/wire/map.h"

namespace weir {
namespace {

using std::chrono::milliseconds;

/// How often a broker that owes us an answer is asked whether it is there; it answers pings at once.
constexpr Monotonic kPingEvery = std::chrono::milliseconds(500);
/// Silence after which the connection is made anew, with the endpoint read again.
constexpr Monotonic kSilenceMax = std::chrono::seconds(2);
/// How long to wait before sending again what a full stream did not take.
constexpr Monotonic kAgainAfter = std::chrono::milliseconds(50);
/// Unnamed records travel alone while few messages are under way, else together up to this size.
constexpr std::size_t kTogetherBytesMax = 64 << 10;
constexpr std::size_t kAloneMax = 4;
/// What a message needs beside its records.
constexpr std::size_t kEnvelopeBytes = 256;

/// What a refusal asks of us.
enum class Refusal : std::uint8_t {
  kAgain,      ///< the stream is full: send it again in a while
  kReopen,     ///< the session has ended: open a new one
  kOutOfTurn,  ///< an earlier number is missing
  kFinal,
};

Refusal classify(const wire::MapReader& answer) {
  const std::string code = answer.text("code");
  if (code == "again") return Refusal::kAgain;
  if (code == "closed") return Refusal::kReopen;
  if (code == "order") return Refusal::kOutOfTurn;
  return Refusal::kFinal;
}

}  // namespace

/// Records between publish and acknowledgement. Messages are numbered 1, 2, ... without gaps, from `last` + 1 on; those
/// up to `sent_` are under way in this session of the broker, the others wait.
class Producer::Session {
 public:
  Session(std::string where, std::string stream, Options options)
      : where_(std::move(where)), stream_(std::move(stream)), options_(std::move(options)) {}

  ProducerStatus open() {
    if (!failure_.ok()) return failure_;
    return opened_ ? ProducerStatus() : reach(monotonic_now() + options_.patience);
  }

  ProducerStatus publish(std::string_view key, std::string_view value, std::optional<Timestamp> timestamp,
                         std::string_view headers) {
    if (ProducerStatus status = open(); !status) return status;
    std::string record;
    encode_array_head(record, 4);
    record.append(key);
    record.append(value);
    encode_integer(record, timestamp ? *timestamp : wall_now_us());
    if (headers.empty())
      encode_nil(record);
    else
      record.append(headers);
    if (record.size() + kEnvelopeBytes > frame_bytes_max_) {
      const std::uint64_t number = options_.name.empty() ? acknowledged_ + unacknowledged() + 1 : newest_ + 1;
      return ProducerStatus::failed("record " + std::to_string(number) + ": it has " + std::to_string(record.size()) +
                                        " bytes; the broker takes at most " +
                                        std::to_string(frame_bytes_max_ - kEnvelopeBytes),
                                    number);
    }
    const std::size_t window = std::min(options_.window_bytes, window_bytes_);
    const auto room = [&] { return refused_ == 0 && (held_bytes_ == 0 || held_bytes_ + record.size() <= window); };
    if (ProducerStatus status = pump_until(room); !status) return status;
    add(record);
    pump(milliseconds(0));
    return failure_;
  }

  ProducerStatus flush(milliseconds deadline) {
    if (!failure_.ok()) return failure_;
    const Monotonic end = monotonic_now() + deadline;
    bool late = false;
    ProducerStatus status = pump_until([&] {
      late = !messages_.empty() && monotonic_now() >= end;
      return messages_.empty() || late;
    });
    if (!status || !late) return status;
    return ProducerStatus::failed(std::to_string(unacknowledged()) + " records were not acknowledged in time");
  }

  ProducerStatus end(milliseconds deadline) {
    const Monotonic give_up = monotonic_now() + deadline;
    if (ProducerStatus status = open(); !status) return status;
    if (ProducerStatus status = flush(deadline); !status) return status;
    ended_ = false;
    heard_ = monotonic_now();
    Monotonic asked{0};
    while (!ended_ && failure_.ok()) {
      const Monotonic now = monotonic_now();
      if (now >= give_up) return ProducerStatus::failed("the end of the stream was not acknowledged in time");
      if (opened_ && now - asked >= kSilenceMax) {  // ending twice is ending once
        wire::MapWriter request("end");
        request.put("session", id_);
        connection_->send(std::move(request).finish());
        asked = now;
      }
      pump(milliseconds(20));
      if (now - heard_ >= kSilenceMax) opened_ = false;
      if (!opened_) {
        asked = Monotonic(0);
        if (ProducerStatus status = reach(give_up); !status) return status;
      }
    }
    return failure_;
  }

  [[nodiscard]] std::size_t record_bytes_max() const { return frame_bytes_max_ - kEnvelopeBytes; }
  [[nodiscard]] std::uint64_t last() const { return last_at_open_; }
  [[nodiscard]] std::uint64_t unacknowledged() const {
    std::uint64_t records = 0;
    for (const Message& message : messages_) records += message.records.size();
    return records;
  }
  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }

 private:
  struct Message {
    std::uint64_t number = 0;
    std::vector<std::uint32_t> records;  ///< the size of each
    std::string packed;                  ///< the records, one MessagePack array each
  };

  void add(std::string_view record) {
    if (messages_.empty()) heard_ = monotonic_now();  // from now on an answer is due
    held_bytes_ += record.size();
    const bool alone = !options_.name.empty() || messages_.size() < kAloneMax;
    if (!alone && messages_.back().number > tried_ &&
        messages_.back().packed.size() + record.size() <= std::min(kTogetherBytesMax, frame_bytes_max_ / 2)) {
      messages_.back().packed.append(record);
      messages_.back().records.push_back(static_cast<std::uint32_t>(record.size()));
      return;
    }
    messages_.push_back({++newest_, {static_cast<std::uint32_t>(record.size())}, std::string(record)});
  }

  /// The broker takes a message whole or not at all. One that it refused for one of its records goes out again record
  /// by record, so that those before the refused one are taken, and it is known which it was.
  void take_apart(const std::deque<Message>::iterator& message) {
    const Message whole = std::move(*message);
    auto at = messages_.erase(message);
    std::size_t begin = 0;
    for (const std::uint32_t size : whole.records) {
      at = std::next(messages_.insert(at, {0, {size}, whole.packed.substr(begin, size)}));
      begin += size;
    }
    number_from(whole.number);
  }

  /// Numbers the waiting messages anew: none from `first` on was accepted, so those numbers are free.
  void number_from(std::uint64_t first) {
    std::uint64_t next = messages_.front().number == 0 ? first : messages_.front().number;
    for (Message& message : messages_) message.number = next++;
    newest_ = next - 1;
    sent_ = std::min(sent_, first - 1);
    tried_ = std::min(tried_, first - 1);
  }

  void refused(std::uint64_t number, const wire::MapReader& answer) {
    const auto message = std::ranges::find(messages_, number, &Message::number);
    if (message == messages_.end()) {  // about no message: the session, its name, its stream
      failure_ = ProducerStatus::failed(answer.text("error"));
    } else if (answer.text("code") == "invalid" && message->records.size() > 1) {
      take_apart(message);
    } else if (refused_ == 0 || number < refused_) {
      refused_ = number;
      refusal_ = answer.text("error");
      refused_for_itself_ = answer.text("code") == "invalid";
      fail_when_due();
    }
  }

  /// A refusal counts once everything before it is acknowledged.
  void fail_when_due() {
    if (refused_ == 0 || messages_.empty() || messages_.front().number < refused_) return;
    const std::uint64_t record = options_.name.empty() ? acknowledged_ + 1 : refused_;
    failure_ = refused_for_itself_
                   ? ProducerStatus::failed("record " + std::to_string(record) + ": " + refusal_, record)
                   : ProducerStatus::failed(refusal_);
  }

  /// Works until `done`, making the connection anew when it must. Gives up after `patience` of silence.
  template <typename Done>
  ProducerStatus pump_until(Done done) {
    while (!done()) {
      pump(milliseconds(20));
      if (!failure_.ok()) return failure_;
      const Monotonic now = monotonic_now();
      if (opened_ && now - heard_ >= kSilenceMax) opened_ = false;
      if (!opened_) {
        if (ProducerStatus status = reach(heard_ + std::max<Monotonic>(options_.patience, kSilenceMax * 2)); !status)
          return status;
      }
    }
    return {};
  }

  /// Sends what may go, takes the answers that have come, waiting at most `patience` for the first.
  void pump(milliseconds patience) {
    if (!opened_) return;
    const Monotonic now = monotonic_now();
    if (now >= again_at_) send_waiting();
    if (!messages_.empty() && now - asked_ >= kPingEvery) {
      wire::MapWriter ping("ping");
      ping.put("session", id_);
      connection_->send(std::move(ping).finish());
      asked_ = now;
    }
    while (std::optional<Bytes> answer = connection_->receive(patience)) {
      patience = milliseconds(0);
      take(*answer);
      if (!opened_ || !failure_.ok()) return;
    }
  }

  void send_waiting() {
    for (const Message& message : messages_) {
      if (message.number <= sent_) continue;
      if (refused_ != 0 && message.number >= refused_) return;
      const std::uint64_t under_way = sent_ + 1 - std::min(messages_.front().number, sent_ + 1);
      const bool may_grow =
          message.number == newest_ && message.number > tried_ && message.packed.size() < kTogetherBytesMax;
      if (options_.name.empty() && may_grow && under_way >= kAloneMax) return;  // acknowledgements will send it
      std::string records;
      encode_array_head(records, static_cast<std::uint32_t>(message.records.size()));
      records.append(message.packed);
      wire::MapWriter request("publish");
      request.put("session", id_);
      request.put("number", message.number);
      request.put("now_us", wall_now_us());
      request.put_packed("records", as_bytes(records));
      if (!connection_->send(std::move(request).finish())) return;  // the queue is full: later
      sent_ = message.number;
      tried_ = std::max(tried_, sent_);
      tried_ever_ = std::max(tried_ever_, sent_);
    }
  }

  void take(BytesView bytes) {
    const Result<wire::MapReader> answer = wire::MapReader::parse(bytes);
    if (!answer) return;
    heard_ = monotonic_now();
    const std::string op = answer->op();
    const auto number = static_cast<std::uint64_t>(answer->integer("number", 0));
    if (op == "acknowledged") {
      acknowledge(number);
    } else if (op == "ended") {
      ended_ = true;
    } else if (op == "refused") {
      switch (classify(*answer)) {
        case Refusal::kAgain:  // it has all before that one
          if (number != 0) sent_ = std::min(sent_, number - 1);
          again_at_ = heard_ + kAgainAfter;
          break;
        case Refusal::kOutOfTurn:
          if (number > sent_) break;  // the consequence of such a refusal
          // One was lost. From the oldest on: what the broker has already it knows by its number.
          if (!messages_.empty()) sent_ = std::min(sent_, messages_.front().number - 1);
          again_at_ = heard_ + kAgainAfter;
          break;
        case Refusal::kReopen:
          opened_ = false;
          break;
        case Refusal::kFinal:
          refused(number, *answer);
          break;
      }
    }
  }

  void acknowledge(std::uint64_t number) {
    while (!messages_.empty() && messages_.front().number <= number) {
      held_bytes_ -= messages_.front().packed.size();
      acknowledged_ += messages_.front().records.size();
      messages_.pop_front();
    }
    again_at_ = Monotonic(0);  // there may be room again
    fail_when_due();
  }

  /// Opens a session, again and again until `deadline`, and makes ready to send what the broker does not have.
  ProducerStatus reach(Monotonic deadline) {
    const Status status = client::attempt_until(deadline, ever_opened_, [this] { return try_open(); });
    if (status.ok()) return {};
    ProducerStatus failed = ProducerStatus::failed(status.error().message);
    if (status.error().code == Code::kRefused) failure_ = failed;
    return failed;
  }

  Status try_open() {
    Result<client::ClientConnection> connection = client::ClientConnection::open_at(where_);
    if (!connection) return connection.status();
    wire::MapWriter request("open");
    request.put("version", wire::kClientVersion);
    request.put("stream", stream_);
    if (!options_.name.empty()) request.put("name", options_.name);
    const Result<Bytes> answer = connection->ask(std::move(request).finish(), std::chrono::milliseconds(2000));
    if (!answer) return answer.status();
    const Result<wire::MapReader> opened = wire::MapReader::parse(*answer);
    if (!opened || opened->op() != "opened") return {Code::kUnavailable, "the broker gave no proper answer"};

    connection_ = std::make_unique<client::ClientConnection>(*std::move(connection));
    id_ = opened->integer("session", 0);
    window_bytes_ = static_cast<std::size_t>(std::max<std::int64_t>(opened->integer("window_bytes", 1 << 20), 1));
    frame_bytes_max_ = static_cast<std::size_t>(
        std::max<std::int64_t>(opened->integer("frame_bytes_max", 1 << 20), kEnvelopeBytes * 2));
    const auto last = static_cast<std::uint64_t>(opened->integer("last", 0));
    if (options_.name.empty()) {
      newest_ = last;  // a session without a past: what waits is numbered anew
      for (Message& message : messages_) message.number = ++newest_;
    } else {
      if (!ever_opened_) newest_ = tried_ever_ = last;
      if (last > tried_ever_) {
        return {Code::kRefused, "another producer has published as \"" + options_.name +
                                    "\" meanwhile: what waits here is not published; ask last() of a new producer "
                                    "which records are there"};
      }
      acknowledge(last);
      if (!messages_.empty() && messages_.front().number != last + 1) {
        return {Code::kRefused,
                "the broker no longer knows records that it has acknowledged; was its directory replaced?"};
      }
    }
    if (!ever_opened_) last_at_open_ = last;
    sent_ = tried_ = last;
    refused_ = 0;  // the new session will say so again
    opened_ = ever_opened_ = true;
    heard_ = asked_ = monotonic_now();
    again_at_ = Monotonic(0);
    return {};
  }

  std::string where_;
  std::string stream_;
  Options options_;
  std::unique_ptr<client::ClientConnection> connection_;
  std::deque<Message> messages_;  ///< not acknowledged, by number
  std::size_t held_bytes_ = 0;
  std::uint64_t newest_ = 0;  ///< number of the newest message
  std::uint64_t sent_ = 0;
  std::uint64_t tried_ = 0;  ///< the last number sent in this session, refused or not: the broker may have it as it was
  std::uint64_t tried_ever_ = 0;  ///< the same, in any session
  std::uint64_t last_at_open_ = 0;
  std::int64_t id_ = 0;
  std::size_t window_bytes_ = 1 << 20;
  std::size_t frame_bytes_max_ = 1 << 20;
  bool opened_ = false;  ///< there is a session, as far as we know
  bool ever_opened_ = false;
  bool ended_ = false;
  std::uint64_t acknowledged_ = 0;  ///< records
  std::uint64_t refused_ = 0;       ///< the message that is refused, as soon as those before it are acknowledged
  std::string refusal_;
  bool refused_for_itself_ = false;  ///< and not for its stream
  ProducerStatus failure_;           ///< final
  Monotonic heard_{0};
  Monotonic asked_{0};
  Monotonic again_at_{0};
};

Producer::Producer(std::string where, std::string stream, Options options)
    : session_(std::make_unique<Session>(std::move(where), std::move(stream), std::move(options))) {}
Producer::~Producer() = default;
Producer::Producer(Producer&&) noexcept = default;
Producer& Producer::operator=(Producer&&) noexcept = default;

ProducerStatus Producer::open() { return session_->open(); }
ProducerStatus Producer::publish_packed(std::string_view key, std::string_view value,
                                        std::optional<Timestamp> timestamp, std::string_view headers) {
  return session_->publish(key, value, timestamp, headers);
}
ProducerStatus Producer::flush(std::chrono::milliseconds deadline) { return session_->flush(deadline); }
ProducerStatus Producer::end(std::chrono::milliseconds deadline) { return session_->end(deadline); }
std::size_t Producer::record_bytes_max() const { return session_->record_bytes_max(); }
std::uint64_t Producer::last() const { return session_->last(); }
std::uint64_t Producer::unacknowledged() const { return session_->unacknowledged(); }
std::uint64_t Producer::acknowledged() const { return session_->acknowledged(); }

}  // namespace weir
