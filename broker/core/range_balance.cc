// SPDX-License-Identifier: Apache-2.0
#include "broker/core/range_balance.h"

#include <algorithm>
#include <cmath>

namespace weir::core {
namespace {

/// So much more than it need have the busiest shard has before anything moves, ...
constexpr double kWorthIt = 1.25;
/// ... and so much of a shard's even part must a move bring elsewhere; ...
constexpr double kMovedMin = 0.125;
/// ... each beyond so many standard deviations of what a sample of this size says of one.
constexpr double kChance = 2;

/// How many of the sample are before `boundary`.
std::size_t before(const std::vector<Boundary>& sample, const Boundary& boundary) {
  return static_cast<std::size_t>(std::lower_bound(sample.begin(), sample.end(), boundary, is_before) - sample.begin());
}

}  // namespace

std::vector<Boundary> even_boundaries(const std::vector<Boundary>& sample, std::uint32_t shards) {
  std::vector<Boundary> boundaries;
  std::size_t at = 0;
  while (boundaries.size() + 1 < shards && at < sample.size()) {
    const auto left = static_cast<double>(sample.size() - at);
    const double even = left / static_cast<double>(shards - boundaries.size());
    // Key by key, the first in any case, as long as half of it still belongs here.
    std::size_t end = at;
    while (end < sample.size()) {
      const auto next = static_cast<std::size_t>(
          std::upper_bound(sample.begin() + static_cast<std::ptrdiff_t>(end), sample.end(), sample[end], is_before) -
          sample.begin());
      if (end != at && static_cast<double>(end - at) + static_cast<double>(next - end) / 2 > even) break;
      end = next;
    }
    if (end == sample.size()) break;
    boundaries.push_back(sample[end]);
    at = end;
  }
  // Fewer keys than shards: those in front of the last are empty.
  const Boundary last = boundaries.empty() ? sample.front() : boundaries.back();
  boundaries.resize(shards - 1, last);
  return boundaries;
}

std::vector<std::uint64_t> counts_of(const std::vector<Boundary>& sample, const std::vector<Boundary>& boundaries) {
  std::vector<std::uint64_t> counts;
  std::size_t from = 0;
  for (const Boundary& boundary : boundaries) {
    const std::size_t to = before(sample, boundary);
    counts.push_back(to - from);
    from = to;
  }
  counts.push_back(sample.size() - from);
  return counts;
}

std::optional<std::vector<Boundary>> next_boundaries(const std::vector<Boundary>& sample,
                                                     const std::vector<Boundary>& boundaries) {
  if (sample.empty()) return std::nullopt;
  const auto shards = static_cast<std::uint32_t>(boundaries.size() + 1);
  const std::vector<Boundary> wanted = even_boundaries(sample, shards);
  const auto busiest = [&](const std::vector<Boundary>& some) {
    const auto counts = counts_of(sample, some);
    return static_cast<double>(*std::max_element(counts.begin(), counts.end()));
  };
  const double need_be = busiest(wanted);
  if (busiest(boundaries) <= kWorthIt * need_be + kChance * std::sqrt(need_be)) return std::nullopt;
  const double even = static_cast<double>(sample.size()) / shards;
  double most = std::max(kMovedMin * even, kChance * std::sqrt(even));
  std::optional<std::vector<Boundary>> next;
  for (std::size_t i = 0; i < boundaries.size(); ++i) {
    Boundary to = wanted[i];
    if (i > 0 && is_before(to, boundaries[i - 1])) to = boundaries[i - 1];
    if (i + 1 < boundaries.size() && is_before(boundaries[i + 1], to)) to = boundaries[i + 1];
    const std::size_t was = before(sample, boundaries[i]);
    const std::size_t is = before(sample, to);
    const auto moved = static_cast<double>(was < is ? is - was : was - is);
    if (moved < most) continue;
    most = moved;
    next = boundaries;
    (*next)[i] = std::move(to);
  }
  return next;
}

}  // namespace weir::core
