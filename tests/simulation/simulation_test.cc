// SPDX-License-Identifier: Apache-2.0
// WEIR_SEED=n runs that seed alone, twice.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "sdk/base/log.h"
#include "tests/simulation/world.h"

namespace weir::simulation {
namespace {

std::uint64_t seed_now = 0;

void on_abort(int) {
  char line[64];
  const int size = std::snprintf(line, sizeof(line), "\nWEIR_SEED=%llu\n", static_cast<unsigned long long>(seed_now));
  (void)!write(2, line, static_cast<std::size_t>(size));
}

Outcome run(std::uint64_t seed) {
  seed_now = seed;
  std::signal(SIGABRT, on_abort);
  static const bool quiet = log::start("simulation", "error");
  (void)quiet;
  const Outcome outcome = World(Plan::of(seed)).run();
  EXPECT_EQ(outcome.problem, "") << "replay with WEIR_SEED=" << seed;
  if (std::getenv("WEIR_SEED") != nullptr) {
    std::printf(
        "seed %llu: %s%llu events, %lld virtual ms, trace %016llx, broker crashes %llu, worker deaths %llu, "
        "fences %llu, checkpoints %llu, compactions %llu, frames read back %llu\n",
        static_cast<unsigned long long>(seed), outcome.problem.empty() ? "" : "FAILED, ",
        static_cast<unsigned long long>(outcome.events), static_cast<long long>(outcome.took.count() / 1000),
        static_cast<unsigned long long>(outcome.trace), static_cast<unsigned long long>(outcome.broker_crashes),
        static_cast<unsigned long long>(outcome.worker_deaths), static_cast<unsigned long long>(outcome.fences),
        static_cast<unsigned long long>(outcome.checkpoints), static_cast<unsigned long long>(outcome.compactions),
        static_cast<unsigned long long>(outcome.frames_read));
  }
  return outcome;
}

Outcome run_twice(std::uint64_t seed) {
  const Outcome first = run(seed);
  EXPECT_EQ(run(seed).trace, first.trace) << "not the same twice: WEIR_SEED=" << seed;
  return first;
}

TEST(Simulation, HoldsAndRepeatsForFixedSeeds) {
  if (const char* seed = std::getenv("WEIR_SEED")) return (void)run_twice(std::strtoull(seed, nullptr, 10));
  Outcome sum;
  for (std::uint64_t seed = 1; seed <= 20 && !HasFailure(); ++seed) {
    const Outcome outcome = run_twice(seed);
    sum.broker_crashes += outcome.broker_crashes;
    sum.worker_deaths += outcome.worker_deaths;
    sum.fences += outcome.fences;
    sum.checkpoints += outcome.checkpoints;
    sum.compactions += outcome.compactions;
    sum.frames_read += outcome.frames_read;
  }
  // A simulation in which nothing happens proves nothing.
  EXPECT_GT(sum.broker_crashes, 10U);
  EXPECT_GT(sum.worker_deaths, 100U);
  EXPECT_GT(sum.fences, 5U);
  EXPECT_GT(sum.checkpoints, 20U);
  EXPECT_GT(sum.compactions, 5U);
  EXPECT_GT(sum.frames_read, 20U);
}

TEST(Simulation, HoldsForFreshSeeds) {
  if (std::getenv("WEIR_SEED") != nullptr) GTEST_SKIP();
  const char* text = std::getenv("WEIR_SIMULATION_SECONDS");
  const std::chrono::seconds time(text == nullptr ? 10 : std::atoi(text));
  const auto start = std::chrono::steady_clock::now();
  std::random_device entropy;
  int runs = 0;
  for (; std::chrono::steady_clock::now() - start < time && !HasFailure(); ++runs) run(entropy());
  std::printf("%d fresh seeds\n", runs);
}

}  // namespace
}  // namespace weir::simulation
