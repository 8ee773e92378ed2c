// SPDX-License-Identifier: Apache-2.0
#include "stages/generate/sequence.h"

#include <algorithm>

#include "stages/generate/timestamps.h"

namespace weir::generate {
namespace {

constexpr std::uint64_t kReadRecords = 4096;

std::optional<std::int64_t> integer_of(const Config& config, const char* pointer) {
  return config.contains(pointer) ? std::optional(config.get<std::int64_t>(pointer)) : std::nullopt;
}

}  // namespace

Sequence::Sequence(const Config& config)
    : from_(config.get<std::int64_t>("/from", 0)),
      to_(integer_of(config, "/to")),
      step_(config.get<std::int64_t>("/step", 1)),
      key_modulo_(integer_of(config, "/key_modulo")),
      start_(config.get<std::int64_t>("/start", 0)),
      interval_us_(config.get_duration("/interval", "1ms").count()),
      pace_(config) {
  if (step_ == 0) throw ConfigError("/step: must not be 0");
  if (key_modulo_ && *key_modulo_ < 1) throw ConfigError("/key_modulo: must be above 0");
}

void Sequence::splits(SplitList& list) { list.add("sequence"); }

std::optional<std::int64_t> Sequence::value_at(std::uint64_t index) const {
  std::int64_t distance = 0;
  std::int64_t value = 0;
  if (__builtin_mul_overflow(index, step_, &distance) || __builtin_add_overflow(from_, distance, &value)) {
    return std::nullopt;
  }
  if (to_ && (step_ > 0 ? value > *to_ : value < *to_)) return std::nullopt;
  return value;
}

Progress Sequence::read(Split& split, Context& out) {
  const auto begin = split.position<std::uint64_t>();
  const std::uint64_t due = std::min(pace_.due(std::chrono::steady_clock::now()), kReadRecords);
  std::uint64_t index = begin;
  bool ended = false;
  while (index - begin < due && !out.full()) {
    const auto value = value_at(index);
    if (!value) {
      ended = true;
      break;
    }
    std::int64_t key = *value;
    if (key_modulo_) {
      key %= *key_modulo_;
      if (key < 0) key += *key_modulo_;
    }
    out.emit(key, *value, {.timestamp = timestamp_at(start_, index, interval_us_)});
    ++index;
  }
  ended = ended || !value_at(index);
  pace_.emitted(index - begin);
  split.set_position(index);
  // What follows is later than what was emitted, by the interval; without one it may be as late.
  if (index > 0) out.watermark(timestamp_at(start_, index - 1, interval_us_) - (interval_us_ > 0 ? 0 : 1));
  if (ended) return Progress::kEnd;
  return index > begin || out.full() ? Progress::kMore : Progress::kEmpty;
}

}  // namespace weir::generate
