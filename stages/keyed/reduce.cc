// SPDX-License-Identifier: Apache-2.0
#include "stages/keyed/reduce.h"

#include <algorithm>
#include <compare>
#include <stdexcept>
#include <string>
#include <utility>

#include "stages/keyed/number.h"
#include "weir/compare.h"

namespace weir::keyed {
namespace {

struct Averaged {
  double sum = 0;
  std::uint64_t records = 0;
  Timestamp latest = WEIR_TIME_MIN;
  MSGPACK_DEFINE(sum, records, latest)

  [[nodiscard]] double result() const { return sum / static_cast<double>(records); }
};

/// The value chosen so far, as MessagePack.
struct Selected {
  std::string value;
  Timestamp latest = WEIR_TIME_MIN;

  template <typename Packer>
  void msgpack_pack(Packer& packer) const {
    packer.pack_array(2).pack_bin(static_cast<std::uint32_t>(value.size()));
    packer.pack_bin_body(value.data(), static_cast<std::uint32_t>(value.size()));
    packer.pack(latest);
  }
  void msgpack_unpack(const msgpack::object& object) {
    std::string_view bytes;
    msgpack::type::make_define_array(bytes, latest).msgpack_unpack(object);
    value = bytes;
  }

  [[nodiscard]] ValueView result() const { return ValueView(std::as_bytes(std::span(value))); }
};

Reduce::Op op_of(std::string_view name) {
  if (name == "min") return Reduce::Op::kMin;
  if (name == "max") return Reduce::Op::kMax;
  if (name == "avg") return Reduce::Op::kAvg;
  return Reduce::Op::kLast;
}

}  // namespace

Reduce::Reduce(const Config& config)
    : op_(op_of(config.get<std::string>("/op"))),
      field_(config.get<std::string>("/field", "")),
      emission_(emission_of(config)) {}

void Reduce::process(const RecordView& in, Context& out) {
  if (op_ == Op::kAvg) {
    average(in, out);
  } else {
    select(in, out);
  }
}

void Reduce::average(const RecordView& in, Context& out) {
  const Number number = number_at(field_, in.value());
  auto& averaged = out.state<Averaged>();
  averaged.sum += number.as_real();
  ++averaged.records;
  averaged.latest = std::max(averaged.latest, in.timestamp());
  if (says_each(emission_, out)) out.emit(in.key(), averaged.result());
}

bool Reduce::better(ValueView found, const std::string& chosen) const {
  if (op_ == Op::kLast) return true;
  const Token token = found.token();
  if (!(token.is_number() || token.kind == Token::Kind::kText) || std::is_neq(compare(token, token))) {
    throw DecodeError("expected a number or a string, found " + found.describe());
  }
  if (chosen.empty()) return true;
  const ValueView before(std::as_bytes(std::span(chosen)));
  const auto order = compare(token, before.token());
  if (order == std::partial_ordering::unordered) {
    throw DecodeError(found.describe() + " cannot be compared with " + before.describe());
  }
  return op_ == Op::kMin ? std::is_lt(order) : std::is_gt(order);
}

void Reduce::select(const RecordView& in, Context& out) {
  const ValueView found = field_of(field_, in.value());
  auto& selected = out.state<Selected>();
  if (better(found, selected.value)) {
    selected.value.assign(reinterpret_cast<const char*>(found.bytes().data()), found.bytes().size());
  }
  selected.latest = std::max(selected.latest, in.timestamp());
  if (says_each(emission_, out)) out.emit(in.key(), selected.result());
}

void Reduce::merge(const PartialView& partial, Context& out) {
  if (op_ == Op::kAvg) {
    const auto part = partial.state<Averaged>();
    if (!part) return;
    auto& averaged = out.state<Averaged>();
    averaged.sum += part->sum;
    averaged.records += part->records;
    averaged.latest = std::max(averaged.latest, part->latest);
    if (says_each(emission_, out)) out.emit(partial.key(), averaged.result());
    return;
  }
  auto part = partial.state<Selected>();
  if (!part || part->value.empty()) return;
  auto& selected = out.state<Selected>();
  if (better(part->result(), selected.value)) selected.value = std::move(part->value);
  selected.latest = std::max(selected.latest, part->latest);
  if (says_each(emission_, out)) out.emit(partial.key(), selected.result());
}

void Reduce::finish(Context& out) {
  if (emission_ != Emission::kFinal) return;
  if (op_ == Op::kAvg) {
    emit_all<Averaged>(out);
  } else {
    emit_all<Selected>(out);
  }
}

}  // namespace weir::keyed
