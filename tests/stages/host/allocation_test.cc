// SPDX-License-Identifier: Apache-2.0
// A record costs no allocation on its way through a worker: what is allocated is a matter of batches and transactions.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>

#include "sdk/wire/batch.h"
#include "sdk/wire/commit.h"
#include "sdk/wire/messages.h"
#include "stages/host/chain.h"
#include "stages/host/engine.h"
#include "stages/host/library.h"
#include "stages/host/runner.h"
#include "weir/encode.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kCounts = false;  // the sanitizers' own allocator takes the place of ours
#else
constexpr bool kCounts = true;
#endif

namespace {
std::atomic<std::uint64_t> allocations{0};
}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern "C" {
// The C library's own, under the names that stay when a program brings others.
void* __libc_malloc(std::size_t size);                     // NOLINT
void* __libc_calloc(std::size_t count, std::size_t size);  // NOLINT
void* __libc_realloc(void* at, std::size_t size);          // NOLINT

void* malloc(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, size);
}
void* realloc(void* at, std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(at, size);
}
}
#endif

namespace weir::host {
namespace {

constexpr std::uint64_t kFew = 5'000;
constexpr std::uint64_t kMany = 45'000;
/// What transactions may take for so many records more.
constexpr std::uint64_t kMoreMax = (kMany - kFew) / 20;

enum class Place : std::uint8_t { kSource, kMiddle, kSink };

/// Gives what it was made with, takes commits and forgets them: whatever is allocated is the worker's.
class Feed final : public Engine {
 public:
  void post(Event event) { events_.push_back(std::move(event)); }
  [[nodiscard]] const std::string& failure() const { return failure_; }
  [[nodiscard]] std::uint64_t records() const { return records_; }

