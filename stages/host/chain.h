// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sdk/base/result.h"
#include "sdk/topology/topology.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/changes.h"
#include "sdk/wire/messages.h"
#include "stages/host/at_work.h"
#include "stages/host/direct_part.h"
#include "stages/host/instance.h"
#include "stages/host/library.h"
#include "stages/host/transaction.h"

namespace weir::host {

class Engine;

/// The stages of one worker: a head, and those that fused streams join to it. Works batches through them within one
/// transaction, and judges records that fail.
/// Thread: the runner's. Lifetime: topology and libraries must outlive it.
class Chain {
 public:
  Chain(const Topology& topology, std::uint32_t head, std::uint32_t worker);

  /// Creates all instances. Errors: kNotFound, kRefused, with a sentence.
  Status create(const std::function<Result<const weir_descriptor*>(const StageSpec&)>& find,
                const std::function<Result<std::string>(const StageSpec&, const weir_descriptor&)>& config);
  /// Ends all instances, the last of the chain first.
  void destroy();

  [[nodiscard]] AtWork& at_work() { return at_work_; }
  [[nodiscard]] Transaction& transaction() { return transaction_; }
  [[nodiscard]] Instance& head() { return *instances_.front(); }
  [[nodiscard]] const std::vector<std::unique_ptr<Instance>>& instances() const { return instances_; }
  Instance* find(std::uint32_t stage);
  [[nodiscard]] Instance* sink();

  /// Works off records [first, count) of a batch that was delivered to the head, as `lane`. `done` is where it stopped:
  /// the batch's end, or behind the record that filled the transaction. Errors: the worker must give up.
  /// `producer`: who sent it, where it came past the broker.
  Status process(const wire::DeliveryHeader& batch, BytesView records, std::uint32_t lane, std::uint32_t first,
                 std::uint32_t& done, Incarnation producer = {});
  /// Works off the record of a dead letter of one of the stages again. Errors: as above.
  Status process_requeued(const wire::Requeued& requeued, const wire::DeadLetter& letter);
  /// The only record of `batch`, or the requeued one, is not tried any more: `on_error` says what becomes of it.
  Status give_up(const wire::Condemned& condemned, const wire::DeliveryHeader& batch, BytesView records,
                 std::uint32_t lane, Incarnation producer = {});
  Status give_up(const wire::Condemned& condemned, const wire::Requeued& requeued, const wire::DeadLetter& letter);
  /// Works off the first parked record of a key again, or gives it up if it is the one that is condemned. `more`:
  /// another one of the key is to follow, by another call; else the wish is done. Errors: as above.
  Status work_off_parked(const wire::Requeued& requeued, const wire::Condemned* condemned, bool& more);
  /// Drops parked records. Errors: as above.
  Status drop_parked(const wire::Requeued& requeued);
  /// Works off what the head has emitted to fused streams (a source's read, finish).
  Status flush_fused(std::uint32_t lane) { return run_fused(head(), lane); }
  /// How far event time has come for the lane that is worked on next: what stages see until another one is.
  void set_watermark(Timestamp watermark);
  /// One portion of `on_watermark` or `finish` of every stage in turn; `more` asks for another call.
  Status on_watermark(std::uint32_t lane, Timestamp watermark, bool& more);
  Status finish(std::uint32_t lane, bool& more);

  /// Event time matters to this unit: it emits, or a stage asks to be told.
  [[nodiscard]] bool wants_watermarks() const;
  /// From now on a transaction wants to be closed when it has emitted so much, if that is less than it would.
  void bound_outputs(std::uint64_t bytes);
  /// The transaction wants to be closed.
  [[nodiscard]] bool full() const;
  /// Nobody waits for the transaction, as it stands: it has emitted nothing, written to no target, and tells of no
  /// event time. What it has made of its records is state.
  [[nodiscard]] bool may_wait() const;
  /// The target that the sink writes `lane` to: one for each lane, or one for all.
  static std::uint32_t target_of(const Instance& sink, std::uint32_t lane) {
    return sink.spec().sharing == Sharing::kShard ? lane : 0;
  }
  /// Closes it: flushes state and sinks, and gives the commit as Engine::commit() takes it; empty where there is
  /// nothing to commit. `engine` knows who reads what is published.
  Result<Bytes> close(std::uint64_t number, const Engine& engine);
  /// Of the transaction that was closed last, what goes past the broker. Taken out: once.
  DirectPart take_direct() { return std::exchange(direct_, {}); }
  /// Of streams whose hot keys are split: what the stages' outputs have seen of them.
  [[nodiscard]] std::vector<wire::HotKeysSeen> hot_keys() const;
  /// In memory; of a stage whose state is larger than that, its cache.
  [[nodiscard]] std::uint64_t state_bytes() const;

  /// State of the stages that say so lies in `local`, which must outlive it, with a cache of `cache_bytes` in front.
  /// Errors: kRefused where a plugin cannot. REQUIRES: after create().
  Status keep_local(LocalLanes& local, std::uint64_t cache_bytes);
  /// Where the lanes' state lies; null: in memory.
  [[nodiscard]] LocalLanes* local() const { return local_; }
  /// Between transactions: the caches take no more than their part.
  void evict();

