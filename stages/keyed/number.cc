// SPDX-License-Identifier: Apache-2.0
#include "stages/keyed/number.h"

#include <stdexcept>
#include <string>

#include "weir/encode.h"

namespace weir::keyed {
namespace {

std::string in_words(const Pointer& field) {
  return field.text().empty() ? std::string("the value") : "the field \"" + field.text() + "\"";
}

}  // namespace

double Number::as_real() const {
  return std::visit([](auto number) { return static_cast<double>(number); }, value);
}

std::string Number::real_bytes() const {
  std::string bytes;
  encode_real(bytes, as_real());
  return bytes;
}

Number Number::of(ValueView value) {
  const Token token = value.token();
  if (token.kind == Token::Kind::kReal) return {token.real};
  if (token.is_integer() && token.fits_signed()) return {token.as_signed()};
  return {value.as<std::int64_t>()};
}

void Number::msgpack_unpack(const msgpack::object& object) {
  if (object.type == msgpack::type::FLOAT32 || object.type == msgpack::type::FLOAT64) {
    value = object.as<double>();
  } else {
    value = object.as<std::int64_t>();
  }
}

Number add(const Number& left, const Number& right) {
  if (!left.is_integer() || !right.is_integer()) return {left.as_real() + right.as_real()};
  std::int64_t sum = 0;
  if (__builtin_add_overflow(std::get<0>(left.value), std::get<0>(right.value), &sum)) {
    throw std::overflow_error("the sum does not fit 64 bits: " + std::to_string(std::get<0>(left.value)) + " and " +
                              std::to_string(std::get<0>(right.value)));
  }
  return {sum};
}

ValueView field_of(const Pointer& field, ValueView value) {
  const auto found = field.find(value);
  if (!found) throw DecodeError(in_words(field) + " is missing");
  return *found;
}

Number number_at(const Pointer& field, ValueView value) {
  const ValueView found = field_of(field, value);
  if (!found.token().is_number()) {
    throw DecodeError(in_words(field) + ": expected a number, found " + found.describe());
  }
  return Number::of(found);
}

}  // namespace weir::keyed
