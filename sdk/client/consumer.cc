// SPDX-License-Identifier: Apache-2.0
#include "weir/consumer.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "sdk/base/clock.h"
#include "sdk/client/attempts.h"
#include "sdk/client/client_connection.h"
#include "sdk/client/delivery.h"
#include "sdk/wire/map.h"

namespace weir {
namespace {

using std::chrono::milliseconds;

/// How often the broker is told that we are there, and asked whether it is; it answers at once.
constexpr Monotonic kPingEvery = milliseconds(500);
/// Silence after which the connection is made anew, with the endpoint read again.
constexpr Monotonic kSilenceMax = std::chrono::seconds(2);
/// Acknowledgements, room and pings go out so often while the caller works on what is at hand; the clock is looked at
/// every few records.
constexpr Monotonic kWorkEvery = milliseconds(50);
constexpr std::uint32_t kPollsBetweenLooks = 16;
/// So many deliveries are worked off before the broker hears of it, were they ever so small.
constexpr std::uint64_t kDeliveriesUntold = 16;

std::string made_up_name() {
  std::random_device random;  // the kernel's
  return std::to_string(random()) + "-" + std::to_string(random());
}

}  // namespace

/// Deliveries on their way to the caller, and acknowledgements on theirs to the broker. Of each shard is known how far
/// records were handed to the caller, how far the caller is done, and how far the broker has it durably.
class Consumer::Session {
 public:
  Session(std::string where, std::string stream, std::string group, Options options)
      : where_(std::move(where)), stream_(std::move(stream)), group_(std::move(group)), options_(std::move(options)) {
    for (const auto& [shard, offset] : options_.positions) {
      shards_[shard].handed = offset;
      shards_[shard].done = offset;
    }
  }

  ConsumerStatus open() {
    status_ = {};
    if (!failure_.ok()) {
      status_ = failure_;
    } else if (!opened_) {
      reach(monotonic_now() + options_.patience);
    }
    return status_;
  }

  const RecordView* poll(milliseconds deadline) {
    const Monotonic give_up = monotonic_now() + deadline;
    held_.reset();
    // While there is enough at hand the broker is not forgotten.
    if (++polls_ % kPollsBetweenLooks == 0 && opened_ && failure_.ok() && monotonic_now() - worked_ >= kWorkEvery)
      work(worked_);
    while (true) {
      if (const RecordView* record = next()) {
        record_ = *record;
        return &record_;
      }
      if (!failure_.ok()) {
        status_ = failure_;
        return nullptr;
      }
      if (ended_ || !work(give_up)) return nullptr;
      if (deliveries_.empty() && monotonic_now() >= give_up) return nullptr;
    }
  }

  void acknowledge(std::uint32_t shard, std::uint64_t offset) {
    Shard& known = shards_[shard];
    known.done = std::max(known.done, std::min(offset, known.handed));
    if (opened_ && !asked_acknowledgement_) send_acknowledgement();
  }

  ConsumerStatus flush(milliseconds deadline) {
    const Monotonic give_up = monotonic_now() + deadline;
    status_ = {};
    while (!settled()) {
      if (!failure_.ok()) return status_ = failure_;
      if (monotonic_now() >= give_up)
        return status_ = ConsumerStatus::failed(
                   "acknowledgements were not durable in time; if another consumer of the group has the shard now, "
                   "it gets those records again");
      if (!work(give_up) && !status_.ok()) return status_;
      pass_over_handed();
    }
    return {};
  }

  ConsumerStatus close(milliseconds deadline) {
    const Monotonic give_up = monotonic_now() + deadline;
    ConsumerStatus flushed = flush(deadline);
    if (opened_) {
      left_ = false;
      send("leave");
      // Nothing rests on the answer; of a stream that has ended there are no shards to give back, and the broker may be
      // gone with it.
      const Monotonic heard_by = std::min(give_up, monotonic_now() + kSilenceMax);
      while (!left_ && opened_ && !ended_ && monotonic_now() < heard_by) receive(milliseconds(20));
      opened_ = false;
    }
    if (failure_.ok()) failure_ = ConsumerStatus::failed("this consumer was closed");
    return flushed;
  }

  void keep_alive() {
    if (opened_ && failure_.ok()) work(monotonic_now());
  }

  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] const ConsumerStatus& status() const { return status_; }
  [[nodiscard]] std::uint64_t given() const { return given_; }
  [[nodiscard]] bool is_new() const { return new_; }

