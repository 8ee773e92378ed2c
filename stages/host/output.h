// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sdk/topology/topology.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/hot_key_sketch.h"
#include "sdk/wire/sharding.h"
#include "stages/host/transaction.h"

namespace weir::host {

/// Where the records of one output port go: into the frame of a queue stream, by shard, or into a batch for the next
/// stage of the chain. Thread: the runner's.
class Output {
 public:
  /// `builder`: of the stream, null for a fused one. `shared`: where its hot keys are split, of the second stream.
  Output(const Stream& stream, std::uint32_t stream_index, FrameBuilder* builder, FrameBuilder* shared = nullptr);

  /// Adds a record that comes from the record at `origin` of the unit's input; its key is then as the stream has it,
  /// and holds until the next call. Errors: kInvalid: its key does not suit the stream.
  Status add(wire::RecordRef& record, std::uint64_t origin);

  /// What was added since the last mark() is taken back; says how many records that was.
  std::uint64_t undo();
  void mark() { log_.clear(); }
  /// The shard for records that no key leads anywhere; moves on with every transaction.
  void next_transaction() { ++round_; }

  [[nodiscard]] bool fused() const { return builder_ == nullptr; }
  [[nodiscard]] std::uint32_t stream() const { return stream_index_; }
  /// What it knows of the stream's hot keys; null where they are not split.
  [[nodiscard]] const wire::HotKeySketch* hot_keys() const { return hot_keys_.get(); }
  FrameBuilder::ShardBatch& fused_batch() { return fused_; }

 private:
  /// The batch for a record of a stream whose hot keys are split. Errors: as add().
  Result<FrameBuilder::ShardBatch*> split(wire::RecordRef& record);

  struct Added {
    FrameBuilder::ShardBatch* batch = nullptr;
    std::size_t bytes = 0;    ///< before
    std::uint32_t count = 0;  ///< before
  };
  std::uint32_t stream_index_;
  FrameBuilder* builder_;
  FrameBuilder* shared_;
  std::unique_ptr<wire::HotKeySketch> hot_keys_;
  std::uint32_t shared_next_ = 0;
  wire::Sharding sharding_;
  FrameBuilder::ShardBatch fused_;
  std::vector<Added> log_;
  std::uint32_t round_ = 0;
};

}  // namespace weir::host
