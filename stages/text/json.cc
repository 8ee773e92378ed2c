// SPDX-License-Identifier: Apache-2.0
#include "stages/text/json.h"

#include <stdexcept>

namespace weir::text {

void Json::process(const RecordView& in, Context& out) {
  const Token token = in.value().token();
  if (token.kind != Token::Kind::kText && token.kind != Token::Kind::kBinary) {
    throw DecodeError("value: expected a string, found " + in.value().describe());
  }
  value_.clear();
  if (!reader_.read(token.text, value_)) throw std::runtime_error("the value is no JSON: " + reader_.error());
  out.emit(in.key(), ValueView(std::as_bytes(std::span(value_))));
}

}  // namespace weir::text
