// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "sdk/topology/topology.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/commit.h"
#include "sdk/wire/compression.h"
#include "stages/host/direct_part.h"

namespace weir::host {

/// Records of one transaction for one stream, gathered by shard. Buffers are kept from transaction to transaction.
class FrameBuilder {
 public:
  FrameBuilder(std::uint32_t stream, std::uint32_t shards, Compression compression = Compression::kNone)
      : stream_(stream), shards_(shards), compressor_(compression) {}

  struct ShardBatch {
    wire::BatchBuffer records;
    std::uint32_t count = 0;
    /// Of a fused stream: for each record the offset of the record of the unit's input that it comes from.
    std::vector<std::uint64_t> origins;
  };
  ShardBatch& shard(std::uint32_t index) { return shards_[index]; }
  [[nodiscard]] std::uint32_t shards() const { return static_cast<std::uint32_t>(shards_.size()); }
  [[nodiscard]] bool empty() const;
  /// Bytes of the frame as it stands, where nothing is compressed.
  [[nodiscard]] std::size_t frame_bytes() const;
  /// Appends the frame as the broker takes it, shards rising.
  void append_to(Bytes& out, std::int64_t origin_us);
  /// Of a stream that goes from worker to worker: the records, which are in one batch, as they are.
  [[nodiscard]] DirectOutput direct(std::int64_t origin_us) const;
  void clear();

 private:
  std::uint32_t stream_;
  std::vector<ShardBatch> shards_;
  wire::Compressor compressor_;
};

/// What one worker is about to commit at once.
class Transaction {
 public:
  void consume(std::uint32_t stream, std::uint32_t shard, std::uint64_t from, std::uint64_t to);
  /// The same of records that came past the broker, and of such that are missing.
  void take(std::uint32_t stream, Incarnation producer, std::uint64_t records, std::uint64_t lost);
  void emit_directly(const wire::DirectEmitted& emitted) { commit_.emitted.push_back(emitted); }
  void publish(const wire::Published& published) { commit_.published.push_back(published); }
  [[nodiscard]] std::vector<wire::DirectTaken> taken() const;
  void advance(std::uint32_t lane, Timestamp watermark) { advanced_[lane] = watermark; }
  void move_split(std::uint32_t split, Bytes position, bool ended);
  void find_split(std::string id) { commit_.splits_found.push_back(std::move(id)); }
  void end_enumeration() { commit_.enumeration_ended = true; }
  void finish(std::uint32_t lane) { commit_.finished.push_back(lane); }
  wire::Counted& counted(std::uint32_t stage) { return counters_[stage]; }
  void count(std::uint32_t stage, bool dropped, const std::string& cause, std::uint64_t by) {
    causes_[{stage, dropped, cause}] += by;
  }
  /// State changes of (stage, lane), to append to.
  Bytes& changes(std::uint32_t stage, std::uint32_t lane) { return changes_[{stage, lane}]; }
  void touch(std::uint32_t lane) { touched_.insert(lane); }
  [[nodiscard]] const std::set<std::uint32_t>& touched() const { return touched_; }
  void take_origin(std::int64_t origin_us) {
    if (origin_us != 0 && (origin_us_ == 0 || origin_us < origin_us_)) origin_us_ = origin_us;
  }
  /// Nothing is in it yet: its oldest record will be of now.
  void begin(std::int64_t now_us) { origin_us_ = now_us; }
  [[nodiscard]] std::int64_t origin_us() const { return origin_us_; }
  [[nodiscard]] const std::map<std::uint32_t, std::pair<Bytes, bool>>& splits() const { return splits_; }

  [[nodiscard]] std::map<std::pair<std::uint32_t, std::uint32_t>, Bytes>& all_changes() { return changes_; }

  /// Nobody waits for it: it has taken what came through the broker, and has counted, but has nothing to say to
  /// anybody. What its stages will flush is not looked at.
  [[nodiscard]] bool may_wait() const;
  /// Nothing in it that the broker should know.
  [[nodiscard]] bool empty() const;
  /// A commit message under `number` with the frames of `builders`, behind room for its header.
  [[nodiscard]] Bytes encode(std::uint64_t number, std::span<FrameBuilder* const> builders);
  void clear() { *this = Transaction(); }

 private:
  wire::Commit commit_;
  std::unordered_map<std::uint64_t, std::size_t> consumed_last_;  ///< by stream and shard: its last range
  std::map<std::pair<std::uint32_t, Incarnation>, std::pair<std::uint64_t, std::uint64_t>> taken_;  ///< records, lost
  std::map<std::uint32_t, Timestamp> advanced_;
  std::map<std::uint32_t, std::pair<Bytes, bool>> splits_;
  std::map<std::uint32_t, wire::Counted> counters_;
  std::map<std::tuple<std::uint32_t, bool, std::string>, std::uint64_t> causes_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, Bytes> changes_;
  std::set<std::uint32_t> touched_;
  std::int64_t origin_us_ = 0;
};

}  // namespace weir::host