 private:
  struct Joint {
    Instance* consumer = nullptr;
    std::uint32_t port = 0;
  };
  struct Work {
    Instance* instance = nullptr;
    weir_batch batch{};
    std::uint32_t lane = 0;
    const std::uint64_t* origins = nullptr;  ///< of fused records, see Instance::set_origins
    bool requeued = false;                   ///< the record of a dead letter or a parked one, see again_
    std::uint64_t turn = 0;                  ///< of a parked one
    HotKeys hot_keys = HotKeys::kNone;       ///< of the stream that it comes from
    Incarnation producer;                    ///< whose it is where it came past the broker; 0: it came through it
  };
  /// Works off the item's batch from `first` on, with whatever it leads to.
  Status work(const Work& work, std::uint32_t first, std::uint32_t& done);
  /// The same for a batch without records of parked keys; ends behind a record that is parked.
  Status work_run(const Work& work, std::uint32_t first, std::uint32_t& done);
  Status judge_failure(const Work& work, std::uint32_t record, std::uint32_t& attempts, std::uint32_t& next);
  /// What `on_error.then` says of a record that was tried often enough.
  struct Failure {
    std::string reason;
    const char* cause = "process";  ///< of weir_stage_errors_total
    std::uint32_t attempts = 0;
  };
  Status lose(const Work& work, std::uint32_t record, const Failure& failure);

  // chain_partials.cc
  Status join_partials(const weir_descriptor& plugin);
  /// Goes through a batch of records of hot keys behind the stage.
  struct PartialWalk {
    wire::BatchReader reader;
    std::uint32_t at = 0;
  };
  /// Takes note of the records [first, end) of the batch, which the stage has processed into partial results.
  static void note_partials(Instance& instance, PartialWalk& walk, std::uint32_t first, std::uint32_t end);
  /// What the transaction has made of hot keys goes to their own shards.
  Status hand_over_partials();

  // chain_parked.cc
  Status work_around_parked(const Work& work, std::uint32_t first, std::uint32_t& done);
  /// So many bytes of records have been worked off: what the stages keep of them counts as state.
  void count_input(std::uint64_t bytes);
  void follow(const Work& work, std::uint32_t record, const wire::RecordRef& parked);
  void park(const Work& work, const wire::DeadLetter& letter);

  Result<Work> delivered(const wire::DeliveryHeader& batch, BytesView records, std::uint32_t lane);
  Result<Work> requeued(const wire::Requeued& requeued, const wire::DeadLetter& letter, Bytes& record);
  void close_requeued(const wire::Requeued& requeued);
  Status run_fused(Instance& instance, std::uint32_t lane, Incarnation producer = {});
  /// The letter of a record of the item's batch; attempts and reason are the caller's.
  [[nodiscard]] static wire::DeadLetter letter_of(const Work& work, std::uint32_t record, const wire::RecordRef& found);
  /// The key of a letter, other than that of any that is there.
  Bytes place_of(const Work& work, const wire::DeadLetter& letter);
  void add_dead_letter(const Work& work, const wire::DeadLetter& letter);
  Status portion(std::uint32_t lane, bool& more, int (*weir_descriptor::*call)(void*, weir_context*), const char* name);
  Status flush_sink(Instance& sink);
  /// Made where there is none; null for a fused stream.
  FrameBuilder* builder_of(std::uint32_t stream);
  /// Who reads `stream` in this worker; asked for every batch.
  Joint joint(std::uint32_t stream);
  Status fatal(Instance& instance, const char* what);

  const Topology& topology_;
  std::uint32_t head_;
  std::uint32_t worker_;
  Transaction transaction_;
  DirectPart direct_;
  AtWork at_work_;
  std::vector<Joint> joints_;                            ///< by stream; those that were asked for
  std::vector<std::unique_ptr<FrameBuilder>> builders_;  ///< by stream; null where nothing is emitted to it
  std::vector<std::unique_ptr<Instance>> instances_;
  std::unique_ptr<Output> partials_;  ///< of the head, where it reads a stream whose hot keys are split
  bool typed_state_ = false;
  std::uint64_t outputs_max_;
  std::uint64_t input_bytes_ = 0;               ///< of the open transaction, where a stage keeps typed state
  std::optional<std::uint64_t> pending_state_;  ///< what the flush will add to it; nothing where only the flush tells
  LocalLanes* local_ = nullptr;
  std::uint64_t cache_bytes_ = 0;                   ///< of each stage that keeps its state there
  std::map<std::uint32_t, std::uint32_t> written_;  ///< targets that the open transaction has written to, and a lane
  std::set<std::uint32_t> positions_said_;          ///< targets whose sink has ever given a position
  std::map<Bytes, std::uint32_t> letters_;          ///< dead letters of the open transaction from one place, by key
  /// A dead letter or a parked record that is being worked on again.
  struct Again {
    std::uint64_t number = 0;
    Bytes key;
    std::uint32_t attempts = 0;  ///< that it has behind it
  };
  std::optional<Again> again_;
  bool parked_ = false;           ///< the record that was worked on has been parked
  std::size_t portion_next_ = 0;  ///< which instance a finish or watermark in portions has come to
};

}  // namespace weir::host
