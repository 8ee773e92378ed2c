// SPDX-License-Identifier: Apache-2.0
#include "broker/core/copy_job.h"

namespace weir::core {
namespace {

constexpr std::size_t kItemBytes = 21;  ///< of an item without its bytes

}  // namespace

Bytes encode_copied(std::span<const CopyItem> items, std::span<const BytesView> bytes) {
  WEIR_CHECK(items.size() == bytes.size(), "every item has its bytes");
  Bytes body;
  ByteWriter writer(body);
  writer.put(static_cast<std::uint32_t>(items.size()));
  for (std::size_t i = 0; i < items.size(); ++i) {
    writer.put(static_cast<std::uint8_t>(items[i].kind));
    writer.put(items[i].index);
    writer.put(items[i].lane);
    writer.put(items[i].number);
    writer.put(static_cast<std::uint32_t>(bytes[i].size()));
  }
  for (const BytesView part : bytes) writer.raw(part);
  return body;
}

Result<std::vector<CopyItem>> decode_copied(BytesView payload, std::size_t body_at) {
  ByteReader reader(payload.subspan(body_at));
  std::vector<CopyItem> items(reader.count(kItemBytes));
  std::uint64_t at = body_at + sizeof(std::uint32_t) + items.size() * kItemBytes;
  for (CopyItem& item : items) {
    const auto kind = reader.get<std::uint8_t>();
    if (kind != 1 && kind != 2) return {Code::kCorrupt, "copies something of an unknown kind"};
    item.kind = static_cast<CopyItem::Kind>(kind);
    item.index = reader.get<std::uint32_t>();
    item.lane = reader.get<std::uint32_t>();
    item.number = reader.get<std::uint64_t>();
    item.place.size = reader.get<std::uint32_t>();
    item.place.at = static_cast<std::uint32_t>(at);
    at += item.place.size;
  }
  if (!reader.ok() || at != payload.size()) return {Code::kCorrupt, "is a malformed copy"};
  return items;
}

}  // namespace weir::core
