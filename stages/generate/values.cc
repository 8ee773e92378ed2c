// SPDX-License-Identifier: Apache-2.0
#include "stages/generate/values.h"

#include <algorithm>

#include "stages/generate/timestamps.h"

namespace weir::generate {
namespace {

constexpr std::uint64_t kReadRecords = 4096;
constexpr std::int64_t kIntervalUs = 1000;

std::string bytes_of(const std::optional<ValueView>& value) {
  const BytesView bytes = value.value_or(ValueView()).bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

ValueView view(const std::string& msgpack) { return ValueView(std::as_bytes(std::span(msgpack))); }

}  // namespace

Values::Values(const Config& config) : rounds_(config.get<std::uint64_t>("/repeat", 1)), pace_(config) {
  const bool plain = config.contains("/values");
  const std::string list = plain ? "/values" : "/records";
  for (const Config& item : config.elements(list)) {
    if (plain) {
      list_.push_back({bytes_of(std::nullopt), bytes_of(item.find("")), std::nullopt});
      continue;
    }
    Listed listed{bytes_of(item.find("/key")), bytes_of(item.find("/value")), std::nullopt};
    if (item.contains("/timestamp")) {
      listed.timestamp = item.get<Timestamp>("/timestamp");
      timed_ = true;
    }
    list_.push_back(std::move(listed));
  }
  if (list_.empty()) throw ConfigError("needs \"values\" or \"records\", with at least one in the list");
  if (rounds_ > INT64_MAX / list_.size())
    throw ConfigError("/repeat: " + std::to_string(rounds_) + " times are more records than can be counted");
}

void Values::splits(SplitList& list) { list.add("values"); }

Timestamp Values::timestamp_of(std::uint64_t index) const {
  return list_[index % list_.size()].timestamp.value_or(timestamp_at(0, index, kIntervalUs));
}

/// What every record from `index` on is later than; nothing where that cannot be said. Timestamps that are given need
/// not be in order, so that only the last round is looked at.
std::optional<Timestamp> Values::watermark_before(std::uint64_t index) const {
  if (!timed_) return index == 0 ? std::nullopt : std::optional(timestamp_of(index) - 1);
  const std::uint64_t end = rounds_ * list_.size();
  if (rounds_ == 0 || index == end || end - index > list_.size()) return std::nullopt;
  Timestamp least = timestamp_of(index);
  for (std::uint64_t i = index + 1; i < end; ++i) least = std::min(least, timestamp_of(i));
  return least == INT64_MIN ? std::nullopt : std::optional(least - 1);
}

Progress Values::read(Split& split, Context& out) {
  const auto begin = split.position<std::uint64_t>();
  const std::uint64_t end = rounds_ == 0 ? UINT64_MAX : rounds_ * list_.size();
  const std::uint64_t due = std::min(pace_.due(std::chrono::steady_clock::now()), kReadRecords);
  std::uint64_t index = begin;
  while (index < end && index - begin < due && !out.full()) {
    const Listed& listed = list_[index % list_.size()];
    out.emit(view(listed.key), view(listed.value), {.timestamp = timestamp_of(index)});
    ++index;
  }
  pace_.emitted(index - begin);
  split.set_position(index);
  if (const auto time = watermark_before(index)) out.watermark(*time);
  if (index == end) return Progress::kEnd;
  return index > begin || out.full() ? Progress::kMore : Progress::kEmpty;
}

}  // namespace weir::generate
