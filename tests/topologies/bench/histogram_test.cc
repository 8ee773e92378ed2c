// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <random>
#include <vector>

#include "topologies/bench/latency.h"
#include "topologies/bench/scratch_folder.h"

namespace weir::bench {
namespace {

constexpr double kShares[] = {0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1};

/// From the sorted values: the least that no less than `share` of them do not exceed.
std::uint64_t exact_percentile(const std::vector<std::uint64_t>& sorted, double share) {
  const double rank = std::ceil(share * static_cast<double>(sorted.size()));
  return sorted[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

void expect_three_digits(std::vector<std::uint64_t> values) {
  Histogram histogram;
  for (const std::uint64_t value : values) histogram.add(value);
  std::ranges::sort(values);
  EXPECT_EQ(histogram.count(), values.size());
  EXPECT_EQ(histogram.most(), values.back());
  for (const double share : kShares) {
    const std::uint64_t exact = exact_percentile(values, share);
    EXPECT_GE(histogram.percentile(share), exact) << share;
    EXPECT_LE(histogram.percentile(share) - exact, exact / 1000) << share << " of " << exact;
  }
  EXPECT_EQ(histogram.percentile(1), values.back());
}

TEST(Histogram, GivesPercentilesToThreeDigits) {
  std::mt19937_64 chance(7);
  const std::function<double()> distributions[] = {
      [&] { return std::uniform_real_distribution(0.0, 5e6)(chance); },
      [&] { return std::exponential_distribution(1e-5)(chance); },
      [&] { return std::lognormal_distribution(12.0, 3.0)(chance); },
      [&] { return chance() % 100 == 0 ? 4e9 + static_cast<double>(chance() % 1000) : 3e4; },
  };
  for (const auto& draw : distributions) {
    std::vector<std::uint64_t> values(100'000);
    for (std::uint64_t& value : values) value = static_cast<std::uint64_t>(draw());
    expect_three_digits(values);
  }
}

TEST(Histogram, GivesPercentilesToThreeDigitsAroundEveryPowerOfTwo) {
  for (int bit = 0; bit < 64; ++bit) {
    const std::uint64_t power = std::uint64_t{1} << bit;
    for (const std::uint64_t value : {power - 1, power, power + 1, power + power / 3, power * 2 - 1}) {
      expect_three_digits({value});
      expect_three_digits({value / 2, value, value});
    }
  }
}

TEST(Histogram, OfOneValueIsThatValue) {
  for (const std::uint64_t value :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2047}, std::uint64_t{2048}, ~std::uint64_t{0}}) {
    Histogram histogram;
    histogram.add(value);
    EXPECT_EQ(histogram.percentile(0.5), value);
  }
}

TEST(Latency, IsReadAsTheSinkLeftIt) {
  const auto folder = ScratchFolder::make_in(testing::TempDir());
  ASSERT_TRUE(folder.ok());
  const std::string path = folder->path() + "/latencies";
  std::ofstream file(path, std::ios::binary);
  for (std::uint64_t took = 1; took <= 1000; ++took) file.write(reinterpret_cast<const char*>(&took), sizeof took);
  file.close();
  const auto histogram = read_latencies(path, 1000);
  ASSERT_TRUE(histogram.ok());
  const Latency latency = Latency::of(*histogram);
  EXPECT_EQ(latency.p50_ns, 500U);
  EXPECT_EQ(latency.p90_ns, 900U);
  EXPECT_EQ(latency.p99_ns, 990U);
  EXPECT_EQ(latency.p999_ns, 999U);
  EXPECT_EQ(latency.most_ns, 1000U);
  EXPECT_FALSE(read_latencies(path, 1001).ok());
  EXPECT_FALSE(read_latencies(path + "x", 1).ok());
}

}  // namespace
}  // namespace weir::bench