 private:
  struct Shard {
    std::uint64_t handed = 0;     ///< before which all was given to the caller, in any session
    std::uint64_t done = 0;       ///< before which the caller has acknowledged
    std::uint64_t durable = 0;    ///< before which the broker has it durably, as far as we know
    std::uint32_t epoch = 0;      ///< of the lease, in this session; 0: nothing of it was delivered
    std::uint64_t delivered = 0;  ///< in this session
    std::uint64_t asked = 0;      ///< acknowledged to the broker, in this session
    bool ours = false;            ///< something of it was delivered, in any session
  };

  const RecordView* next() {
    while (!deliveries_.empty()) {
      client::Delivery& delivery = deliveries_.front();
      if (!cursor_) {
        const client::Delivery::Batch& batch = delivery.batches[batch_];
        view_of(batch);
        left_in_batch_ = batch.count;
      }
      while (left_in_batch_ > 0) {
        const RecordView* record = cursor_->next();
        if (record == nullptr) {
          failure_ = ConsumerStatus::failed("a batch of stream " + stream_ + " holds fewer records than it says");
          return nullptr;
        }
        --left_in_batch_;
        Shard& shard = shards_[record->shard()];
        if (record->offset() < shard.handed) continue;  // known from an earlier session, or by the caller's own account
        shard.handed = record->offset() + 1;
        ++given_;
        return record;
      }
      cursor_.reset();
      finish_batch();
    }
    return nullptr;
  }

  void view_of(const client::Delivery::Batch& batch) {
    weir_batch view{};
    view.struct_size = sizeof(view);
    view.count = static_cast<std::uint32_t>(batch.count);
    view.shard = batch.shard;
    view.offset = batch.offset;
    view.records = {reinterpret_cast<const std::uint8_t*>(batch.records.data()), batch.records.size()};
    view.stream = stream_.c_str();
    cursor_.emplace(view, std::string_view("in"));
  }

  /// A batch is worked off: its room goes back to the broker.
  void finish_batch() {
    client::Delivery& delivery = deliveries_.front();
    returned_bytes_ += delivery.batches[batch_].records.size();
    returned_records_ += delivery.batches[batch_].count;
    if (++batch_ < delivery.batches.size()) return;
    batch_ = 0;
    ++returned_deliveries_;
    deliveries_.pop_front();
  }

  /// What comes once more after a broker's end, and the caller has had, makes room without it asking for more.
  void pass_over_handed() {
    while (!cursor_ && !deliveries_.empty()) {
      const client::Delivery::Batch& batch = deliveries_.front().batches[batch_];
      if (batch.offset + batch.count > shards_[batch.shard].handed) return;
      finish_batch();
    }
  }

  /// Does what is due and takes what has come; waits for something until `give_up`, in small steps. False where it
  /// failed: then status_ says why.
  bool work(Monotonic give_up) {
    status_ = {};
    const Monotonic now = monotonic_now();
    // Where the caller was away nothing was read meanwhile: that is not the broker's silence.
    if (opened_ && now - worked_ >= kSilenceMax / 2) heard_ = now;
    worked_ = now;
    if (opened_ && now - heard_ >= kSilenceMax) lose();
    if (!opened_) {
      const Monotonic patient_to = (ever_opened_ ? lost_ : now) + options_.patience;
      if (!reach(ever_opened_ ? std::min(give_up, patient_to) : patient_to)) {
        if (failure_.ok() && ever_opened_ && monotonic_now() < patient_to) status_ = {};
        return false;
      }
    }
    if (now - pinged_ >= kPingEvery) {
      send("ping");
      pinged_ = now;
    }
    if (!asked_acknowledgement_) send_acknowledgement();
    send_credit();
    const auto left = std::chrono::duration_cast<milliseconds>(give_up - monotonic_now());
    receive(std::clamp(left, milliseconds(0), milliseconds(100)));
    if (!failure_.ok()) status_ = failure_;
    return failure_.ok();
  }

  void lose() {
    if (opened_) lost_ = monotonic_now();
    opened_ = false;
  }

  void send(std::string_view op) {
    wire::MapWriter request(op);
    request.put("session", id_);
    connection_->send(std::move(request).finish());
  }

  void send_credit() {
    const std::uint64_t untold = returned_bytes_ - told_bytes_;
    const bool due = untold >= options_.window_bytes / 4 ||
                     returned_deliveries_ - told_deliveries_ >= kDeliveriesUntold ||
                     (deliveries_.empty() && returned_deliveries_ != told_deliveries_);
    if (!due && granted_) return;
    wire::MapWriter request("credit");
    request.put("session", id_);
    request.put("bytes", options_.window_bytes + returned_bytes_);
    request.put("records", options_.window_records + returned_records_);
    request.put("received", number_);
    if (!connection_->send(std::move(request).finish())) return;
    granted_ = true;
    told_bytes_ = returned_bytes_;
    told_deliveries_ = returned_deliveries_;
  }

