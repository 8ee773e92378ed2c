// SPDX-License-Identifier: Apache-2.0
#include "broker/core/stage_library.h"

#include "sdk/wire/library_hash.h"

namespace weir::core {
namespace {

constexpr std::size_t kNameBytesMax = 255;

void put(ByteWriter& writer, const LibraryVersion& version) {
  writer.text(version.hash);
  writer.text(version.name);
  writer.text(version.origin);
}

LibraryVersion get_version(ByteReader& reader) {
  LibraryVersion version;
  version.hash = reader.text();
  version.name = reader.text();
  version.origin = reader.text();
  return version;
}

bool is_file_name(const std::string& name) {
  return !name.empty() && name.size() <= kNameBytesMax && name != "." && name != ".." &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

bool is_version(const LibraryVersion& version) {
  return wire::is_library_hash(version.hash) && is_file_name(version.name);
}

}  // namespace

void put(ByteWriter& writer, const StageLibrary& library) {
  put(writer, library.now);
  put(writer, library.before);
  writer.text(library.in_file);
  writer.put(library.by);
  writer.text(library.why);
  writer.put(static_cast<std::uint8_t>(library.settled));
  writer.text(library.left);
}

StageLibrary get_stage_library(ByteReader& reader) {
  StageLibrary library;
  library.now = get_version(reader);
  library.before = get_version(reader);
  library.in_file = reader.text();
  library.by = reader.get<StageLibrary::By>();
  library.why = reader.text();
  library.settled = reader.get<std::uint8_t>() != 0;
  library.left = reader.text();
  return library;
}

std::string contradiction_of(const StageLibrary& library) {
  if (!is_version(library.now)) return "names a stage library in a way that no library is named";
  if (!library.before.hash.empty() && !is_version(library.before))
    return "names the library before in a way that no library is named";
  if (!library.in_file.empty() && !wire::is_library_hash(library.in_file))
    return "names the topology's library in a way that no library is named";
  if (!library.left.empty() && !wire::is_library_hash(library.left))
    return "names the library that was left in a way that no library is named";
  const bool known = library.by >= StageLibrary::By::kPerson && library.by <= StageLibrary::By::kItself;
  return known ? "" : "says of a stage library that nobody wants it";
}

Bytes encode(const Upgraded& upgraded) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(upgraded.what);
  if (upgraded.what == Upgraded::What::kWanted) put(writer, upgraded.library);
  return bytes;
}

Result<Upgraded> decode_upgraded(BytesView body) {
  ByteReader reader(body);
  Upgraded upgraded;
  upgraded.what = reader.get<Upgraded::What>();
  if (upgraded.what == Upgraded::What::kWanted) upgraded.library = get_stage_library(reader);
  const bool known = upgraded.what >= Upgraded::What::kWanted && upgraded.what <= Upgraded::What::kForgotten;
  if (!reader.ok() || !reader.at_end() || !known)
    return {Code::kCorrupt, "a journal entry of a stage library that is malformed"};
  return upgraded;
}

}  // namespace weir::core
