// SPDX-License-Identifier: Apache-2.0
#include "stages/keyed/number.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "weir/encode.h"

namespace weir::keyed {
namespace {

std::string in_words(const Pointer& field) {
  return field.text().empty() ? std::string("the value") : "the field \"" + field.text() + "\"";
}

}  // namespace

std::string Number::real_bytes() const {
  std::string bytes;
  encode_real(bytes, as_real());
  return bytes;
}

void Number::msgpack_unpack(const msgpack::object& object) {
  if (object.type == msgpack::type::FLOAT32 || object.type == msgpack::type::FLOAT64) {
    *this = Number(object.as<double>());
  } else {
    *this = Number(object.as<std::int64_t>());
  }
}

Number add(const Number& left, const Number& right) {
  if (!left.is_integer() || !right.is_integer()) {
    const double sum = left.as_real() + right.as_real();
    if (std::isinf(sum) && std::isfinite(left.as_real()) && std::isfinite(right.as_real()))
      throw std::overflow_error("the sum is beyond the largest float");
    return Number(sum);
  }
  std::int64_t sum = 0;
  if (__builtin_add_overflow(left.as_integer(), right.as_integer(), &sum)) {
    throw std::overflow_error("the sum does not fit 64 bits: " + std::to_string(left.as_integer()) + " and " +
                              std::to_string(right.as_integer()));
  }
  return Number(sum);
}

ValueView field_of(const Pointer& field, ValueView value) {
  const auto found = field.find(value);
  if (!found) throw DecodeError(in_words(field) + " is missing");
  return *found;
}

Number number_at(const Pointer& field, ValueView value) {
  const ValueView found = field_of(field, value);
  const Token token = found.token();
  if (token.kind == Token::Kind::kReal) return Number(token.real);
  if (!token.is_integer()) {
    throw DecodeError(in_words(field) + ": expected a number, found " + found.describe());
  }
  return token.fits_signed() ? Number(token.as_signed()) : Number(found.as<std::int64_t>());
}

}  // namespace weir::keyed
