// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sdk/base/ids.h"
#include "sdk/base/result.h"
#include "sdk/topology/topology.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/key.h"
#include "sdk/wire/priority_level.h"

namespace weir::wire {

/// Where the records of one stream go: workers and broker alike ask it, so that a record from outside comes to the
/// shard that a stage would have sent it to. Built once a stream. Thread: one at a time. Lifetime: `stream` must
/// outlive it.
class Sharding {
 public:
  explicit Sharding(const Stream& stream);

  /// Of a stream that learns its boundaries: those in force, which must outlive this. Whoever is not told sends all to
  /// shard 0, and the broker deals it out.
  void follow(const std::vector<Boundary>& learned) { learned_ = &learned; }

  /// Replaces the key where the stream names fields of the value. It holds until the next call. Errors: kInvalid.
  Status rekey(RecordRef& record);
  /// rekey(), then the shard. The key of a keyed stream becomes canonical, and holds until the next call. `turn`: moves
  /// on what no key leads anywhere. Errors: kInvalid: the key does not suit the stream.
  Result<Shard> shard_of(RecordRef& record, std::uint64_t turn);
  /// rekey(), and the key becomes canonical, as shard_of() does it; says its hash. REQUIRES: the stream is partitioned
  /// by hash. Errors: as above.
  Result<std::uint64_t> hash_of(RecordRef& record);

 private:
  Status make_canonical(RecordRef& record);

  const Stream& stream_;
  KeyFields fields_;
  PriorityLevel level_;
  const std::vector<Boundary>* learned_ = nullptr;
  Bytes key_;
  Bytes canonical_;
};

}  // namespace weir::wire
