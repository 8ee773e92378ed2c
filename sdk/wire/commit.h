// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/ids.h"
#include "sdk/base/result.h"

namespace weir::wire {

/// Records that a transaction has consumed: [from, to) of one shard of an input stream.
struct Consumed {
  std::uint32_t stream = 0;
  std::uint32_t shard = 0;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};
static_assert(sizeof(Consumed) == 24);

/// How far the outputs of one input shard (of a source: one split) have come in event time with this transaction.
struct Advanced {
  std::uint32_t shard = 0;
  Timestamp watermark = 0;
};

/// Where a source goes on with a split.
struct SplitMoved {
  std::uint32_t split = 0;
  bool ended = false;
  BytesView position;
};

/// What a transaction adds to the committed counters of one hosted stage.
struct Counted {
  std::uint32_t stage = 0;
  std::uint64_t records_in = 0;
  std::uint64_t records_out = 0;
  std::uint64_t dead_letters = 0;
  std::uint64_t late = 0;
};

/// An amount by cause: errors of records, or records dropped ("skip", "utf8").
struct CountedCause {
  std::uint32_t stage = 0;
  bool dropped = false;
  std::string cause;
  std::uint64_t by = 0;
};

/// Records that a transaction emits to a stream whose records go from worker to worker: they are not in it.
struct DirectEmitted {
  std::uint32_t stream = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
};
static_assert(sizeof(DirectEmitted) == 24);

/// Records of such a stream that a transaction has consumed, by the worker that sent them, and how many of that
/// worker's were found missing on the way.
struct DirectTaken {
  std::uint32_t stream = 0;
  Incarnation::number_type producer = 0;
  std::uint64_t records = 0;
  std::uint64_t lost = 0;
};
static_assert(sizeof(DirectTaken) == 32);

/// How many workers each record goes to that a transaction emits to a `pub_sub` stream: all that read it, as the worker
/// was told when it confirmed that last (kRouted).
struct Published {
  std::uint32_t stream = 0;
  std::uint32_t readers = 0;
};
static_assert(sizeof(Published) == 8);

/// State changes of one (stage, shard); `bytes` as ChangesReader takes them.
struct ChangesOf {
  std::uint32_t stage = 0;
  std::uint32_t shard = 0;
  BytesView bytes;
};

/// A frame within a commit: where it starts in the encoded commit, and how long it is.
struct FrameAt {
  std::size_t position = 0;
  std::size_t size = 0;
};

/// A source's commit takes so much of what it may publish: what it takes of the journal at most, with the block in
/// which its group ends and the one that a mark fills behind it. So those that carry next to nothing are bounded too.
inline constexpr std::uint64_t kPublishOverhead = 8 << 10;
inline constexpr std::uint64_t publish_cost(std::size_t body_bytes) { return body_bytes + kPublishOverhead; }

/// So many bytes of commits a worker sends before it hears that the broker has accepted some.
inline constexpr std::uint64_t commit_window(std::uint64_t transaction_bytes_max, std::uint64_t memory_bytes) {
  return std::min(4 * transaction_bytes_max, memory_bytes / 4);
}

/// Everything that one worker commits at once. Encoded it is a message's body and, with offsets and watermarks filled
/// in, the payload of a journal entry. Decoded it borrows the encoded bytes.
struct Commit {
  std::uint64_t transaction = 0;  ///< 1, 2, ... within the incarnation
  std::vector<Consumed> consumed;
  std::vector<Advanced> advanced;
  std::vector<SplitMoved> splits;
  std::vector<std::string> splits_found;  ///< ids, in order; known ones are left as they are
  bool enumeration_ended = false;
  std::vector<std::uint32_t> finished;  ///< input shards whose finish is done
  std::vector<Counted> counters;
  std::vector<CountedCause> causes;
  std::vector<ChangesOf> changes;
  std::vector<FrameAt> frames;  ///< decoding only
  std::vector<DirectEmitted> emitted;
  std::vector<DirectTaken> taken;
  std::vector<Published> published;
  /// How many workers a record goes to that it emits to `stream`, past the broker.
  [[nodiscard]] std::uint32_t readers(std::uint32_t stream) const {
    for (const Published& one : published)
      if (one.stream == stream) return one.readers;
    return 1;
  }
};

/// Appends `commit` and the count of its frames to `out`; each of them is to follow as a blob, and then encode_tail().
void encode_head(const Commit& commit, std::uint32_t frames, Bytes& out);
/// Appends what stands behind the frames; nothing where no stream goes from worker to worker.
void encode_tail(const Commit& commit, Bytes& out);
/// Appends `commit` and the frames (each a complete frame, see frame.h) to `out`.
void encode(const Commit& commit, const std::vector<BytesView>& frames, Bytes& out);

/// Decodes what `bytes` hold from `start` on, to their end; frame positions count from the start of `bytes`. Every
/// frame has passed FrameView::parse. Errors: kInvalid.
Result<Commit> decode_commit(BytesView bytes, std::size_t start);

}  // namespace weir::wire
