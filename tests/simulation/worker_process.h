// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "sdk/wire/commit.h"
#include "stages/host/broker_session.h"
#include "stages/host/chain.h"
#include "stages/host/runner.h"
#include "tests/simulation/world.h"

namespace weir::simulation {

/// A worker's process: the real runner, chain and session on a wire and a clock of the simulation, with stages of its
/// own (model_stages.h). What the broker tells it is checked here before the runner sees it, by code that shares
/// nothing with either.
class WorkerProcess final : private host::BrokerSession {
 public:
  WorkerProcess(World& world, std::uint32_t stage, std::uint32_t index, std::int64_t pid);
  ~WorkerProcess() override;

  /// Says hello.
  void begin();
  void on_reply(BytesView message);
  void on_message(BytesView message) { inbox_.push_back(std::make_shared<Bytes>(message.begin(), message.end())); }
  /// Some turns of the runner.
  void work();
  void die() { alive_ = *running_ = false; }
  /// The record that is being processed kills it.
  void die_of_record();
  /// It is killed from outside, and happens to be at a record.
  void die_at_record();
  /// What the page says that a launcher reads when it has died; nothing where it never came to work.
  [[nodiscard]] std::optional<core::FatalRecord> last_record() const;
  /// Its stage goes back: what it has consumed is no longer what the next one goes on behind.
  void forget_facts();
  void freeze(Monotonic until) {
    frozen_until_ = until;
    frozen_ = true;
  }
  /// SIGTERM: it goes once the broker lets it.
  void leave() { leaves_ = true; }

  [[nodiscard]] bool alive() const { return alive_; }
  [[nodiscard]] bool stopped() const { return stopped_; }  ///< it was told to exit, and nobody had asked it to go
  [[nodiscard]] std::uint32_t stage() const { return stage_; }
  [[nodiscard]] std::uint32_t index() const { return index_; }
  [[nodiscard]] std::int64_t pid() const { return pid_; }
  [[nodiscard]] Incarnation::number_type incarnation() const { return welcome().incarnation.value(); }
  [[nodiscard]] bool reads(std::uint32_t split) const { return reading_.contains(split); }
  [[nodiscard]] const std::string& says() const { return says_; }  ///< what it runs, as it says, ...
  [[nodiscard]] const std::string& runs() const { return runs_; }  ///< ... and as it is

  // For the stages that run in it.
  [[nodiscard]] World& world() { return world_; }
  /// Which of all leases of this lane is the newer one: reign and epoch.
  [[nodiscard]] std::uint64_t tenure(std::uint32_t lane) const;
  /// The process that is at work just now.
  static WorkerProcess& at_work();

 private:
  struct Input {
    std::uint64_t expected = UINT64_MAX;
    Timestamp watermark = INT64_MIN;
  };
  struct Held {
    std::uint64_t tenure = 0;
    bool ready = false;                     ///< its state is here
    bool begun = false;                     ///< of its state something is here
    bool had = false;                       ///< the worker's own disk had some
    Committed::Lane state;                  ///< what has come so far
    std::uint64_t position = 0;             ///< of a sink
    std::map<std::uint32_t, Input> inputs;  ///< by stream
  };
  /// As the broker knows it: granted, and not let go.
  std::set<std::uint32_t> reading_;
  using Facts = std::map<std::string, std::uint64_t>;

  // host::BrokerSession
  host::Event next(Monotonic wait) override;
  void commit(Bytes message) override;
  void transmit(Bytes message, Follows follows) override;
  void connect_peer(Incarnation peer, const std::string& inbox) override { links_[peer].pid = std::stoll(inbox); }
  void disconnect_peer(Incarnation peer) override { links_.erase(peer); }
  void transmit_to(Incarnation peer, Bytes message) override;
  std::optional<Received> receive() override;
  [[nodiscard]] Monotonic clock() const override { return world_.now(); }
  [[nodiscard]] bool asked_to_leave() const override { return leaves_; }

  void exit(bool told);
  /// The topology as this process takes it.
  const Topology& topology();
  void check(const host::Event& event);
  void check_grant(const std::vector<wire::Lease>& leases);
  void check_state(const wire::StatePart& part);
  /// What a lane has been given is what was committed of it.
  void check_restored(std::uint32_t lane);
  void check_delivery(const wire::DeliveryView& delivery);
  void tell_settled();
  Result<std::unique_ptr<host::LocalStore>> open_store(std::uint32_t lane);
  /// The commit as a bug would have it.
  [[nodiscard]] Bytes mutilated(Bytes message, wire::Commit commit);
  [[nodiscard]] std::string fact(std::uint32_t stream, std::uint32_t shard) const;

  World& world_;
  const std::uint32_t stage_;
  const std::uint32_t index_;
  const std::int64_t pid_;
  const std::string says_;
  const std::string runs_;
  bool alive_ = true;
  bool stopped_ = false;
  bool leaves_ = false;
  Monotonic begun_{0};
  bool frozen_ = false;
  Monotonic frozen_until_{0};
  std::deque<std::shared_ptr<Bytes>> inbox_;
  /// A connection to another worker; once it is broken, nothing passes any more.
  struct LinkTo {
    std::int64_t pid = 0;
    std::optional<Monotonic> broken;
  };
  std::map<Incarnation, LinkTo> links_;
  std::shared_ptr<bool> running_ = std::make_shared<bool>(true);  ///< alive_, for what outlives the process
  std::optional<host::LocalLanes> local_;
  std::unique_ptr<host::Chain> chain_;
  std::unique_ptr<host::Runner> runner_;
  std::uint64_t heard_ = 0;           ///< Bug::kHeartbeatUnheeded: the last number
  std::optional<host::Event> drain_;  ///< Bug::kDrainFinishes: comes behind the finish
  Bytes state_;                       ///< Bug::kParkedForgotten: what is left of the newest part
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> past_;  ///< Bug::kPastCursor: what is committed
  std::optional<Topology> moved_;                                          ///< Bug::kBoundaryMoved
  wire::Decompressor decompressor_;
  bool idle_ = false;  ///< the runner asked for an event and there was none

  // As the checks see it.
  bool facts_forgotten_ = false;
  bool draining_ = false;
  std::map<std::uint32_t, Held> lanes_;
  struct Copy {
    std::uint32_t number = 0;
    bool whole = false;
    Committed::Lane state;
  };
  std::map<std::uint32_t, Copy> ahead_;                    ///< state that comes ahead of its lease
  std::deque<std::pair<std::uint64_t, Facts>> unsettled_;  ///< what each commit makes known, by its number
};

}  // namespace weir::simulation
