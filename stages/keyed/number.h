// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "weir/pointer.h"
#include "weir/value.h"

namespace weir::keyed {

/// An integer of 64 bits with a sign, or a float. In MessagePack and in records simply that number.
struct Number {
  std::variant<std::int64_t, double> value = std::int64_t{0};

  [[nodiscard]] bool is_integer() const { return value.index() == 0; }
  [[nodiscard]] double as_real() const;

  /// Errors: DecodeError where `value` is no number, or an integer beyond 64 bits with a sign.
  static Number of(ValueView value);

  template <typename Packer>
  void msgpack_pack(Packer& packer) const {
    if (is_integer()) {
      packer.pack(std::get<0>(value));
    } else {
      // msgpack-c makes an integer of a float without fraction; a sum that has seen a float is one.
      const std::string real = real_bytes();
      packer.pack_str_body(real.data(), static_cast<std::uint32_t>(real.size()));
    }
  }
  void msgpack_unpack(const msgpack::object& object);

 private:
  [[nodiscard]] std::string real_bytes() const;  ///< MessagePack
};

/// The sum: an integer while both are, otherwise a float. Errors: std::overflow_error beyond 64 bits.
Number add(const Number& left, const Number& right);

/// What stands at `field` of a record's value. Errors: DecodeError, naming the field.
ValueView field_of(const Pointer& field, ValueView value);
Number number_at(const Pointer& field, ValueView value);

}  // namespace weir::keyed
