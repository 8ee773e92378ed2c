// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <string>

#include "weir/pointer.h"
#include "weir/value.h"

namespace weir::keyed {

/// An integer of 64 bits with a sign, or a float. In MessagePack and in records simply that number.
class Number {
 public:
  Number() = default;
  explicit Number(std::int64_t integer) : bits_(static_cast<std::uint64_t>(integer)) {}
  explicit Number(double real) : bits_(std::bit_cast<std::uint64_t>(real)), kind_(Kind::kReal) {}

  [[nodiscard]] bool is_integer() const { return kind_ == Kind::kInteger; }
  /// REQUIRES: is_integer().
  [[nodiscard]] std::int64_t as_integer() const { return static_cast<std::int64_t>(bits_); }
  [[nodiscard]] double as_real() const {
    return is_integer() ? static_cast<double>(as_integer()) : std::bit_cast<double>(bits_);
  }

  template <typename Packer>
  void msgpack_pack(Packer& packer) const {
    if (is_integer()) {
      packer.pack(as_integer());
    } else {
      // msgpack-c makes an integer of a float without fraction; a sum that has seen a float is one.
      const std::string real = real_bytes();
      packer.pack_str_body(real.data(), static_cast<std::uint32_t>(real.size()));
    }
  }
  void msgpack_unpack(const msgpack::object& object);

 private:
  /// As wide as the number, so that a Number is handed on in two registers, whoever reads or writes only one half of
  /// it.
  enum class Kind : std::uint64_t { kInteger, kReal };

  [[nodiscard]] std::string real_bytes() const;  ///< MessagePack

  std::uint64_t bits_ = 0;
  Kind kind_ = Kind::kInteger;
};

/// The sum: an integer while both are, otherwise a float. Errors: std::overflow_error beyond 64 bits.
Number add(const Number& left, const Number& right);

/// What stands at `field` of a record's value. Errors: DecodeError, naming the field; of number_at() also where that is
/// no number, or an integer beyond 64 bits with a sign.
ValueView field_of(const Pointer& field, ValueView value);
Number number_at(const Pointer& field, ValueView value);

}  // namespace weir::keyed
