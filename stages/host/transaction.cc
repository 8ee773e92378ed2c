// SPDX-License-Identifier: Apache-2.0
#include "stages/host/transaction.h"

#include <algorithm>

#include "sdk/wire/frame_writer.h"
#include "sdk/wire/messages.h"

namespace weir::host {

bool FrameBuilder::empty() const {
  return std::all_of(shards_.begin(), shards_.end(), [](const ShardBatch& shard) { return shard.count == 0; });
}

std::size_t FrameBuilder::frame_bytes() const {
  std::size_t size = sizeof(wire::FrameHeader);
  for (const ShardBatch& shard : shards_) {
    if (shard.count != 0) size += sizeof(wire::BatchHeader) + shard.records.size();
  }
  return size;
}

void FrameBuilder::append_to(Bytes& out, std::int64_t origin_us) {
  const auto filled = [](const ShardBatch& shard) { return shard.count != 0; };
  const auto batches = static_cast<std::uint32_t>(std::count_if(shards_.begin(), shards_.end(), filled));
  wire::FrameWriter frame(stream_, batches, out, compressor_);
  for (std::uint32_t index = 0; index < shards_.size(); ++index) {
    const ShardBatch& shard = shards_[index];
    if (filled(shard)) frame.add(index, shard.count, shard.records.bytes(), origin_us);
  }
  frame.finish();
}

DirectOutput FrameBuilder::direct(std::int64_t origin_us) const {
  const ShardBatch& batch = shards_.front();
  const BytesView records = batch.records.bytes();
  return {stream_, batch.count, Bytes(records.begin(), records.end()), origin_us};
}

void FrameBuilder::clear() {
  for (ShardBatch& shard : shards_) {
    shard.records.clear();
    shard.count = 0;
  }
}

void Transaction::consume(std::uint32_t stream, std::uint32_t shard, std::uint64_t from, std::uint64_t to) {
  if (from == to) return;
  const auto [last, fresh] = consumed_last_.try_emplace(std::uint64_t{stream} << 32 | shard, commit_.consumed.size());
  if (!fresh) {
    wire::Consumed& range = commit_.consumed[last->second];
    if (range.to == from) {
      range.to = to;
      return;
    }
    last->second = commit_.consumed.size();
  }
  commit_.consumed.push_back({stream, shard, from, to});
}

void Transaction::take(std::uint32_t stream, Incarnation producer, std::uint64_t records, std::uint64_t lost) {
  if (records + lost == 0) return;
  auto& [taken, missing] = taken_[{stream, producer}];
  taken += records;
  missing += lost;
}

std::vector<wire::DirectTaken> Transaction::taken() const {
  std::vector<wire::DirectTaken> all;
  for (const auto& [link, amount] : taken_)
    all.push_back({link.first, link.second.value(), amount.first, amount.second});
  return all;
}

void Transaction::move_split(std::uint32_t split, Bytes position, bool ended) {
  splits_[split] = {std::move(position), ended};
}

bool Transaction::may_wait() const {
  return advanced_.empty() && splits_.empty() && commit_.splits_found.empty() && !commit_.enumeration_ended &&
         commit_.finished.empty() && changes_.empty() && taken_.empty() && commit_.emitted.empty();
}

bool Transaction::empty() const {
  return commit_.consumed.empty() && advanced_.empty() && splits_.empty() && commit_.splits_found.empty() &&
         !commit_.enumeration_ended && commit_.finished.empty() && counters_.empty() && causes_.empty() &&
         changes_.empty() && taken_.empty() && commit_.emitted.empty();
}

Bytes Transaction::encode(std::uint64_t number, std::span<FrameBuilder* const> builders) {
  commit_.transaction = number;
  for (const auto& [lane, watermark] : advanced_) commit_.advanced.push_back({lane, watermark});
  for (const auto& [split, moved] : splits_) commit_.splits.push_back({split, moved.second, moved.first});
  for (auto& [stage, counted] : counters_) {
    counted.stage = stage;
    commit_.counters.push_back(counted);
  }
  for (const auto& [what, by] : causes_)
    commit_.causes.push_back({std::get<0>(what), std::get<1>(what), std::get<2>(what), by});
  for (const auto& [where, bytes] : changes_) {
    if (!bytes.empty()) commit_.changes.push_back({where.first, where.second, bytes});
  }
  commit_.taken = taken();
  Bytes out = wire::message_room();
  std::size_t size = 4096;
  for (const FrameBuilder* builder : builders) size += builder->frame_bytes() + 4;
  for (const auto& [where, bytes] : changes_) size += bytes.size() + 16;
  out.reserve(size);
  wire::encode_head(commit_, static_cast<std::uint32_t>(builders.size()), out);
  for (FrameBuilder* builder : builders) {
    // How long the frame is shows when its batches are compressed.
    const std::size_t at = out.size();
    ByteWriter(out).put(std::uint32_t{0});
    builder->append_to(out, origin_us_);
    const auto frame_size = static_cast<std::uint32_t>(out.size() - at - sizeof(std::uint32_t));
    std::memcpy(out.data() + at, &frame_size, sizeof(frame_size));
  }
  wire::encode_tail(commit_, out);
  return out;
}

}  // namespace weir::host
