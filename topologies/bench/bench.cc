// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "topologies/bench/awk.h"
#include "topologies/bench/bare_disk.h"
#include "topologies/bench/bare_path.h"
#include "topologies/bench/bare_relay.h"
#include "topologies/bench/expectation.h"
#include "topologies/bench/hash_map_loop.h"
#include "topologies/bench/scratch_folder.h"
#include "topologies/bench/series.h"
#include "topologies/bench/text_file.h"
#include "topologies/bench/topologies.h"
#include "topologies/bench/topology_run.h"

namespace weir::bench {
namespace {

/// About what a word of write_words takes, with the space behind it.
constexpr std::uint64_t kWordBytes = 6;

bool is_topology(const std::string& name) {
  return std::ranges::find(topology_names(), name) != topology_names().end();
}

/// One round.
class Run {
 public:
  Run(const Plan& plan, const Tell& tell, std::string folder)
      : plan_(plan),
        tell_(tell),
        folder_(std::move(folder)),
        workload_(Workload::of_size(plan.records, plan.keys, plan.record_bytes)) {}

  Status baselines();
  Status topologies();
  Status latencies();
  Status series();
  Status start();
  std::vector<Measurement> take() { return std::move(measured_); }

 private:
  [[nodiscard]] bool wants(std::string_view name) const {
    return std::ranges::find(plan_.topologies, name) != plan_.topologies.end();
  }
  [[nodiscard]] std::string text_path() const { return folder_ + "/" + kTextFile; }
  Status word_baselines();
  Status record_baselines();
  Status add_baseline(Result<Measurement> measured, bool right);
  Status bare_relay();
  Status bare_disk();
  [[nodiscard]] bool keeps_anything() const {
    return std::ranges::any_of(plan_.durabilities, [](const std::string& each) { return each != "none"; });
  }
  [[nodiscard]] Digest expected_of(const std::string& name) const;

