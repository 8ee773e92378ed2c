// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "broker/core/core.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/frame.h"

namespace weir::core {

/// Batches on their way to one worker, gathered into one message. Borrows their bytes.
struct Core::Delivery {
  std::vector<wire::DeliveryHeader> headers;
  std::vector<BytesView> records;
  std::uint64_t bytes = 0;

  void add(std::uint32_t stream, const wire::BatchHeader& batch, Timestamp watermark, BytesView view) {
    headers.push_back({stream, batch.shard, batch.count, static_cast<std::uint32_t>(view.size()), batch.offset,
                       watermark, batch.origin_us});
    records.push_back(view);
    bytes += view.size();
  }

  /// The part of a batch from record `skip` on, at most `count` records: its bytes.
  static BytesView slice(BytesView batch, std::uint64_t skip, std::uint64_t count) {
    wire::BatchReader reader(batch);
    for (std::uint64_t i = 0; i < skip; ++i) reader.next();
    const std::size_t from = reader.position();
    for (std::uint64_t i = 0; i < count; ++i) reader.next();
    return batch.subspan(from, reader.position() - from);
  }

  /// Of `frame` the records [from, to) of `shard`, or those of them that lie in one batch with `from`; nothing where
  /// `from` is not in this frame.
  static std::optional<std::pair<wire::BatchHeader, BytesView>> piece(const wire::FrameView& frame, std::uint32_t shard,
                                                                      std::uint64_t from, std::uint64_t to) {
    std::size_t at = frame.batches_start();
    for (std::uint32_t i = 0; i < frame.header().batches; ++i) {
      wire::BatchHeader batch = frame.batch(i);
      const BytesView bytes = frame.bytes().subspan(at, batch.bytes);
      at += batch.bytes;
      if (batch.shard != shard || from < batch.offset || from >= batch.offset + batch.count) continue;
      const std::uint64_t end = std::min(to, batch.offset + batch.count);
      const BytesView part = slice(bytes, from - batch.offset, end - from);
      batch.offset = from;
      batch.count = static_cast<std::uint32_t>(end - from);
      return std::pair(batch, part);
    }
    return std::nullopt;
  }
};

}  // namespace weir::core
