// SPDX-License-Identifier: Apache-2.0
#include "stages/host/output.h"

namespace weir::host {

Output::Output(const Stream& stream, std::uint32_t stream_index, FrameBuilder* builder, FrameBuilder* shared)
    : stream_index_(stream_index), builder_(builder), shared_(shared), sharding_(stream) {
  if (shared != nullptr) hot_keys_ = std::make_unique<wire::HotKeySketch>(stream.shards);
}

Result<FrameBuilder::ShardBatch*> Output::split(wire::RecordRef& record) {
  const auto hash = sharding_.hash_of(record);
  if (!hash.ok()) return hash.error();
  if (!hot_keys_->add(*hash, record.key)) {
    return &builder_->shard(wire::shard_of_hash(*hash, builder_->shards()).value());
  }
  shared_next_ = (shared_next_ + 1) % shared_->shards();
  return &shared_->shard(shared_next_);
}

Status Output::add(wire::RecordRef& record, std::uint64_t origin) {
  FrameBuilder::ShardBatch* batch = &fused_;
  if (shared_ != nullptr) {
    const auto found = split(record);
    if (!found.ok()) return found.error();
    batch = *found;
  } else if (builder_ == nullptr) {
    if (Status status = sharding_.rekey(record); !status.ok()) return status;
  } else {
    const auto shard = sharding_.shard_of(record, round_);
    if (!shard.ok()) return shard.error();
    batch = &builder_->shard(shard->value());
  }
  // What follows may find no memory, and is undone as far as it came.
  log_.push_back({batch, batch->records.size(), batch->count});
  batch->records.append(record);
  if (builder_ == nullptr) fused_.origins.push_back(origin);
  ++batch->count;
  return {};
}

std::uint64_t Output::undo() {
  std::uint64_t records = 0;
  for (; !log_.empty(); log_.pop_back()) {
    const Added& added = log_.back();
    records += added.batch->count - added.count;
    added.batch->records.truncate(added.bytes);
    added.batch->count = added.count;
    if (builder_ == nullptr) fused_.origins.resize(added.count);
  }
  return records;
}

}  // namespace weir::host