  /// One request is under way at a time: what the caller is done with meanwhile goes together with the next.
  void send_acknowledgement() {
    std::vector<std::tuple<std::uint32_t, std::uint32_t, std::uint64_t>> positions;
    for (auto& [number, shard] : shards_) {
      const std::uint64_t to = std::min(shard.done, shard.delivered);
      if (shard.epoch == 0 || to <= shard.asked || to <= shard.durable) continue;
      shard.asked = to;
      positions.emplace_back(number, shard.epoch, to);
    }
    if (positions.empty()) return;
    wire::MapWriter request("acknowledge");
    request.put("session", id_);
    request.put("number", ++acknowledgement_);
    request.put("positions", positions);
    asked_acknowledgement_ = true;
    if (!connection_->send(std::move(request).finish())) lose();
  }

  [[nodiscard]] bool settled() const {
    return ended_ || std::ranges::all_of(shards_, [](const auto& each) {
             const Shard& shard = each.second;
             return !shard.ours || shard.done <= shard.durable;
           });
  }

  void receive(milliseconds patience) {
    while (std::optional<Bytes> message = connection_->receive(patience)) {
      patience = milliseconds(0);
      take(std::move(*message));
      if (!opened_ || !failure_.ok() || left_) return;
    }
  }

  void take(Bytes message) {
    if (auto delivery = client::Delivery::parse(message)) {
      if (delivery->session != id_) return;
      heard_ = monotonic_now();
      if (delivery->number <= number_) return;
      if (delivery->number != number_ + 1) return lose();  // one was lost on the way: a new session gets it again
      ++number_;
      for (const client::Delivery::Batch& batch : delivery->batches) {
        Shard& shard = shards_[batch.shard];
        shard.ours = true;
        if (shard.epoch != batch.epoch) {  // a lease begins behind what the group has acknowledged
          shard.epoch = batch.epoch;
          shard.durable = std::max(shard.durable, std::min(shard.done, batch.offset));
          shard.asked = std::max(shard.asked, batch.offset);
        }
        shard.delivered = batch.offset + batch.count;
      }
      if (!delivery->batches.empty()) deliveries_.push_back(std::move(*delivery));
      return;
    }
    const Result<wire::MapReader> answer = wire::MapReader::parse(message);
    if (!answer) return;
    const std::string op = answer->op();
    if (op == "left") left_ = true;
    if (op == "refused") return refused(*answer);
    if (answer->integer("session", 0) != id_) return;
    heard_ = monotonic_now();
    if (op == "pong" && static_cast<std::uint64_t>(answer->integer("sent", 0)) > number_) return lose();
    if (op == "end") ended_ = true;
    if (op == "acknowledged" && static_cast<std::uint64_t>(answer->integer("number", 0)) == acknowledgement_) {
      asked_acknowledgement_ = false;
      for (auto& [number, shard] : shards_) shard.durable = std::max(shard.durable, shard.asked);
      send_acknowledgement();
    }
  }

  void refused(const wire::MapReader& answer) {
    const std::string code = answer.text("code");
    if (code == "closed" || code == "again") {
      lose();
    } else {
      failure_ = ConsumerStatus::failed(answer.text("error"));
    }
  }

  /// Opens a session, again and again until `deadline`.
  bool reach(Monotonic deadline) {
    const Status status = client::attempt_until(deadline, ever_opened_, [this] { return try_open(); });
    if (status.ok()) return true;
    status_ = ConsumerStatus::failed(status.error().message);
    if (status.error().code == Code::kRefused) failure_ = status_;
    return false;
  }

  Status try_open() {
    Result<client::ClientConnection> connection = client::ClientConnection::open_at(where_);
    if (!connection) return connection.status();
    wire::MapWriter request("consume");
    request.put("version", wire::kClientVersion);
    request.put("stream", stream_);
    request.put("group", group_);
    request.put("silence_ms", options_.silence.count());
    if (options_.from == Options::From::kEnd) request.put("from", "end");
    request.put("consumer", name_);
    const Result<Bytes> answer = connection->ask(std::move(request).finish(), milliseconds(2000));
    if (!answer) return answer.status();
    const Result<wire::MapReader> opened = wire::MapReader::parse(*answer);
    if (!opened || opened->op() != "consuming") return {Code::kUnavailable, "the broker gave no proper answer"};
    connection_ = std::make_unique<client::ClientConnection>(*std::move(connection));
    id_ = opened->integer("session", 0);
    if (!ever_opened_) new_ = opened->boolean("new");
    start_session(*opened);
    return {};
  }

