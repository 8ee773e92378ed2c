// SPDX-License-Identifier: Apache-2.0
#include "stages/host/output.h"

namespace weir::host {

Output::Output(const Stream& stream, std::uint32_t stream_index, FrameBuilder* builder)
    : stream_index_(stream_index), builder_(builder), sharding_(stream) {}

Status Output::add(wire::RecordRef record, std::uint64_t origin) {
  FrameBuilder::ShardBatch* batch = &fused_;
  if (builder_ == nullptr) {
    if (Status status = sharding_.rekey(record); !status.ok()) return status;
  } else {
    const auto shard = sharding_.shard_of(record, round_);
    if (!shard.ok()) return shard.error();
    batch = &builder_->shard(shard->value());
  }
  log_.push_back({batch, batch->records.size()});
  batch->records.append(record);
  ++batch->count;
  if (builder_ == nullptr) fused_.origins.push_back(origin);
  return {};
}

std::uint64_t Output::undo() {
  const std::uint64_t records = log_.size();
  for (; !log_.empty(); log_.pop_back()) {
    log_.back().batch->records.truncate(log_.back().bytes);
    --log_.back().batch->count;
    if (builder_ == nullptr) fused_.origins.pop_back();
  }
  return records;
}

}  // namespace weir::host
