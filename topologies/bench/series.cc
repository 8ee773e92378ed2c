// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/series.h"

#include <fmt/format.h>

#include <algorithm>

#include "sdk/base/check.h"
#include "topologies/bench/expectation.h"
#include "topologies/bench/topologies.h"

namespace weir::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kRunningTotal = "keyed_running_total";

Point point(std::string at, std::string durability, const Workload& workload, Json topology,
            std::function<Digest()> expected) {
  return {.at = std::move(at),
          .durability = std::move(durability),
          .topology = std::move(topology),
          .records = workload.records,
          .bytes = workload.records * workload.record_bytes(),
          .expected = std::move(expected)};
}

Point running_total(std::string at, std::string durability, const Workload& workload) {
  return point(std::move(at), std::move(durability), workload, make_topology(kRunningTotal, workload),
               [workload] { return expect_running_totals(workload); });
}

/// As many bytes each time, so that a record's cost is told from a byte's.
Series by_record_bytes(const Plan& plan) {
  Series series{"curve_record_bytes", {}};
  for (const std::size_t bytes : {64, 256, 1024, 4096, 16384, 65536}) {
    const std::uint64_t records = std::max<std::uint64_t>(plan.records * plan.record_bytes / bytes, 1);
    const Workload workload = Workload::of_size(records, plan.keys, bytes);
    series.points.push_back(point(std::to_string(bytes), plan.durabilities.front(), workload,
                                  make_topology("relay", workload), [workload] { return expect_records(workload); }));
  }
  return series;
}

Series by_shards(const Plan& plan) {
  Series series{"curve_shards", {}};
  const Workload workload = Workload::of_size(plan.records, plan.keys, plan.record_bytes);
  for (const int shards : {1, 4, 16, 64, 256, 1024}) {
    series.points.push_back(running_total(std::to_string(shards), plan.durabilities.front(), workload));
    series.points.back().topology["streams"]["records"]["shards"] = shards;
  }
  return series;
}

/// The same records through so many queues side by side, from one source into one sink: nothing but streams differs.
Series by_streams(const Plan& plan) {
  Series series{"curve_streams", {}};
  const Workload workload = Workload::of_size(plan.records, plan.keys, plan.record_bytes);
  for (const std::uint64_t streams : {1, 2, 4, 8, 16}) {
    series.points.push_back(point(std::to_string(streams), plan.durabilities.front(), workload,
                                  make_spread_topology(workload, streams),
                                  [workload] { return expect_records(workload); }));
  }
  return series;
}

/// As many records from so many sources, each with a queue and a process of its own, into one sink.
Series by_sources(const Plan& plan) {
  Series series{"curve_sources", {}};
  for (const std::uint64_t streams : {1, 2, 4, 8, 16}) {
    const Workload part =
        Workload::of_size(std::max<std::uint64_t>(plan.records / streams, 1), plan.keys, plan.record_bytes);
    series.points.push_back(point(std::to_string(streams), plan.durabilities.front(), part,
                                  make_parallel_topology(part, streams), [part, streams] {
                                    const Digest each = expect_records(part);
                                    return Digest{each.records * streams, each.sum * streams};
                                  }));
    series.points.back().records *= streams;
    series.points.back().bytes *= streams;
  }
  return series;
}

Series by_keys(const Plan& plan) {
  Series series{"curve_keys", {}};
  for (const std::uint64_t keys : {1'000, 10'000, 100'000, 1'000'000, 10'000'000}) {
    series.points.push_back(running_total(std::to_string(keys), plan.durabilities.front(),
                                          Workload::of_size(plan.records, keys, plan.record_bytes)));
  }
  return series;
}

/// Everything, then each of it switched off in turn.
Series prices(const Plan& plan) {
  const Workload workload = Workload::of_size(plan.records, plan.keys, plan.record_bytes);
  const auto with_metrics = [&](std::string at, std::string durability) {
    Point made = running_total(std::move(at), std::move(durability), workload);
    made.topology["http"] = {{"listen", "127.0.0.1:0"}};
    made.scraped = true;
    return made;
  };
  Series series{"prices", {with_metrics("all", "fsync"), with_metrics("without fsync", "none")}};
  series.points.push_back(with_metrics("without state", "fsync"));
  series.points.back().topology["stages"]["sum"] = make_stateless_stage();
  series.points.back().expected = [workload] { return expect_numbers(workload); };
  series.points.push_back(running_total("without metrics", "fsync", workload));
  return series;
}

}  // namespace

const std::vector<std::string>& series_names() {
  static const std::vector<std::string> kNames = {"curve_record_bytes", "curve_shards", "curve_streams",
                                                  "curve_sources",      "curve_keys",   "prices"};
  return kNames;
}

Series make_series(const std::string& name, const Plan& plan) {
  if (name == "curve_record_bytes") return by_record_bytes(plan);
  if (name == "curve_shards") return by_shards(plan);
  if (name == "curve_streams") return by_streams(plan);
  if (name == "curve_sources") return by_sources(plan);
  if (name == "curve_keys") return by_keys(plan);
  WEIR_CHECK(name == "prices", "the name of a series was checked by the command line");
  return prices(plan);
}

}  // namespace weir::bench