  const Plan& plan_;
  const Tell& tell_;
  std::string folder_;
  Workload workload_;
  Digest word_digest_;
  std::uint64_t words_ = 0;
  std::uint64_t text_bytes_ = 0;
  std::vector<Measurement> bare_relays_;
  std::vector<Measurement> measured_;
};

Status Run::add_baseline(Result<Measurement> measured, bool right) {
  if (!measured) return measured.error();
  if (!right) return {Code::kCorrupt, measured->what + ": the result is wrong"};
  measured_.push_back(*std::move(measured));
  return {};
}

Status Run::word_baselines() {
  const auto bytes = write_words(text_path(), plan_.records * kWordBytes);
  if (!bytes) return bytes.error();
  text_bytes_ = *bytes;
  tell_("wordcount by a C++ loop and awk");
  Totals by_loop;
  Status added = add_baseline(loop_over_words(text_path(), by_loop), true);
  if (!added.ok()) return added;
  words_ = std::accumulate(by_loop.begin(), by_loop.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const auto& entry) { return sum + entry.second; });
  word_digest_ = expect_counts(by_loop);
  if (!find_awk()) return {};
  Totals by_awk;
  Result<Measurement> awk = awk_over_words(text_path(), words_, by_awk);
  return add_baseline(std::move(awk), by_awk == by_loop);
}

Status Run::record_baselines() {
  const std::string path = folder_ + "/records.txt";
  if (Status status = write_records(path, workload_); !status.ok()) return status;
  tell_("keyed_total by a C++ loop and awk");
  const Digest expected = expect_totals(workload_);
  Totals totals;
  Result<Measurement> loop = loop_over_records(path, totals);
  if (Status added = add_baseline(std::move(loop), expect_counts(totals) == expected); !added.ok()) return added;
  if (!find_awk()) return {};
  Result<Measurement> awk = awk_over_records(path, workload_.records, totals);
  return add_baseline(std::move(awk), expect_counts(totals) == expected);
}

Status Run::baselines() {
  if (wants("wordcount")) {
    if (Status status = word_baselines(); !status.ok()) return status;
  }
  if (wants("keyed_total")) return record_baselines();
  return {};
}

Status Run::bare_relay() {
  tell_("the bare ZeroMQ relay");
  auto measured = run_bare_relay(workload_);
  if (!measured) return measured.error();
  bare_relays_.push_back(*std::move(measured));
  return {};
}

Status Run::bare_disk() {
  if (!keeps_anything() || std::ranges::none_of(plan_.topologies, is_topology)) return {};
  tell_("the raw disk");
  return add_baseline(run_bare_disk(workload_, folder_), true);
}

Digest Run::expected_of(const std::string& name) const {
  if (name == "wordcount") return word_digest_;
  if (name == "keyed_total") return expect_totals(workload_);
  if (name == "keyed_running_total") return expect_running_totals(workload_);
  return expect_records(workload_);
}

Status Run::topologies() {
  if (Status status = bare_disk(); !status.ok()) return status;
  std::vector<Measurement> runs;
  for (const std::string& name : plan_.topologies) {
    if (!is_topology(name)) continue;
    if (bare_relays_.empty()) {
      if (Status status = bare_relay(); !status.ok()) return status;
    }
    const Digest expected = expected_of(name);
    const bool words = name == "wordcount";
    for (const std::string& durability : plan_.durabilities) {
      tell_(fmt::format("{}, durability {}", name, durability));
      const TopologyRun run{.folder = folder_,
                            .durability = durability,
                            .expected = [&](std::uint64_t /*started_ns*/) { return expected; },
                            .records = words ? words_ : workload_.records,
                            .bytes = words ? text_bytes_ : workload_.records * workload_.record_bytes()};
      auto measured = run.run(make_topology(name, workload_, plan_.commit_after));
      if (!measured) return measured.error();
      const double before = bare_relays_.back().records_per_second();
      if (Status status = bare_relay(); !status.ok()) return status;
      const double after = bare_relays_.back().records_per_second();
      measured->of_bare_relay = measured->records_per_second() / ((before + after) / 2);
      runs.push_back(*std::move(measured));
    }
  }
  measured_.insert(measured_.begin(), bare_relays_.begin(), bare_relays_.end());
  measured_.insert(measured_.end(), runs.begin(), runs.end());
  return {};
}

Status Run::latencies() {
  if (!wants(kLatency)) return {};
  Workload workload = workload_;
  workload.records = std::max<std::uint64_t>(static_cast<std::uint64_t>(plan_.rate * plan_.seconds), 1);
  if (keeps_anything()) {
    tell_("a sync of the raw disk");
    if (Status added = add_baseline(run_bare_sync(folder_), true); !added.ok()) return added;
  }
  for (const std::string& durability : plan_.durabilities) {
    tell_("latency over bare ZeroMQ");
    auto bare = run_bare_path(workload, plan_.rate, folder_);
    if (!bare) return bare.error();
    tell_(fmt::format("latency, durability {}", durability));
    const TopologyRun run{
        .folder = folder_,
        .durability = durability,
        .expected = [&](std::uint64_t started_ns) { return expect_paced(workload, plan_.rate, started_ns); },
        .records = workload.records,
        .bytes = workload.records * workload.record_bytes()};
    auto measured = run.run(make_latency_topology(workload, plan_.rate));
    if (!measured) return measured.error();
    const auto histogram = read_latencies(folder_ + "/" + kLatenciesFile, workload.records);
    if (!histogram) return histogram.error();
    measured->latency = Latency::of(*histogram);
    const auto ratio = [](std::uint64_t of, std::uint64_t to) {
      return static_cast<double>(of) / static_cast<double>(to);
    };
    measured->of_bare_path = {ratio(measured->latency->p50_ns, bare->latency->p50_ns),
                              ratio(measured->latency->p99_ns, bare->latency->p99_ns)};
    measured_.push_back(*std::move(bare));
    measured_.push_back(*std::move(measured));
  }
  return {};
}

Status Run::series() {
  for (const std::string& name : series_names()) {
    if (!wants(name)) continue;
    for (const Point& point : make_series(name, plan_).points) {
      tell_(fmt::format("{}, {}", name, point.at));
      const TopologyRun run{.folder = folder_,
                            .durability = point.durability,
                            .expected = [&](std::uint64_t /*started_ns*/) { return point.expected(); },
                            .records = point.records,
                            .bytes = point.bytes,
                            .scraped = point.scraped};
      auto measured = run.run(point.topology);
      if (!measured) return measured.error();
      measured->what = name;
      measured->at = point.at;
      measured_.push_back(*std::move(measured));
    }
  }
  return {};
}

Status Run::start() {
  if (!wants(kStart)) return {};
  for (const std::string& durability : plan_.durabilities) {
    tell_(fmt::format("start, durability {}", durability));
    const TopologyRun run{.folder = folder_,
                          .durability = durability,
                          .expected = [](std::uint64_t /*started_ns*/) { return expect_sums(kSumTo); },
                          .records = kSumTo,
                          .bytes = 0};
    auto measured = run.run(make_sum_topology());
    if (!measured) return measured.error();
    measured_.push_back(*std::move(measured));
  }
  return {};
}

/// Of the measurements of one thing the one whose rate is in the middle (with an even number the slower one), or whose
/// median latency is; in the order of the first of each.
std::vector<Measurement> medians(const std::vector<Measurement>& measured) {
  const auto same = [](const Measurement& a, const Measurement& b) {
    return a.what == b.what && a.durability == b.durability && a.at == b.at;
  };
  const auto faster = [](const Measurement& a, const Measurement& b) {
    if (a.what == kStart) return *a.command_seconds < *b.command_seconds;
    return a.latency ? a.latency->p50_ns < b.latency->p50_ns : a.records_per_second() > b.records_per_second();
  };
  std::vector<Measurement> kept;
  for (const Measurement& each : measured) {
    if (std::ranges::any_of(kept, [&](const Measurement& other) { return same(each, other); })) continue;
    std::vector<Measurement> alike;
    std::ranges::copy_if(measured, std::back_inserter(alike),
                         [&](const Measurement& other) { return same(each, other); });
    std::ranges::sort(alike, faster);
    kept.push_back(alike[alike.size() / 2]);
  }
  return kept;
}

}  // namespace

Result<std::vector<Measurement>> measure(const Plan& plan, const Tell& tell) {
  auto folder = ScratchFolder::make_in(plan.folder);
  if (!folder) return folder.error();
  std::vector<Measurement> measured;
  for (int round = 0; round < plan.rounds; ++round) {
    Run run(plan, tell, folder->path());
    Status status = run.baselines();
    if (status.ok()) status = run.topologies();
    if (status.ok()) status = run.latencies();
    if (status.ok()) status = run.start();
    if (status.ok()) status = run.series();
    if (!status.ok()) return status.error();
    std::ranges::move(run.take(), std::back_inserter(measured));
  }
  return medians(measured);
}

}  // namespace weir::bench
