// SPDX-License-Identifier: Apache-2.0
#include "sdk/client/delivery.h"

#include <utility>

#include "weir/token.h"

namespace weir::client {
namespace {

bool read_natural(TokenReader& reader, std::uint64_t& number, std::uint64_t max = INT64_MAX) {
  Token token;
  if (!reader.next(token) || token.kind != Token::Kind::kNatural || token.natural > max) return false;
  number = token.natural;
  return true;
}

bool read_batch(TokenReader& reader, Delivery::Batch& batch) {
  Token token;
  std::uint64_t shard = 0;
  std::uint64_t epoch = 0;
  if (!reader.next(token) || token.kind != Token::Kind::kArray || token.count != 5) return false;
  if (!read_natural(reader, shard, UINT32_MAX) || !read_natural(reader, epoch, UINT32_MAX) ||
      !read_natural(reader, batch.offset) || !read_natural(reader, batch.count, UINT32_MAX)) {
    return false;
  }
  if (!reader.next(token) || token.kind != Token::Kind::kBinary) return false;
  batch.shard = static_cast<std::uint32_t>(shard);
  batch.epoch = static_cast<std::uint32_t>(epoch);
  batch.records = std::as_bytes(std::span(token.text.data(), token.text.size()));
  return true;
}

}  // namespace

std::optional<Delivery> Delivery::parse(Bytes& message) {
  TokenReader reader{BytesView(message)};
  Token token;
  Delivery delivery;
  bool is_delivery = false;
  if (!reader.next(token) || token.kind != Token::Kind::kMap) return std::nullopt;
  for (std::uint32_t pairs = token.count; pairs > 0; --pairs) {
    Token name;
    if (!reader.next(name) || name.kind != Token::Kind::kText) return std::nullopt;
    if (name.text == "op") {
      if (!reader.next(token) || token.kind != Token::Kind::kText || token.text != "delivery") return std::nullopt;
      is_delivery = true;
    } else if (name.text == "session") {
      std::uint64_t session = 0;
      if (!read_natural(reader, session)) return std::nullopt;
      delivery.session = static_cast<std::int64_t>(session);
    } else if (name.text == "number") {
      if (!read_natural(reader, delivery.number)) return std::nullopt;
    } else if (name.text == "batches") {
      if (!reader.next(token) || token.kind != Token::Kind::kArray) return std::nullopt;
      for (std::uint32_t i = token.count; i > 0; --i) {
        Batch batch;
        if (!read_batch(reader, batch)) return std::nullopt;
        delivery.batches.push_back(batch);
      }
    } else if (!reader.skip()) {
      return std::nullopt;
    }
  }
  if (!is_delivery) return std::nullopt;
  delivery.message = std::move(message);  // its bytes stay where they are
  return delivery;
}

}  // namespace weir::client
