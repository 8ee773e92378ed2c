// SPDX-License-Identifier: Apache-2.0
#include "broker/server/snapshot_file.h"

#include <fmt/format.h>

#include <charconv>

namespace weir::server {
namespace {

constexpr std::uint64_t kMagic = 0x50414e5352494557;  // "WEIRSNAP"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kTrailerBytes = 16;
constexpr std::size_t kBlockBytes = 128 << 10;
constexpr std::uint32_t kBlockBytesMax = 1U << 30;
constexpr std::string_view kPrefix = "snapshot-";

Status read_exactly(journal::File& file, const std::string& name, std::uint64_t at, std::span<std::byte> into) {
  const auto got = file.read(at, into);
  if (!got.ok()) return got.error();
  if (*got != into.size()) return {Code::kCorrupt, fmt::format("{} is cut short at byte {}", name, at + *got)};
  return {};
}

}  // namespace

std::string snapshot_file_name(std::uint64_t file) { return fmt::format("{}{:012}", kPrefix, file); }

std::optional<std::uint64_t> snapshot_file_number(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

Result<SnapshotReader> SnapshotReader::open(journal::Disk& disk, std::uint64_t number) {
  SnapshotReader reader;
  reader.name_ = snapshot_file_name(number);
  const auto corrupt = [&](std::string_view what) {
    return Error{Code::kCorrupt, fmt::format("snapshot {}/{}: {}", disk.name(), reader.name_, what)};
  };
  auto file = disk.open(reader.name_);
  // Only files that the journal names are opened: one that is not there is lost.
  if (!file.ok() && file.error().code == Code::kNotFound) return corrupt("missing");
  if (!file.ok()) return file.error();
  reader.file_ = std::move(*file);
  const std::uint64_t size = reader.file_->size();
  if (size < kHeaderBytes + kTrailerBytes) return corrupt("too short");
  Bytes header(kHeaderBytes);
  if (Status status = read_exactly(*reader.file_, reader.name_, 0, header); !status.ok()) return status.error();
  ByteReader head(header);
  if (head.get<std::uint64_t>() != kMagic) return corrupt("damaged at its start");
  const auto version = head.get<std::uint32_t>();
  Bytes trailer(kTrailerBytes);
  if (Status status = read_exactly(*reader.file_, reader.name_, size - kTrailerBytes, trailer); !status.ok())
    return status.error();
  ByteReader tail(trailer);
  const auto position = tail.get<std::uint64_t>();
  const auto crc = tail.get<std::uint32_t>();
  if (tail.get<std::uint32_t>() != version) return corrupt("damaged at its start or its end");
  if (version != kVersion) {
    return Error{Code::kRefused,
                 fmt::format("snapshot {}/{} has format {}, this Weir reads format {}: use the Weir that "
                             "wrote it, or a newer one",
                             disk.name(), reader.name_, version, kVersion)};
  }
  if (position < kHeaderBytes || position > size - kTrailerBytes) return corrupt("damaged at its end");
  Bytes directory(size - kTrailerBytes - position);
  if (Status status = read_exactly(*reader.file_, reader.name_, position, directory); !status.ok())
    return status.error();
  if (crc32c(0, directory) != crc) return corrupt("damaged directory");
  ByteReader entries(directory);
  const std::uint32_t count = entries.count(16);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto lane = entries.get<std::uint32_t>();
    Section& section = reader.sections_[lane];
    section.blocks = entries.get<std::uint32_t>();
    section.position = entries.get<std::uint64_t>();
  }
  if (!entries.ok()) return corrupt("damaged directory");
  return reader;
}

std::vector<std::uint32_t> SnapshotReader::lanes() const {
  std::vector<std::uint32_t> lanes;
  lanes.reserve(sections_.size());
  for (const auto& [lane, section] : sections_) lanes.push_back(lane);
  return lanes;
}

Result<bool> SnapshotReader::next(std::uint32_t lane, Place& place, Bytes& block) const {
  const auto found = sections_.find(lane);
  if (found == sections_.end() || place.block >= found->second.blocks) return false;
  const std::uint64_t at = place.block == 0 ? found->second.position : place.position;
  std::byte head[8];
  if (Status status = read_exactly(*file_, name_, at, head); !status.ok()) return status.error();
  ByteReader reader(head);
  const auto bytes = reader.get<std::uint32_t>();
  const auto crc = reader.get<std::uint32_t>();
  const auto damaged = [&] { return Error{Code::kCorrupt, fmt::format("{}: damaged block at byte {}", name_, at)}; };
  if (bytes > kBlockBytesMax || at + sizeof(head) + bytes > file_->size()) return damaged();
  block.resize(bytes);
  if (Status status = read_exactly(*file_, name_, at + sizeof(head), block); !status.ok()) return status.error();
  if (crc32c(0, block) != crc) return damaged();
  ++place.block;
  place.position = at + sizeof(head) + bytes;
  return true;
}

Status SnapshotReader::read(std::uint32_t lane, const std::function<Status(BytesView)>& visit) const {
  Place place;
  Bytes block;
  while (true) {
    const Result<bool> more = next(lane, place, block);
    if (!more.ok()) return more.error();
    if (!*more) return {};
    if (Status status = visit(block); !status.ok()) return status;
  }
}

Result<SnapshotWriter> SnapshotWriter::create(journal::Disk& disk, std::uint64_t number, std::uint32_t stage) {
  SnapshotWriter writer;
  writer.disk_ = &disk;
  auto file = disk.create(snapshot_file_name(number), 0);
  if (!file.ok()) return file.error();
  writer.file_ = std::move(*file);
  Bytes header;
  ByteWriter out(header);
  out.put(kMagic);
  out.put(kVersion);
  out.put(stage);
  const BytesView part = header;
  if (Status status = writer.file_->write(0, {&part, 1}); !status.ok()) return status.error();
  writer.at_ = header.size();
  return writer;
}

Status SnapshotWriter::add(std::uint32_t lane, const wire::Change& change) {
  if (sections_.empty() || sections_.back().lane != lane) {
    if (Status status = flush(); !status.ok()) return status;
    sections_.push_back({lane, 0, at_});
  }
  wire::append_change(block_, change);
  return block_.size() >= kBlockBytes ? flush() : Status();
}

Status SnapshotWriter::flush() {
  if (block_.empty()) return {};
  Bytes head;
  ByteWriter out(head);
  out.put(static_cast<std::uint32_t>(block_.size()));
  out.put(crc32c(0, block_));
  const BytesView parts[] = {head, block_};
  if (Status status = file_->write(at_, parts); !status.ok()) return status;
  const std::uint64_t wrote = head.size() + block_.size();
  at_ += wrote;
  ++sections_.back().blocks;
  block_.clear();
  return pace_.wrote(*file_, wrote);
}

Result<std::uint64_t> SnapshotWriter::finish() {
  if (Status status = flush(); !status.ok()) return status.error();
  Bytes directory;
  ByteWriter out(directory);
  out.put(static_cast<std::uint32_t>(sections_.size()));
  for (const Section& section : sections_) {
    out.put(section.lane);
    out.put(section.blocks);
    out.put(section.position);
  }
  const std::uint32_t crc = crc32c(0, directory);
  out.put(at_);
  out.put(crc);
  out.put(kVersion);
  const BytesView part = directory;
  if (Status status = file_->write(at_, {&part, 1}); !status.ok()) return status.error();
  if (Status status = file_->sync(); !status.ok()) return status.error();
  if (Status status = disk_->sync_directory(); !status.ok()) return status.error();
  return at_ + directory.size();
}

Status merge_lane(const SnapshotBefore& before, std::uint32_t lane, const LaneTail* tail, SnapshotWriter& writer) {
  const auto sorted = tail != nullptr ? tail->sorted() : std::vector<wire::Change>();
  if (!sorted.ok()) return sorted.error();
  const std::vector<wire::Change>& changes = *sorted;
  auto next = changes.begin();
  const auto put = [&](const wire::Change& change) { return change.value ? writer.add(lane, change) : Status(); };
  if (before.reader != nullptr) {
    Status status = before.reader->read(lane, [&](BytesView block) -> Status {
      wire::ChangesReader reader(block);
      while (const auto old = reader.next()) {
        int order = -1;
        for (; next != changes.end() && (order = compare_places(*next, *old)) < 0; ++next) {
          if (Status added = put(*next); !added.ok()) return added;
        }
        const bool changed = next != changes.end() && order == 0;
        const bool gone = before.reset && old->space == wire::Space::kState;
        Status added = changed ? put(*next) : gone ? Status() : writer.add(lane, *old);
        if (!added.ok()) return added;
        if (changed) ++next;
      }
      return reader.ok() ? Status() : Status(Code::kCorrupt, "malformed entries in a snapshot");
    });
    if (!status.ok()) return status;
  }
  for (; next != changes.end(); ++next) {
    if (Status added = put(*next); !added.ok()) return added;
  }
  return {};
}

}  // namespace weir::server
