// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/commit.h"

#include "sdk/wire/frame.h"

namespace weir::wire {
namespace {

template <typename T, typename Put>
void put_list(ByteWriter& writer, const std::vector<T>& list, Put put) {
  writer.put(static_cast<std::uint32_t>(list.size()));
  for (const T& item : list) put(item);
}

/// Reads a counted list whose items take at least `size_min` bytes each, so that a lying count costs nothing.
template <typename T, typename Get>
void get_list(ByteReader& reader, std::size_t size_min, std::vector<T>& list, Get get) {
  const std::uint32_t count = reader.count(size_min);
  list.reserve(count);
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) list.push_back(get());
}

}  // namespace

void encode_head(const Commit& commit, std::uint32_t frames, Bytes& out) {
  ByteWriter writer(out);
  writer.put(commit.transaction);
  put_list(writer, commit.consumed, [&](const Consumed& range) {
    writer.put(range.stream);
    writer.put(range.shard);
    writer.put(range.from);
    writer.put(range.to);
  });
  put_list(writer, commit.advanced, [&](const Advanced& advanced) {
    writer.put(advanced.shard);
    writer.put(advanced.watermark);
  });
  put_list(writer, commit.splits, [&](const SplitMoved& split) {
    writer.put(split.split);
    writer.put(static_cast<std::uint8_t>(split.ended));
    writer.blob(split.position);
  });
  put_list(writer, commit.splits_found, [&](const std::string& id) { writer.text(id); });
  writer.put(static_cast<std::uint8_t>(commit.enumeration_ended));
  put_list(writer, commit.finished, [&](std::uint32_t shard) { writer.put(shard); });
  put_list(writer, commit.counters, [&](const Counted& counted) {
    writer.put(counted.stage);
    writer.put(counted.records_in);
    writer.put(counted.records_out);
    writer.put(counted.dead_letters);
    writer.put(counted.late);
  });
  put_list(writer, commit.causes, [&](const CountedCause& counted) {
    writer.put(counted.stage);
    writer.put(static_cast<std::uint8_t>(counted.dropped));
    writer.text(counted.cause);
    writer.put(counted.by);
  });
  put_list(writer, commit.changes, [&](const ChangesOf& changes) {
    writer.put(changes.stage);
    writer.put(changes.shard);
    writer.blob(changes.bytes);
  });
  writer.put(frames);
}

void encode_tail(const Commit& commit, Bytes& out) {
  if (commit.emitted.empty() && commit.taken.empty()) return;
  ByteWriter writer(out);
  put_list(writer, commit.emitted, [&](const DirectEmitted& emitted) {
    writer.put(emitted.stream);
    writer.put(emitted.records);
    writer.put(emitted.bytes);
  });
  put_list(writer, commit.taken, [&](const DirectTaken& taken) {
    writer.put(taken.stream);
    writer.put(taken.producer);
    writer.put(taken.records);
    writer.put(taken.lost);
  });
  if (commit.published.empty()) return;
  put_list(writer, commit.published, [&](const Published& published) {
    writer.put(published.stream);
    writer.put(published.readers);
  });
}

void encode(const Commit& commit, const std::vector<BytesView>& frames, Bytes& out) {
  encode_head(commit, static_cast<std::uint32_t>(frames.size()), out);
  for (const BytesView frame : frames) ByteWriter(out).blob(frame);
  encode_tail(commit, out);
}

Result<Commit> decode_commit(BytesView bytes, std::size_t start) {
  if (start > bytes.size()) return {Code::kInvalid, "a commit without a body"};
  ByteReader reader(bytes.subspan(start));
  Commit commit;
  commit.transaction = reader.get<std::uint64_t>();
  get_list(reader, 24, commit.consumed, [&] {
    Consumed range;
    range.stream = reader.get<std::uint32_t>();
    range.shard = reader.get<std::uint32_t>();
    range.from = reader.get<std::uint64_t>();
    range.to = reader.get<std::uint64_t>();
    return range;
  });
  get_list(reader, 12, commit.advanced, [&] {
    Advanced advanced;
    advanced.shard = reader.get<std::uint32_t>();
    advanced.watermark = reader.get<Timestamp>();
    return advanced;
  });
  get_list(reader, 9, commit.splits, [&] {
    SplitMoved split;
    split.split = reader.get<std::uint32_t>();
    split.ended = reader.get<std::uint8_t>() != 0;
    split.position = reader.blob();
    return split;
  });
  get_list(reader, 4, commit.splits_found, [&] { return reader.text(); });
  commit.enumeration_ended = reader.get<std::uint8_t>() != 0;
  get_list(reader, 4, commit.finished, [&] { return reader.get<std::uint32_t>(); });
  get_list(reader, 36, commit.counters, [&] {
    Counted counted;
    counted.stage = reader.get<std::uint32_t>();
    counted.records_in = reader.get<std::uint64_t>();
    counted.records_out = reader.get<std::uint64_t>();
    counted.dead_letters = reader.get<std::uint64_t>();
    counted.late = reader.get<std::uint64_t>();
    return counted;
  });
  get_list(reader, 17, commit.causes, [&] {
    CountedCause counted;
    counted.stage = reader.get<std::uint32_t>();
    counted.dropped = reader.get<std::uint8_t>() != 0;
    counted.cause = reader.text();
    counted.by = reader.get<std::uint64_t>();
    return counted;
  });
  get_list(reader, 12, commit.changes, [&] {
    ChangesOf changes;
    changes.stage = reader.get<std::uint32_t>();
    changes.shard = reader.get<std::uint32_t>();
    changes.bytes = reader.blob();
    return changes;
  });
  get_list(reader, 4, commit.frames, [&] {
    const BytesView frame = reader.blob();
    return FrameAt{static_cast<std::size_t>(frame.data() - bytes.data()), frame.size()};
  });
  if (!reader.at_end()) {
    get_list(reader, 20, commit.emitted, [&] {
      DirectEmitted emitted;
      emitted.stream = reader.get<std::uint32_t>();
      emitted.records = reader.get<std::uint64_t>();
      emitted.bytes = reader.get<std::uint64_t>();
      return emitted;
    });
    get_list(reader, 28, commit.taken, [&] {
      DirectTaken taken;
      taken.stream = reader.get<std::uint32_t>();
      taken.producer = reader.get<Incarnation::number_type>();
      taken.records = reader.get<std::uint64_t>();
      taken.lost = reader.get<std::uint64_t>();
      return taken;
    });
    // One way to say that there is nothing: no tail.
    if (commit.emitted.empty() && commit.taken.empty()) return {Code::kInvalid, "a commit with an empty tail"};
  }
  if (!reader.at_end()) {
    get_list(reader, 8, commit.published, [&] {
      Published published;
      published.stream = reader.get<std::uint32_t>();
      published.readers = reader.get<std::uint32_t>();
      return published;
    });
    if (commit.published.empty()) return {Code::kInvalid, "a commit with an empty tail"};
  }
  if (!reader.ok() || !reader.at_end()) return {Code::kInvalid, "a commit that is cut short or has bytes left over"};
  for (const FrameAt& frame : commit.frames) {
    if (const auto view = FrameView::parse(bytes.subspan(frame.position, frame.size)); !view.ok()) return view.error();
  }
  for (const Consumed& range : commit.consumed) {
    if (range.from >= range.to) return {Code::kInvalid, "a commit that consumes an empty range"};
  }
  return commit;
}

}  // namespace weir::wire
