// SPDX-License-Identifier: Apache-2.0
#include "stages/host/memory_limit.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <new>

namespace weir::host {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

// A sanitizer's own memory counts too.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

/// Whether so much more can be taken; it is given back.
bool can_take(std::uint64_t bytes) {
  void* memory = std::malloc(bytes);
  const bool taken = memory != nullptr;
  std::free(memory);
  return taken;
}

TEST(MemoryLimit, BoundsGrowthAndNotWhatIsHeld) {
  MemoryLimit limit(64 * kMiB);
  limit.renew(Monotonic(1'000'000), 0);
  EXPECT_TRUE(can_take(32 * kMiB));
  EXPECT_FALSE(can_take(128 * kMiB));
  const auto held = std::make_unique<char[]>(48 * kMiB);
  EXPECT_FALSE(can_take(32 * kMiB)) << "48 of 64 MiB are taken";
  limit.renew(Monotonic(2'000'000), 0);
  EXPECT_TRUE(can_take(32 * kMiB)) << "what is held between transactions does not count";
  limit.renew(Monotonic(3'000'000), 100 * kMiB);
  EXPECT_TRUE(can_take(256 * kMiB)) << "a large state may grow as a whole";
}

TEST(MemoryLimit, IsLiftedWhileStateIsLoadedAndWithItsOwner) {
  {
    MemoryLimit limit(16 * kMiB);
    limit.renew(Monotonic(1'000'000), 0);
    EXPECT_FALSE(can_take(64 * kMiB));
    limit.lift();
    EXPECT_TRUE(can_take(64 * kMiB));
    limit.renew(Monotonic(1'000'001), 0);
    EXPECT_FALSE(can_take(64 * kMiB));
  }
  EXPECT_TRUE(can_take(64 * kMiB));
}

#endif

TEST(MemoryLimit, AllowsForTheWorkersMemoryAndItsTransactions) {
  EXPECT_EQ(MemoryLimit::growth_for(256 * kMiB, 8 * kMiB), 384 * kMiB);
}

}  // namespace
}  // namespace weir::host
