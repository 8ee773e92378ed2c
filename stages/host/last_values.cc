// SPDX-License-Identifier: Apache-2.0
#include "stages/host/last_values.h"

#include <iterator>
#include <utility>

#include "sdk/wire/batch.h"

namespace weir::host {

namespace {

constexpr std::uint64_t kOverhead = 100;  ///< of a key: what finds it and its place in the order

}  // namespace

std::uint64_t LastValues::Kept::bytes() const { return key.size() + record.size() + kOverhead; }

void LastValues::take(BytesView records, std::uint32_t count) {
  wire::BatchReader reader(records);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t from = reader.position();
    const auto record = reader.next();
    if (!record) return;
    const BytesView bytes = records.subspan(from, reader.position() - from);
    const std::string_view key(reinterpret_cast<const char*>(record->key.data()), record->key.size());
    if (const auto before = by_key_.find(key); before != by_key_.end()) drop(before->second);
    Kept kept{std::string(key), Bytes(bytes.begin(), bytes.end())};
    if (kept.bytes() > bytes_max_) {
      ++forgotten_;
      continue;
    }
    for (; bytes_ + kept.bytes() > bytes_max_; ++forgotten_) drop(newest_last_.begin());
    bytes_ += kept.bytes();
    newest_last_.push_back(std::move(kept));
    by_key_.emplace(newest_last_.back().key, std::prev(newest_last_.end()));
  }
}

Bytes LastValues::records() const {
  Bytes all;
  for (const Kept& kept : newest_last_) all.insert(all.end(), kept.record.begin(), kept.record.end());
  return all;
}

void LastValues::drop(Order::iterator kept) {
  bytes_ -= kept->bytes();
  by_key_.erase(kept->key);
  newest_last_.erase(kept);
}

}  // namespace weir::host
