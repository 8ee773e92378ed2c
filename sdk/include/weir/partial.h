// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "weir/record.h"
#include "weir/token.h"
#include "weir/value.h"

namespace weir {

/// What another worker has made of some records of a hot key: the key, and the state that process() left under it (see
/// Stage::merge). Borrows the batch, as RecordView does.
class PartialView {
 public:
  /// `record`: as weir_descriptor::merge is given it.
  explicit PartialView(const RecordView& record) : record_(record) {}

  [[nodiscard]] ValueView key() const { return record_.key(); }
  template <typename T>
  [[nodiscard]] T key() const {
    return record_.key<T>();
  }
  /// The greatest event time of the records that are in it.
  [[nodiscard]] Timestamp timestamp() const { return record_.timestamp(); }

  /// The state of that name, or nothing where there is none. Errors: DecodeError where it is no T.
  template <typename T>
  [[nodiscard]] std::optional<T> state(std::string_view name = {}) const {
    TokenReader tokens(record_.value_bytes());
    Token token;
    if (!tokens.next(token) || token.kind != Token::Kind::kArray) throw DecodeError("this is no partial result");
    for (std::uint32_t left = token.count / 2; left > 0; --left) {
      Token value;
      if (!tokens.next(token) || !tokens.next(value) || token.kind != Token::Kind::kBinary ||
          value.kind != Token::Kind::kBinary)
        throw DecodeError("this is no partial result");
      if (token.text == name) return ValueView(std::as_bytes(std::span(value.text))).as<T>();
    }
    return std::nullopt;
  }

 private:
  const RecordView& record_;
};

}  // namespace weir
