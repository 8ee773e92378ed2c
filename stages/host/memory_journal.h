// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/result.h"
#include "sdk/topology/topology.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/changes.h"
#include "sdk/wire/commit.h"

namespace weir::host {

/// What a broker would keep for one unit, in memory: its input, and everything that its transactions have committed.
/// Judges transactions as a broker does, as far as one worker can be wrong. Thread: the runner's. Lifetime: `topology`
/// must outlive it.
class MemoryJournal {
 public:
  /// `head` leads the unit.
  MemoryJournal(const Topology& topology, std::uint32_t head);

  /// A record emitted to a queue stream.
  struct Emitted {
    std::uint32_t stream = 0;
    std::uint32_t shard = 0;
    Timestamp timestamp = 0;
    Bytes key;
    Bytes value;
    Bytes headers;
  };
  struct Split {
    std::string id;
    Bytes position;
    bool ended = false;
    Timestamp watermark = INT64_MIN;
  };
  /// One shard of an input stream.
  struct Input {
    Bytes records;  ///< those behind the cursor, in the layout of weir/abi.h
    std::uint64_t cursor = 0;
    std::uint64_t next_offset = 0;
    Timestamp watermark = INT64_MIN;  ///< behind all records
  };
  using EntryKey = std::tuple<std::string, std::string>;  ///< name, key
  using Entries = std::map<EntryKey, Bytes>;

  /// A record more in a shard of an input.
  void feed(std::uint32_t stream, std::uint32_t shard, const wire::RecordRef& record);
  void advance(Timestamp watermark);
  void end() { ended_ = true; }

  /// Another worker begins: its transactions count from 1.
  void begin_incarnation() { transaction_ = 0; }
  /// Enters a transaction. Errors: kRefused: a broker would have fenced the worker.
  Status commit(BytesView body);

  [[nodiscard]] const std::map<std::pair<std::uint32_t, std::uint32_t>, Input>& inputs() const { return inputs_; }
  [[nodiscard]] std::uint32_t lanes() const { return lanes_; }
  /// Unkeyed input, which a broker leases by ranges of offsets; then each shard of each input is a lane of its own.
  [[nodiscard]] bool by_ranges() const { return by_ranges_; }
  [[nodiscard]] std::uint32_t lane_of(std::uint32_t stream, std::uint32_t shard) const;
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] const std::set<std::uint32_t>& finished_lanes() const { return finished_; }
  [[nodiscard]] bool finished() const;
  [[nodiscard]] Timestamp advanced(std::uint32_t lane) const;
  [[nodiscard]] const std::vector<Split>& splits() const { return splits_; }
  [[nodiscard]] bool enumeration_ended() const { return enumeration_ended_; }

  [[nodiscard]] const std::vector<Emitted>& emitted() const { return emitted_; }
  void forget_emitted() { emitted_.clear(); }
  /// Entries of a (stage, lane) in one space.
  [[nodiscard]] const Entries& entries(std::uint32_t stage, std::uint32_t lane, wire::Space space) const;
  /// Errors and dropped records by (stage, dropped, cause).
  [[nodiscard]] std::uint64_t causes(std::uint32_t stage, bool dropped, const std::string& cause) const;
  [[nodiscard]] wire::Counted counted(std::uint32_t stage) const;
  [[nodiscard]] std::uint64_t transactions() const { return transactions_; }
  /// The bodies of all transactions, in order.
  [[nodiscard]] const std::vector<Bytes>& bodies() const { return bodies_; }

 private:
  Status enter(const wire::Commit& commit, BytesView body);
  static void skip(Input& input, std::uint64_t records);

  const Topology& topology_;
  std::uint32_t head_;
  std::uint32_t lanes_ = 0;
  bool by_ranges_ = false;
  std::map<std::uint32_t, std::uint32_t> first_lanes_;  ///< by stream
  bool ended_ = false;
  bool enumeration_ended_ = false;
  std::map<std::pair<std::uint32_t, std::uint32_t>, Input> inputs_;  ///< by stream and shard
  std::set<std::uint32_t> finished_;
  std::map<std::uint32_t, Timestamp> advanced_;
  std::vector<Split> splits_;
  std::vector<Emitted> emitted_;
  std::map<std::tuple<std::uint32_t, std::uint32_t, wire::Space>, Entries> entries_;
  std::map<std::tuple<std::uint32_t, bool, std::string>, std::uint64_t> causes_;
  std::map<std::uint32_t, wire::Counted> counted_;
  std::uint64_t transaction_ = 0;  ///< of this incarnation
  std::uint64_t transactions_ = 0;
  std::vector<Bytes> bodies_;
};

}  // namespace weir::host
