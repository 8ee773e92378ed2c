// SPDX-License-Identifier: Apache-2.0
#include "stages/host/output.h"

namespace weir::host {

Output::Output(const Stream& stream, std::uint32_t stream_index, FrameBuilder* builder)
    : spec_(stream), stream_index_(stream_index), builder_(builder), key_fields_(stream) {}

Status Output::add(wire::RecordRef record, std::uint64_t origin) {
  if (!key_fields_.empty()) {
    key_.clear();
    if (Status status = key_fields_.extract(record.value, key_); !status.ok()) return status;
    record.key = key_;
  }
  FrameBuilder::ShardBatch* batch = &fused_;
  if (builder_ != nullptr) {
    std::uint32_t shard = 0;
    if (spec_.partition == PartitionBy::kNone) {
      if (spec_.shards > 1) shard = round_ % spec_.shards;
    } else {
      if (!wire::is_plainly_canonical(record.key)) {
        canonical_.clear();
        if (Status status = wire::canonical_key(record.key, canonical_); !status.ok()) return status;
        record.key = canonical_;
      }
      if (spec_.partition == PartitionBy::kHash) {
        shard = wire::shard_by_hash(record.key, spec_.shards).value();
      } else {
        const auto modulo = wire::shard_by_modulo(record.key, spec_.shards);
        if (!modulo.ok()) return modulo.error();
        shard = modulo->value();
      }
    }
    batch = &builder_->shard(shard);
  }
  log_.push_back({batch, batch->bytes.size()});
  wire::append_record(batch->bytes, record);
  ++batch->count;
  if (builder_ == nullptr) fused_.origins.push_back(origin);
  return {};
}

std::uint64_t Output::undo() {
  const std::uint64_t records = log_.size();
  for (; !log_.empty(); log_.pop_back()) {
    log_.back().batch->bytes.resize(log_.back().bytes);
    --log_.back().batch->count;
    if (builder_ == nullptr) fused_.origins.pop_back();
  }
  return records;
}

}  // namespace weir::host
