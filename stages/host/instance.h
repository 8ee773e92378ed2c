// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sdk/topology/topology.h"
#include "stages/host/local_lanes.h"
#include "stages/host/output.h"
#include "stages/host/parked_keys.h"
#include "stages/host/partial_results.h"
#include "stages/host/state_store.h"
#include "stages/host/transaction.h"
#include "weir/abi.h"

namespace weir::host {

class Instance;

/// What the plugin sees of its host, and the way back to the instance.
struct HostContext {
  weir_context abi{};
  Instance* instance = nullptr;
};

/// A list of splits being named: those that are not in `known` yet go into the transaction.
struct SplitList {
  std::deque<std::string>* found = nullptr;  ///< those that were not known
  std::set<std::string>* known = nullptr;
  std::string host;  ///< that they are things of; "": of the broker's, or of none
};

/// A split while a source reads it.
struct Split {
  std::string id;
  Bytes position;
  bool moved = false;
};

/// One stage at work in this process: the plugin's object, its outputs and state, and the functions that it calls back.
/// Thread: the runner's. Lifetime: descriptor and topology must outlive it.
class Instance {
 public:
  Instance(const weir_descriptor& descriptor, const Topology& topology, std::uint32_t stage, std::uint32_t worker,
           Transaction& transaction);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  /// Keeps the context in `memory` instead, of at least sizeof(HostContext) bytes. REQUIRES: before create().
  void place_context(void* memory);
  /// Creates the plugin's object. Errors: kRefused with the plugin's sentence.
  Status create(const std::string& config);
  /// Joins an output port. REQUIRES: in the order of the descriptor's ports.
  void add_output(std::unique_ptr<Output> output) { outputs_.push_back(std::move(output)); }

  [[nodiscard]] const weir_descriptor& plugin() const { return descriptor_; }
  [[nodiscard]] void* self() const { return self_; }
  [[nodiscard]] weir_context* context() { return &context_->abi; }
  /// The stage works on this record of its batch now. The watchdog looks at it meanwhile.
  void come_to(std::uint32_t record) { __atomic_store_n(&context_->abi.record, record, __ATOMIC_RELAXED); }
  [[nodiscard]] std::uint32_t stage() const { return stage_; }
  [[nodiscard]] const StageSpec& spec() const { return topology_.stages[stage_]; }
  [[nodiscard]] const std::vector<std::unique_ptr<Output>>& outputs() const { return outputs_; }
  [[nodiscard]] StateStore& store() { return store_; }
  [[nodiscard]] ParkedKeys& parked() { return parked_; }
  /// Of hot keys that are split, in the open transaction.
  [[nodiscard]] PartialResults& partials() { return partials_; }
  [[nodiscard]] Transaction& transaction() { return transaction_; }
  [[nodiscard]] bool typed_state() const { return descriptor_.state_load != nullptr; }
  /// Its state is larger than memory: looked up in `local`, which must outlive it, with a cache in front. Errors:
  /// kRefused where the plugin cannot. REQUIRES: after create().
  Status keep_local(LocalLanes& local);
  [[nodiscard]] LocalLanes* local() const { return local_; }
  /// Between transactions: the cache takes no more than this.
  void evict(std::uint64_t bytes_max);

  /// The sentence of the last fail(), which is forgotten.
  std::string take_failure();
  /// Whose fault the last failure was: a cause of weir_stage_errors_total.
  [[nodiscard]] const char* failure_cause() const { return failure_cause_; }

  /// From which records of the unit's input the records come that the plugin is about to work on: `origins` one by one,
  /// or, null, from `first` on.
  void set_origins(std::uint64_t first, const std::uint64_t* origins) {
    origin_first_ = first;
    origins_ = origins;
  }
  /// An emitted record was refused since the last call; the plugin must fail what it works on.
  bool take_refused() { return std::exchange(refused_, false); }
  /// Says so of a plugin that went on instead.
  Status ignored_refusal();
  /// About what the plugin's typed state adds to the open transaction; UINT64_MAX where only its flush will tell.
  [[nodiscard]] std::uint64_t pending_state() const;
  /// Input that the plugin may turn into as much state counts towards the size of the transaction.
  void add_bytes(std::uint64_t bytes) { bytes_ += bytes; }

  /// Everything since the last mark stays, or is undone.
  void mark();
  void undo();
  /// Bytes that the transaction has taken through this instance.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  void set_bounds(std::uint64_t record_bytes_max, std::uint64_t stop_bytes) {
    record_bytes_max_ = record_bytes_max;
    stop_bytes_ = stop_bytes;
  }
  void set_stop(std::uint64_t stop_bytes) { stop_bytes_ = stop_bytes; }
  /// Enters the transaction's counts, and starts anew.
  void close_transaction();
  void set_flushing(bool flushing) {
    flushing_ = flushing;
    flushed_ = nullptr;
  }
  /// What the source said in this read, or WEIR_TIME_MIN.
  Timestamp take_watermark();

  // Called by the plugin.
  int emit(std::uint32_t port, const weir_record& record);
  void fail(std::string sentence, const char* cause = "process");
  int get(BytesView name, BytesView key, weir_bytes& value);
  int next(BytesView name, std::optional<BytesView> after, weir_bytes& key, weir_bytes& value);
  int change_state(const wire::Change& change);
  void say_watermark(Timestamp time) { watermark_ = std::max(watermark_, time); }
  void count(const std::string& cause, std::uint64_t by);
  void log(int level, std::string_view text);

 private:
  void follow_record();
  /// What process() dropped stays dropped, and counts.
  void enter_dropped();
  int refuse(std::string sentence, const char* cause);
  [[nodiscard]] std::uint64_t origin() const {
    return origins_ != nullptr ? origins_[context_->abi.record] : origin_first_ + context_->abi.record;
  }

  const weir_descriptor& descriptor_;
  const Topology& topology_;
  std::uint32_t stage_;
  Transaction& transaction_;
  HostContext own_context_;
  HostContext* context_ = &own_context_;
  void* self_ = nullptr;
  std::vector<std::unique_ptr<Output>> outputs_;
  StateStore store_;
  LocalLanes* local_ = nullptr;
  ParkedKeys parked_;
  PartialResults partials_;
  std::map<std::string, std::uint64_t> dropped_;  ///< since the last mark, by cause
  std::string failure_;
  const char* failure_cause_ = "process";
  std::uint32_t record_ = 0;  ///< the record that the undo logs are of
  std::uint64_t record_bytes_ = 0;
  std::uint64_t records_out_ = 0;  ///< of the open transaction
  std::uint64_t bytes_ = 0;
  std::uint64_t bytes_before_record_ = 0;
  std::uint64_t record_bytes_max_ = UINT64_MAX;
  std::uint64_t stop_bytes_ = UINT64_MAX;
  Timestamp watermark_ = WEIR_TIME_MIN;
  std::uint64_t origin_first_ = 0;
  const std::uint64_t* origins_ = nullptr;
  bool refused_ = false;
  bool flushing_ = false;
  Bytes* flushed_ = nullptr;  ///< while flushing: where the changes of `flushed_shard_` go
  std::uint32_t flushed_shard_ = 0;
};

}  // namespace weir::host
