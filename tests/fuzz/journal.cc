// SPDX-License-Identifier: Apache-2.0
// The journal's directory with edits: files overwritten, cut, removed and doubled; headers and frames changed and
// sealed again, so that no CRC betrays it. A start gives a row of entries that the next start gives again, or is
// refused.
//
// An input is a row of edits: u8 what, u8 which file, u32 where, blob bytes.
#include "broker/journal/journal.h"

#include <fmt/format.h>

#include <cstring>
#include <string>
#include <utility>

#include "tests/fuzz/fuzz.h"
#include "tests/support/sim_disk.h"

namespace weir::fuzz {
namespace {

using journal::Journal;

constexpr std::uint64_t kSegmentBytes = 32 << 10;
constexpr std::uint64_t kSeed = 0x5eed;
constexpr std::size_t kEditsMax = 16;

enum class Edit : std::uint8_t { kOverwrite, kHeader, kFrame, kCut, kRemove, kDouble, kEnd };

Status append(Journal& journal, journal::EntryKind kind, BytesView payload) {
  std::vector<journal::Position> at;
  const journal::EntryView entry{kind, std::span(&payload, 1)};
  return journal.append(std::span(&entry, 1), at);
}

/// A few segments, two starts, a checkpoint in force, and a tail that no sync has covered.
const test::SimDisk& base() {
  static const std::unique_ptr<test::SimDisk> disk = [] {
    auto made = std::make_unique<test::SimDisk>(1);
    for (int life = 0; life < 2; ++life) {
      journal::Recovery recovery;
      auto opened = Journal::open(*made, {kSegmentBytes, kSeed, 1}, recovery);
      WEIR_CHECK(opened.ok(), opened.error().message);
      Journal& journal = **opened;
      for (int i = 0; i < 12; ++i) {
        const Bytes payload(2000, static_cast<std::byte>(i));
        WEIR_CHECK(append(journal, journal::EntryKind::kRecord, payload).ok() && journal.sync().ok(), "room");
      }
      const auto ref = journal.write_checkpoint_file(journal.durable(), 1, as_bytes("the state"));
      WEIR_CHECK(ref.ok(), ref.error().message);
      WEIR_CHECK(append(journal, journal::EntryKind::kCheckpoint, encode(*ref)).ok() && journal.sync().ok(), "room");
      WEIR_CHECK(append(journal, journal::EntryKind::kRecord, as_bytes("behind it")).ok(), "room");
      opened->reset();
      made->kill();
    }
    return made;
  }();
  return *disk;
}

/// The block 0 of a segment with `bytes` at `at` in it, and a CRC that fits.
void edit_header(test::SimDisk& disk, const std::string& name, std::uint32_t at, BytesView bytes) {
  Bytes block = disk.content(name);
  if (block.size() < journal::kBlockBytes) return;
  block.resize(journal::kBlockBytes);
  const std::size_t from = at % sizeof(journal::SegmentHeaderWire);
  std::memcpy(block.data() + from, bytes.data(), std::min(bytes.size(), block.size() - from));
  constexpr std::size_t kCrc = offsetof(journal::SegmentHeaderWire, crc);
  const std::uint32_t zero = 0;
  std::memcpy(block.data() + kCrc, &zero, sizeof(zero));
  const std::uint32_t crc = crc32c(0, block);
  std::memcpy(block.data() + kCrc, &crc, sizeof(crc));
  disk.overwrite(name, 0, block);
}

/// The frame that starts a block with `bytes` at its beginning, and CRCs that fit.
void edit_frame(test::SimDisk& disk, const std::string& name, std::uint32_t block, BytesView bytes) {
  const Bytes content = disk.content(name);
  if (content.size() < 2 * journal::kBlockBytes) return;
  const std::uint64_t at = journal::kBlockBytes * (1 + block % (content.size() / journal::kBlockBytes - 1));
  journal::FrameHeader header;
  std::memcpy(&header, content.data() + at, sizeof(header));
  // Behind the CRCs, which are made anew.
  constexpr std::size_t kFrom = offsetof(journal::FrameHeader, payload_bytes);
  std::memcpy(reinterpret_cast<std::byte*>(&header) + kFrom, bytes.data(),
              std::min(bytes.size(), sizeof(header) - kFrom));
  const std::uint64_t room = content.size() - at - sizeof(header);
  header.payload_bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(header.payload_bytes, room));
  const BytesView payload = BytesView(content).subspan(at + sizeof(header), header.payload_bytes);
  journal::seal(header, kSeed, at, std::span(&payload, 1));
  disk.overwrite(name, at, std::as_bytes(std::span(&header, 1)));
}

void apply(test::SimDisk& disk, ByteReader& reader) {
  const auto what = static_cast<Edit>(reader.get<std::uint8_t>() % static_cast<std::uint8_t>(Edit::kEnd));
  const auto which = reader.get<std::uint8_t>();
  const auto where = reader.get<std::uint32_t>();
  const BytesView bytes = reader.blob();
  const auto names = disk.names();
  if (!reader.ok() || names.empty()) return;
  const std::string& name = names[which % names.size()];
  const std::uint64_t size = disk.content(name).size();
  switch (what) {
    case Edit::kOverwrite:
      if (size != 0)
        disk.overwrite(name, where % size, bytes.first(std::min<std::size_t>(bytes.size(), size - where % size)));
      return;
    case Edit::kHeader:
      return edit_header(disk, name, where, bytes);
    case Edit::kFrame:
      return edit_frame(disk, name, where, bytes);
    case Edit::kCut:
      return disk.truncate(name, size == 0 ? 0 : where % size);
    case Edit::kRemove:
      return static_cast<void>(disk.remove(name).ok());
    case Edit::kDouble: {
      const Bytes content = disk.content(name);
      const BytesView part = content;
      auto file = disk.create(journal::segment_file_name(50 + which), 0);
      if (file.ok()) static_cast<void>((*file)->write(0, {&part, 1}).ok() && (*file)->sync().ok());
      return;
    }
    case Edit::kEnd:
      return;
  }
}

/// The entries of a journal that was opened; nothing where they cannot be read.
std::optional<std::vector<Bytes>> entries_of(Journal& journal) {
  std::vector<Bytes> entries;
  const Status status = journal.replay([&](Sequence, journal::Position, journal::EntryKind, BytesView payload) {
    entries.emplace_back(payload.begin(), payload.end());
    return Status();
  });
  if (!status.ok()) return std::nullopt;
  return entries;
}

Bytes edit(Edit what, std::uint8_t which, std::uint32_t where, BytesView bytes) {
  Bytes input;
  ByteWriter writer(input);
  writer.put(static_cast<std::uint8_t>(what));
  writer.put(which);
  writer.put(where);
  writer.blob(bytes);
  return input;
}

Bytes number(std::uint64_t value) {
  Bytes bytes(sizeof(value));
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

}  // namespace

std::vector<Bytes> seeds() {
  std::vector<Bytes> list = {{}};
  for (std::uint8_t file = 0; file < 8; ++file) {
    for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{2}, UINT64_MAX - 1, UINT64_MAX}) {
      for (std::uint32_t field = 16; field < 80; field += 8)
        list.push_back(edit(Edit::kHeader, file, field, number(value)));
      list.push_back(edit(Edit::kFrame, file, file, number(value)));
    }
    list.push_back(edit(Edit::kOverwrite, file, 5000, as_bytes("noise")));
    list.push_back(edit(Edit::kCut, file, 9000, {}));
    list.push_back(edit(Edit::kRemove, file, 0, {}));
    list.push_back(edit(Edit::kDouble, file, 0, {}));
  }
  return list;
}

}  // namespace weir::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace weir;  // NOLINT
  const auto disk = fuzz::base().clone(1);
  ByteReader reader(fuzz::input_of(bytes, size));
  for (std::size_t edits = 0; reader.ok() && !reader.at_end() && edits < fuzz::kEditsMax; ++edits)
    fuzz::apply(*disk, reader);
  journal::Recovery recovery;
  {
    const auto looked = journal::Journal::open_read_only(*disk, recovery);
    if (looked.ok()) static_cast<void>(fuzz::entries_of(**looked));
    WEIR_CHECK(looked.ok() || !looked.error().message.empty(), "a refusal says why");
  }
  std::vector<Bytes> entries;
  {
    auto opened = journal::Journal::open(*disk, {fuzz::kSegmentBytes, fuzz::kSeed, 1}, recovery);
    if (!opened.ok()) return 0;
    auto found = fuzz::entries_of(**opened);
    if (!found) return 0;
    entries = std::move(*found);
    const Bytes more(3000, std::byte{7});
    for (int i = 0; i < 20; ++i) {
      if (!fuzz::append(**opened, journal::EntryKind::kRecord, more).ok() || !(*opened)->sync().ok()) return 0;
      entries.push_back(more);
    }
  }
  disk->kill();
  auto again = journal::Journal::open(*disk, {fuzz::kSegmentBytes, fuzz::kSeed, 1}, recovery);
  WEIR_CHECK(again.ok(), "what served is refused: " + again.error().message);
  WEIR_CHECK(fuzz::entries_of(**again) == entries, "the next start gives other entries");
  return 0;
}
