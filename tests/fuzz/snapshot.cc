// SPDX-License-Identifier: Apache-2.0
// Snapshots of state: bytes as they are, or (first byte odd) parts that are put together with CRCs that fit: a list of
// blocks, then a directory. What can be read is merged into a snapshot that reads the same.
#include "broker/server/snapshot_file.h"

#include "tests/fuzz/fuzz.h"
#include "tests/support/sim_disk.h"

namespace weir::fuzz {
namespace {

constexpr std::size_t kHeaderBytes = 16;

void write(test::SimDisk& disk, std::uint64_t number, BytesView bytes) {
  auto file = disk.create(server::snapshot_file_name(number), 0);
  WEIR_CHECK(file.ok() && (*file)->write(0, std::span(&bytes, 1)).ok(), "there is room");
}

/// The header of a real snapshot, then what `parts` says.
Bytes assembled(BytesView header, BytesView parts) {
  Bytes bytes(header.begin(), header.begin() + kHeaderBytes);
  ByteWriter writer(bytes);
  ByteReader reader(parts);
  for (std::uint32_t blocks = reader.count(4); blocks > 0 && reader.ok(); --blocks) {
    const BytesView block = reader.blob();
    writer.put(static_cast<std::uint32_t>(block.size()));
    writer.put(crc32c(0, block));
    writer.raw(block);
  }
  const std::uint64_t position = bytes.size();
  const BytesView directory = parts.subspan(parts.size() - reader.remaining());
  writer.raw(directory);
  writer.put(position);
  writer.put(crc32c(0, directory));
  writer.put(std::uint32_t{1});
  return bytes;
}

using Content = std::vector<std::pair<std::uint32_t, Bytes>>;

/// Every lane's changes; nothing where some cannot be read.
std::optional<Content> read(test::SimDisk& disk, std::uint64_t number) {
  const auto reader = server::SnapshotReader::open(disk, number);
  if (!reader.ok()) {
    WEIR_CHECK(!reader.error().message.empty(), "a refusal says why");
    return std::nullopt;
  }
  Content content;
  for (const std::uint32_t lane : reader->lanes()) {
    Bytes all;
    std::size_t blocks = 0;
    const Status status = reader->read(lane, [&](BytesView block) -> Status {
      if (++blocks > 1000) return {Code::kInvalid, "enough"};  // the same few blocks, named again and again
      all.insert(all.end(), block.begin(), block.end());
      return {};
    });
    if (!status.ok()) return std::nullopt;
    content.emplace_back(lane, std::move(all));
  }
  return content;
}

/// As a compaction does, with nothing behind it. False where it refuses.
bool copy(test::SimDisk& disk, std::uint64_t from, std::uint64_t to) {
  const auto reader = server::SnapshotReader::open(disk, from);
  auto writer = server::SnapshotWriter::create(disk, to, 0);
  WEIR_CHECK(reader.ok() && writer.ok(), "it was read before");
  for (const std::uint32_t lane : reader->lanes()) {
    if (!server::merge_lane({&*reader, false}, lane, nullptr, *writer).ok()) return false;
  }
  return writer->finish().ok();
}

const Bytes& real_snapshot() {
  static const Bytes bytes = [] {
    test::SimDisk disk(1);
    auto writer = server::SnapshotWriter::create(disk, 1, 0);
    for (const std::uint32_t lane : {0U, 3U}) {
      for (const char* key : {"a", "b", "c"})
        WEIR_CHECK(writer->add(lane, {wire::Space::kState, {}, as_bytes(key), as_bytes("value")}).ok(),
                   "there is room");
    }
    WEIR_CHECK(writer->finish().ok(), "there is room");
    return disk.content(server::snapshot_file_name(1));
  }();
  return bytes;
}

}  // namespace

std::vector<Bytes> seeds() {
  std::vector<Bytes> list = {chosen(0, real_snapshot())};
  Bytes changes;
  for (const char* key : {"a", "b"})
    wire::append_change(changes, {wire::Space::kState, {}, as_bytes(key), as_bytes("value")});
  Bytes parts;
  ByteWriter writer(parts);
  writer.put(std::uint32_t{2});
  writer.blob(changes);
  writer.blob(changes);
  writer.put(std::uint32_t{2});
  for (const std::uint32_t lane : {0U, 1U}) {
    writer.put(lane);
    writer.put(std::uint32_t{1});
    writer.put(std::uint64_t{kHeaderBytes + lane * (8 + changes.size())});
  }
  list.push_back(chosen(1, parts));
  return list;
}

}  // namespace weir::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace weir;  // NOLINT
  if (size == 0) return 0;
  test::SimDisk disk(1);
  const BytesView input = fuzz::input_of(bytes + 1, size - 1);
  fuzz::write(disk, 1,
              bytes[0] % 2 == 0 ? Bytes(input.begin(), input.end()) : fuzz::assembled(fuzz::real_snapshot(), input));
  const auto content = fuzz::read(disk, 1);
  if (!content) return 0;
  if (!fuzz::copy(disk, 1, 2)) return 0;
  const auto once = fuzz::read(disk, 2);
  WEIR_CHECK(once, "a snapshot made of another one cannot be read");
  WEIR_CHECK(fuzz::copy(disk, 2, 3) && fuzz::read(disk, 3) == once, "a snapshot is not what it was made of");
  return 0;
}
