// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <span>

#include "broker/journal/disk.h"
#include "broker/journal/frame.h"
#include "broker/journal/pace.h"

namespace weir::journal {
namespace {

constexpr std::string_view kPrefix = "checkpoint-";

}  // namespace

CheckpointWire to_wire(const std::optional<CheckpointRef>& ref) {
  CheckpointWire wire{};
  if (ref) wire = {ref->through.value(), ref->segment_needed_min, ref->file_bytes, ref->crc, 1};
  return wire;
}

std::optional<CheckpointRef> from_wire(const CheckpointWire& wire) {
  if (wire.present == 0) return std::nullopt;
  return CheckpointRef{Sequence(wire.through), wire.segment_needed_min, wire.file_bytes, wire.crc};
}

Bytes encode(const CheckpointRef& ref) {
  const CheckpointWire wire = to_wire(ref);
  Bytes bytes(sizeof(wire));
  std::memcpy(bytes.data(), &wire, sizeof(wire));
  return bytes;
}

Result<CheckpointRef> decode_checkpoint_ref(BytesView payload) {
  CheckpointWire wire{};
  if (payload.size() != sizeof(wire)) {
    return {Code::kCorrupt, fmt::format("a checkpoint's entry holds {} bytes, not {}", payload.size(), sizeof(wire))};
  }
  std::memcpy(&wire, payload.data(), sizeof(wire));
  if (wire.present != 1) return {Code::kCorrupt, "a checkpoint's entry names no checkpoint"};
  return *from_wire(wire);
}

std::string checkpoint_file_name(const CheckpointRef& ref) {
  return fmt::format("{}{:012}-{:08x}", kPrefix, ref.through.value(), ref.crc);
}

bool is_checkpoint_file(std::string_view name) { return name.starts_with(kPrefix); }

std::optional<CheckpointRef> checkpoint_of(std::string_view name) {
  if (!is_checkpoint_file(name)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  std::uint64_t through = 0;
  CheckpointRef ref;
  const char* const end = name.data() + name.size();
  const auto number = std::from_chars(name.data(), end, through);
  if (number.ec != std::errc() || number.ptr == end || *number.ptr != '-') return std::nullopt;
  const auto crc = std::from_chars(number.ptr + 1, end, ref.crc, 16);
  if (crc.ec != std::errc() || crc.ptr != end) return std::nullopt;
  ref.through = Sequence(through);
  return ref;
}

std::uint32_t checkpoint_crc(std::uint64_t seed, BytesView bytes) { return crc32c(crc_start(seed, 0), bytes); }

Result<Bytes> read_checkpoint_file(Disk& disk, std::uint64_t seed, const CheckpointRef& ref) {
  const std::string name = checkpoint_file_name(ref);
  auto file = disk.open(name);
  if (!file.ok()) {
    if (file.error().code == Code::kNotFound) return {Code::kCorrupt, fmt::format("{} is missing", name)};
    return file.error();
  }
  if ((*file)->size() != ref.file_bytes) {
    return {Code::kCorrupt, fmt::format("{} has {} bytes, not {}", name, (*file)->size(), ref.file_bytes)};
  }
  Bytes bytes(static_cast<std::size_t>(ref.file_bytes));
  const auto got = (*file)->read(0, bytes);
  if (!got.ok()) return got.error();
  if (*got != bytes.size() || checkpoint_crc(seed, bytes) != ref.crc) {
    return {Code::kCorrupt, fmt::format("{} is damaged (its CRC does not match)", name)};
  }
  return bytes;
}

Status write_checkpoint_bytes(Disk& disk, const CheckpointRef& ref, BytesView bytes) {
  constexpr std::string_view kPartial = "checkpoint.partial";
  auto file = disk.create(kPartial, 0);
  if (!file.ok()) return file.error();
  Status done;
  Pace pace;
  for (std::uint64_t at = 0; at < bytes.size() && done.ok(); at += Pace::kPieceBytes) {
    const BytesView piece = bytes.subspan(at, std::min<std::uint64_t>(Pace::kPieceBytes, bytes.size() - at));
    done = (*file)->write(at, std::span(&piece, 1));
    if (done.ok() && at + piece.size() < bytes.size()) done = pace.wrote(**file, piece.size());
  }
  if (done.ok()) done = (*file)->sync();
  if (done.ok()) done = disk.rename(kPartial, checkpoint_file_name(ref));
  if (!done.ok()) {
    // What is left of it has no meaning, and the next start removes it too.
    static_cast<void>(disk.remove(kPartial).ok());
    return done;
  }
  return disk.sync_directory();
}

}  // namespace weir::journal