  void start_session(const wire::MapReader& opened) {
    // The record that the caller has was given to it; its bytes are kept until it asks for the next one.
    if (cursor_ && !deliveries_.empty()) held_ = std::move(deliveries_.front());
    cursor_.reset();
    left_in_batch_ = 0;
    deliveries_.clear();
    batch_ = 0;
    number_ = 0;
    returned_bytes_ = returned_records_ = returned_deliveries_ = told_bytes_ = told_deliveries_ = 0;
    granted_ = asked_acknowledgement_ = ended_ = left_ = false;
    for (auto& [number, shard] : shards_) {
      shard.epoch = 0;
      shard.delivered = shard.asked = 0;
    }
    if (const msgpack::object* positions = opened.find("positions");
        positions != nullptr && positions->type == msgpack::type::ARRAY) {
      for (std::uint32_t i = 0; i < positions->via.array.size; ++i) {
        const auto known = shards_.find(i);
        const msgpack::object& position = positions->via.array.ptr[i];
        if (known == shards_.end() || position.type != msgpack::type::POSITIVE_INTEGER) continue;
        known->second.durable = std::max(known->second.durable, position.via.u64);
      }
    }
    opened_ = ever_opened_ = true;
    heard_ = worked_ = monotonic_now();
    pinged_ = Monotonic(0);
  }

  std::string where_;
  std::string stream_;
  std::string group_;
  std::string name_ = made_up_name();  ///< ours alone, in all sessions
  Options options_;
  std::unique_ptr<client::ClientConnection> connection_;
  std::map<std::uint32_t, Shard> shards_;
  std::deque<client::Delivery> deliveries_;  ///< not worked off
  std::optional<client::Delivery> held_;     ///< of an earlier session: the caller may look at a record of it
  std::size_t batch_ = 0;                    ///< of the first delivery
  std::optional<BatchCursor> cursor_;        ///< in that batch
  std::uint64_t left_in_batch_ = 0;
  RecordView record_;         ///< that the caller has
  std::uint64_t number_ = 0;  ///< of the last delivery
  std::uint64_t acknowledgement_ = 0;
  bool asked_acknowledgement_ = false;  ///< one is under way
  // What the caller has worked off, as running totals of the session; and what of it the broker was told.
  std::uint64_t returned_bytes_ = 0;
  std::uint64_t returned_records_ = 0;
  std::uint64_t returned_deliveries_ = 0;
  std::uint64_t told_bytes_ = 0;
  std::uint64_t told_deliveries_ = 0;
  std::int64_t id_ = 0;
  std::uint64_t given_ = 0;
  std::uint32_t polls_ = 0;
  bool granted_ = false;
  bool opened_ = false;  ///< there is a session, as far as we know
  bool ever_opened_ = false;
  bool ended_ = false;
  bool left_ = false;
  bool new_ = false;
  ConsumerStatus failure_;  ///< final
  ConsumerStatus status_;
  Monotonic heard_{0};
  Monotonic lost_{0};
  Monotonic worked_{0};
  Monotonic pinged_{0};
};

Consumer::Consumer(std::string where, std::string stream, std::string group, Options options)
    : session_(std::make_unique<Session>(std::move(where), std::move(stream), std::move(group), std::move(options))) {}
Consumer::~Consumer() = default;
Consumer::Consumer(Consumer&&) noexcept = default;
Consumer& Consumer::operator=(Consumer&&) noexcept = default;

ConsumerStatus Consumer::open() { return session_->open(); }
const RecordView* Consumer::poll(std::chrono::milliseconds deadline) { return session_->poll(deadline); }
void Consumer::acknowledge(std::uint32_t shard, std::uint64_t offset) { session_->acknowledge(shard, offset); }
ConsumerStatus Consumer::flush(std::chrono::milliseconds deadline) { return session_->flush(deadline); }
ConsumerStatus Consumer::close(std::chrono::milliseconds deadline) { return session_->close(deadline); }
void Consumer::keep_alive() { session_->keep_alive(); }
bool Consumer::ended() const { return session_->ended(); }
const ConsumerStatus& Consumer::status() const { return session_->status(); }
std::uint64_t Consumer::given() const { return session_->given(); }
bool Consumer::is_new() const { return session_->is_new(); }

}  // namespace weir