  [[nodiscard]] const std::string& host() const override { return host_; }
  Event next(Monotonic) override {
    if (events_.empty()) return {};
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  bool urgent() override { return false; }
  void commit(Bytes message) override {
    ++committed_;
    const auto commit = wire::decode_commit(message, sizeof(wire::MessageHeader));
    if (!commit.ok()) return failed(commit.error().message);
    for (const wire::Counted& counted : commit->counters) records_ += std::max(counted.records_in, counted.records_out);
  }
  [[nodiscard]] std::uint64_t committed() const override { return committed_; }
  [[nodiscard]] std::uint64_t settled() const override { return committed_; }
  [[nodiscard]] bool has_window() const override { return true; }
  [[nodiscard]] bool may_publish() const override { return true; }
  void worked_off(std::uint64_t, std::uint64_t) override {}
  void release(const std::vector<wire::Lease>&) override {}
  void drained() override {}
  void failed(const std::string& sentence) override { failure_ = sentence; }
  [[nodiscard]] bool closes(Monotonic, Monotonic) const override { return false; }
  [[nodiscard]] bool beat_due() const override { return false; }
  void beat(const wire::Measured&) override {}

 private:
  std::string host_;
  std::string failure_;
  std::deque<Event> events_;
  std::uint64_t committed_ = 0;
  std::uint64_t records_ = 0;
};

Event lease_of(Place place) {
  wire::Lease lease;
  lease.kind = place == Place::kSource ? wire::LeaseKind::kSplit : wire::LeaseKind::kShard;
  lease.epoch = 1;
  lease.split = place == Place::kSource ? "sequence" : "";
  Event event;
  event.kind = Event::Kind::kGrant;
  event.leases.push_back(lease);
  return event;
}

Event delivery_of(std::uint64_t records, std::uint64_t keys) {
  auto batch = std::make_shared<Bytes>();
  for (std::uint64_t i = 0; i < records; ++i) {
    std::string key;
    encode(key, "a key that fits into no short string " + std::to_string(i % keys));
    const std::byte value{7};
    wire::append_record(*batch, {1000, as_bytes(key), {&value, 1}, {}});
  }
  Event event;
  event.kind = Event::Kind::kDeliver;
  event.delivery.batches.push_back(
      {0, 0, static_cast<std::uint32_t>(records), static_cast<std::uint32_t>(batch->size()), 0, INT64_MIN, 0});
  event.delivery.records.emplace_back(*batch);
  event.owner = std::move(batch);
  return event;
}

/// Allocations of a worker while it works off `records` records of `keys` keys.
std::uint64_t allocations_of(const char* library, const std::string& plugin, Place place, const std::string& config,
                             std::uint64_t records, std::uint64_t keys) {
  Topology topology;
  topology.broker.transaction_bytes_max = 8 << 20;
  StageSpec& stage = topology.stages.emplace_back();
  stage.name = "stage";
  stage.plugin = plugin;
  stage.kind = place == Place::kSource ? PluginKind::kSource
               : place == Place::kSink ? PluginKind::kSink
                                       : PluginKind::kStage;
  const auto add = [&](const char* port, std::vector<PortBinding>& ports) {
    ports.push_back({port, static_cast<std::uint32_t>(topology.streams.size())});
    Stream& stream = topology.streams.emplace_back();
    stream.name = port;
    stream.shards = 1;
    stream.partition = PartitionBy::kHash;
  };
  if (place != Place::kSource) add("in", stage.inputs);
  if (place != Place::kSink) add("out", stage.outputs);

  Libraries libraries({library});
  Feed feed;
  feed.post(lease_of(place));
  if (place != Place::kSource) feed.post(delivery_of(records, keys));
  Chain chain(topology, 0, 0);
  const Status created =
      chain.create([&](const weir::StageSpec& spec) { return libraries.find(spec.plugin); },
                   [&](const StageSpec&, const weir_descriptor&) { return Result<std::string>(config); });
  EXPECT_TRUE(created.ok()) << created.error().message;
  Runner runner(topology, chain, feed, RunnerClock{[] { return Monotonic{0}; }, [] { return 777; }});
  const std::uint64_t before = allocations;
  while (feed.records() < records && feed.failure().empty() && !runner.turn()) {
  }
  const std::uint64_t after = allocations;
  EXPECT_EQ(feed.records(), records) << feed.failure();
  return after - before;
}

TEST(Allocations, OfASourceDoNotGrowWithItsRecords) {
  if (!kCounts) GTEST_SKIP() << "the sanitizers have an allocator of their own";
  const auto of = [](std::uint64_t records) {
    const std::string config = "{\"to\": " + std::to_string(records - 1) + "}";
    return allocations_of(WEIR_GENERATE, "generate.sequence", Place::kSource, config, records, 1);
  };
  const std::uint64_t few = of(kFew);
  EXPECT_LT(of(kMany), few + kMoreMax) << "of few records: " << few;
}

TEST(Allocations, OfAKeyedStageDoNotGrowWithItsRecords) {
  if (!kCounts) GTEST_SKIP() << "the sanitizers have an allocator of their own";
  const auto of = [](std::uint64_t records) {
    return allocations_of(WEIR_KEYED, "keyed.sum", Place::kMiddle, "{}", records, 100);
  };
  const std::uint64_t few = of(kFew);
  EXPECT_LT(of(kMany), few + kMoreMax) << "of few records: " << few;
}

TEST(Allocations, OfASinkDoNotGrowWithItsRecords) {
  if (!kCounts) GTEST_SKIP() << "the sanitizers have an allocator of their own";
  const auto of = [](std::uint64_t records) {
    return allocations_of(WEIR_BENCH, "bench.sink", Place::kSink, R"({"report": "/dev/null"})", records, 100);
  };
  const std::uint64_t few = of(kFew);
  EXPECT_LT(of(kMany), few + kMoreMax) << "of few records: " << few;
}

TEST(Allocations, AreCountedWhereAPluginMakesThem) {
  if (!kCounts) GTEST_SKIP() << "the sanitizers have an allocator of their own";
  EXPECT_GT(allocations_of(WEIR_KEYED, "keyed.sum", Place::kMiddle, "{}", kFew, kFew), kFew)
      << "each key is new, and its state has a string";
}

}  // namespace
}  // namespace weir::host
