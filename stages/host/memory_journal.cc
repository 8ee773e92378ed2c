// SPDX-License-Identifier: Apache-2.0
#include "stages/host/memory_journal.h"

#include <algorithm>

#include "sdk/wire/compression.h"
#include "sdk/wire/frame.h"

namespace weir::host {
namespace {

Bytes copy(BytesView bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

MemoryJournal::MemoryJournal(const Topology& topology, std::uint32_t head) : topology_(topology), head_(head) {
  by_ranges_ = topology.stages[head].kind == PluginKind::kStage;
  for (const StageSpec& stage : topology.stages) {
    if (stage.host == head) by_ranges_ &= !stage.keyed && stage.kind != PluginKind::kSink;
  }
  for (const PortBinding& input : topology.stages[head].inputs) {
    by_ranges_ &= topology.streams[input.stream].partition == PartitionBy::kNone;
  }
  for (const PortBinding& input : topology.stages[head].inputs) {
    const std::uint32_t shards = topology.streams[input.stream].shards;
    if (!first_lanes_.emplace(input.stream, by_ranges_ ? lanes_ : 0).second) continue;
    lanes_ = by_ranges_ ? lanes_ + shards : std::max(lanes_, shards);
    for (std::uint32_t shard = 0; shard < shards; ++shard) inputs_[{input.stream, shard}];
  }
}

std::uint32_t MemoryJournal::lane_of(std::uint32_t stream, std::uint32_t shard) const {
  return first_lanes_.at(stream) + shard;
}

void MemoryJournal::feed(std::uint32_t stream, std::uint32_t shard, const wire::RecordRef& record) {
  const auto input = inputs_.find({stream, shard});
  WEIR_CHECK(input != inputs_.end(), "records are fed to a shard of an input");
  wire::append_record(input->second.records, record);
  ++input->second.next_offset;
}

void MemoryJournal::advance(Timestamp watermark) {
  for (auto& [where, input] : inputs_) input.watermark = std::max(input.watermark, watermark);
}

void MemoryJournal::skip(Input& input, std::uint64_t records) {
  wire::BatchReader reader(input.records);
  for (std::uint64_t i = 0; i < records; ++i) reader.next();
  input.records.erase(input.records.begin(), input.records.begin() + static_cast<std::ptrdiff_t>(reader.position()));
}

Status MemoryJournal::commit(BytesView body) {
  const auto commit = wire::decode_commit(body, 0);
  if (!commit.ok()) return commit.error();
  if (commit->transaction != transaction_ + 1) return {Code::kRefused, "it skipped a transaction"};
  return enter(*commit, body);
}

Status MemoryJournal::enter(const wire::Commit& commit, BytesView body) {
  for (const wire::Consumed& range : commit.consumed) {
    const auto input = inputs_.find({range.stream, range.shard});
    if (input == inputs_.end()) return {Code::kRefused, "it consumes what it does not read"};
    if (range.from != input->second.cursor || range.to > input->second.next_offset) {
      return {Code::kRefused, "it consumes records out of turn"};
    }
    skip(input->second, range.to - range.from);
    input->second.cursor = range.to;
  }
  for (const std::string& id : commit.splits_found) {
    const bool known = std::any_of(splits_.begin(), splits_.end(), [&](const Split& split) { return split.id == id; });
    if (!known) splits_.push_back({id, {}, false, INT64_MIN});
  }
  enumeration_ended_ |= commit.enumeration_ended;
  for (const wire::SplitMoved& moved : commit.splits) {
    if (moved.split >= splits_.size()) return {Code::kRefused, "it moves a split that is not there"};
    splits_[moved.split].position = copy(moved.position);
    splits_[moved.split].ended |= moved.ended;
  }
  for (const wire::Advanced& advanced : commit.advanced) {
    const auto [at, first] = advanced_.emplace(advanced.shard, advanced.watermark);
    if (!first && advanced.watermark < at->second) return {Code::kRefused, "its watermark goes back"};
    at->second = advanced.watermark;
    if (advanced.shard < splits_.size()) splits_[advanced.shard].watermark = advanced.watermark;
  }
  for (const std::uint32_t lane : commit.finished) {
    if (!finished_.insert(lane).second) return {Code::kRefused, "it finishes a shard twice"};
  }
  for (const wire::ChangesOf& changes : commit.changes) {
    wire::ChangesReader reader(changes.bytes);
    while (const auto change = reader.next()) {
      Entries& entries = entries_[{changes.stage, changes.shard, change->space}];
      EntryKey key{as_text(change->name), as_text(change->key)};
      if (change->value) {
        entries[std::move(key)] = copy(*change->value);
      } else {
        entries.erase(key);
      }
    }
    if (!reader.ok()) return {Code::kRefused, "its state changes are malformed"};
  }
  wire::Decompressor decompressor;
  for (const wire::FrameAt& at : commit.frames) {
    const auto frame = wire::FrameView::parse(body.subspan(at.position, at.size));
    if (!frame.ok()) return frame.error();
    std::size_t start = frame->batches_start();
    for (std::uint32_t i = 0; i < frame->header().batches; ++i) {
      const wire::BatchHeader batch = frame->batch(i);
      const auto plain = decompressor.records(batch.compression, frame->bytes().subspan(start, batch.bytes),
                                              wire::batch_bytes_max(topology_));
      if (!plain.ok()) return plain.error();
      wire::BatchReader reader(*plain);
      start += batch.bytes;
      std::uint32_t count = 0;
      for (; const auto record = reader.next(); ++count) {
        if (topology_.streams[frame->header().stream].hot_keys == HotKeys::kPartials) {
          feed(frame->header().stream, batch.shard, *record);  // it comes back
          continue;
        }
        emitted_.push_back({frame->header().stream, batch.shard, record->timestamp, copy(record->key),
                            copy(record->value), copy(record->headers)});
      }
      if (!reader.ok() || count != batch.count) return {Code::kRefused, "a batch that its directory does not describe"};
    }
  }
  for (const wire::Counted& counted : commit.counters) {
    wire::Counted& sum = counted_[counted.stage];
    sum.stage = counted.stage;
    sum.records_in += counted.records_in;
    sum.records_out += counted.records_out;
    sum.dead_letters += counted.dead_letters;
    sum.late += counted.late;
  }
  for (const wire::CountedCause& counted : commit.causes) {
    causes_[{counted.stage, counted.dropped, counted.cause}] += counted.by;
  }
  transaction_ = commit.transaction;
  ++transactions_;
  bodies_.push_back(copy(body));
  return {};
}

bool MemoryJournal::finished() const {
  if (topology_.stages[head_].kind != PluginKind::kSource) return finished_.size() == lanes_;
  return enumeration_ended_ &&
         std::all_of(splits_.begin(), splits_.end(), [](const Split& split) { return split.ended; });
}

Timestamp MemoryJournal::advanced(std::uint32_t lane) const {
  const auto at = advanced_.find(lane);
  return at == advanced_.end() ? INT64_MIN : at->second;
}

const MemoryJournal::Entries& MemoryJournal::entries(std::uint32_t stage, std::uint32_t lane, wire::Space space) const {
  static const Entries kNone;
  const auto found = entries_.find({stage, lane, space});
  return found == entries_.end() ? kNone : found->second;
}

std::uint64_t MemoryJournal::causes(std::uint32_t stage, bool dropped, const std::string& cause) const {
  const auto found = causes_.find({stage, dropped, cause});
  return found == causes_.end() ? 0 : found->second;
}

wire::Counted MemoryJournal::counted(std::uint32_t stage) const {
  const auto found = counted_.find(stage);
  return found == counted_.end() ? wire::Counted{} : found->second;
}

}  // namespace weir::host
