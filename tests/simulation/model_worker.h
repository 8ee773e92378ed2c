// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sdk/wire/messages.h"
#include "tests/simulation/world.h"

namespace weir::simulation {

/// A worker's process as the broker could meet it, much simpler than the real one: a source of numbers, a stage that
/// passes them on, a stage that sums them by key, or a sink. Every call of work() is at most one transaction.
class ModelWorker {
 public:
  enum class Role : std::uint8_t { kSource, kPass, kSum, kSink };

  ModelWorker(World& world, std::uint32_t stage, std::uint32_t index, std::int64_t pid);

  void start();
  void on_reply(BytesView message);
  void on_message(BytesView message);
  void work();
  void die() { alive_ = false; }
  void freeze(Monotonic until) { frozen_until_ = until; }

  [[nodiscard]] bool alive() const { return alive_; }
  [[nodiscard]] bool stopped() const { return stopped_; }  ///< it was told to exit
  [[nodiscard]] std::uint32_t stage() const { return stage_; }
  [[nodiscard]] std::uint32_t index() const { return index_; }
  [[nodiscard]] std::int64_t pid() const { return pid_; }

 private:
  struct Record {
    std::uint64_t key = 0;
    std::array<std::uint64_t, 3> value{};
    std::size_t bytes = 0;
  };
  struct Piece {
    std::uint32_t stream = 0;  // of one or, where the sum reads from outside too, two
    std::uint32_t shard = 0;
    std::uint64_t offset = 0;
    std::deque<Record> records;
  };
  struct Held {
    bool ready = false;        ///< its state is here
    std::uint64_t tenure = 0;  ///< reign and epoch: which lease is the newer one
    struct Input {
      std::uint64_t expected = UINT64_MAX;
      Timestamp watermark = INT64_MIN;
    };
    std::map<std::uint32_t, Input> inputs;  ///< by stream
    std::uint64_t position = 0;             ///< of a split, or of the target
    std::string split;
    std::uint64_t seen = 0;                                    ///< records that the state holds
    std::uint64_t tallied = 0;                                 ///< by the fused stage behind
    std::map<std::uint64_t, std::vector<std::uint64_t>> sums;  ///< key -> count, sum, last by split
  };
  struct Batch {
    std::uint32_t count = 0;
    Bytes bytes;
  };
  struct Transaction;

  void say(wire::MessageType type, BytesView body = {});
  void exit(bool told);
  void on_grant(BytesView body);
  void on_state(BytesView body);
  void on_deliver(BytesView body);
  void on_revoke(BytesView body);
  void read_splits(Transaction& open);
  void process(Transaction& open);
  void finish(Transaction& open);
  void add(Transaction& open, Held& held, std::uint32_t lane, const Record& record);
  void give_up(Transaction& open, const Piece& piece, const Record& record);
  [[nodiscard]] Timestamp watermark(const Held& held) const;
  void emit(Transaction& open, std::uint64_t key, const std::array<std::uint64_t, 3>& value);
  void commit(Transaction& open);
  [[nodiscard]] std::string fact(std::uint32_t lane) const;

  World& world_;
  const std::uint32_t stage_;
  const std::uint32_t index_;
  const std::int64_t pid_;
  Role role_;
  std::optional<std::uint32_t> tally_;  ///< the fused stage that this worker hosts behind its own
  std::uint32_t output_ = 0;            ///< the stream that leaves the worker
  bool alive_ = true;
  bool stopped_ = false;
  bool draining_ = false;
  Monotonic frozen_until_{0};
  Monotonic heard_{0};
  Monotonic beat_{0};
  Incarnation incarnation_;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t transactions_ = 0;
  std::deque<Bytes> inbox_;
  std::map<std::uint32_t, Held> lanes_;
  std::deque<Piece> pending_;
  std::deque<std::uint32_t> finishes_;
  bool enumerate_ = false;
  std::uint64_t published_ = 0;
  std::uint64_t publish_granted_ = 0;
  wire::Totals done_;  ///< bytes, records that were worked off
  wire::Totals credit_said_;
  std::deque<std::pair<std::uint64_t, std::map<std::string, std::uint64_t>>> unsettled_;
};

}  // namespace weir::simulation
