// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/sharding.h"

namespace weir::wire {

Sharding::Sharding(const Stream& stream) : stream_(stream), fields_(stream), level_(stream.priority) {}

Status Sharding::rekey(RecordRef& record) {
  if (fields_.empty()) return {};
  key_.clear();
  if (Status status = fields_.extract(record.value, key_); !status.ok()) return status;
  record.key = key_;
  return {};
}

Status Sharding::make_canonical(RecordRef& record) {
  if (is_plainly_canonical(record.key)) return {};
  canonical_.clear();
  if (Status status = canonical_key(record.key, canonical_); !status.ok()) return status;
  record.key = canonical_;
  return {};
}

Result<std::uint64_t> Sharding::hash_of(RecordRef& record) {
  if (Status status = rekey(record); !status.ok()) return status.error();
  if (Status status = make_canonical(record); !status.ok()) return status.error();
  return key_hash(record.key);
}

Result<Shard> Sharding::shard_of(RecordRef& record, std::uint64_t turn) {
  if (Status status = rekey(record); !status.ok()) return status.error();
  if (stream_.dispatch == Dispatch::kPriority) return level_.of(record);
  if (stream_.partition == PartitionBy::kNone) return Shard(static_cast<std::uint32_t>(turn % stream_.shards));
  if (Status status = make_canonical(record); !status.ok()) return status.error();
  switch (stream_.partition) {
    case PartitionBy::kModulo:
      return shard_by_modulo(record.key, stream_.shards);
    case PartitionBy::kRange:
      if (stream_.learns_boundaries) {
        return shard_by_learned_range(record.key,
                                      learned_ == nullptr ? std::span<const Boundary>() : std::span(*learned_));
      }
      return shard_by_range(record.key, stream_.boundaries);
    case PartitionBy::kHash:
    case PartitionBy::kNone:
      break;
  }
  return shard_by_hash(record.key, stream_.shards);
}

}  // namespace weir::wire
