// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/topologies.h"

#include <fmt/format.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "sdk/base/check.h"

namespace weir::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kShards = 32;
constexpr int kChainStages = 8;
constexpr std::uint64_t kSpreadPorts = 16;  ///< of bench.spread

const Json kHashed = {{"partition", {{"by", "hash"}}}, {"shards", kShards}};
/// Chains, by what joins their stages.
const std::map<std::string, Json, std::less<>> kChains = {{"chain_fused", {{"transport", "fused"}}},
                                                          {"chain_queued", Json::object()},
                                                          {"chain_pushed", {{"transport", "push_pull"}}},
                                                          {"chain_sent", {{"transport", "send_receive"}}},
                                                          {"chain_published", {{"transport", "pub_sub"}}}};

Json records(const Workload& workload, const std::string& output) {
  return {{"plugin", "bench.records"},
          {"output", output},
          {"config",
           {{"records", workload.records}, {"keys", workload.keys}, {"pad", workload.pad}, {"started", kStartedFile}}}};
}

Json sink(const std::string& input) {
  return {{"plugin", "bench.sink"}, {"input", input}, {"config", {{"report", kReportFile}}}};
}

Json stage(const std::string& plugin, const std::string& input, const std::string& output, Json config = nullptr) {
  Json stage = {{"plugin", plugin}, {"input", input}, {"output", output}};
  if (!config.is_null()) stage["config"] = std::move(config);
  return stage;
}

Json topology(const std::string& name, Json streams, Json stages) {
  return {{"name", name}, {"http", nullptr}, {"streams", std::move(streams)}, {"stages", std::move(stages)}};
}

Json relay(const Workload& workload) {
  return topology("relay", {{"records", Json::object()}},
                  {{"source", records(workload, "records")}, {"sink", sink("records")}});
}

Json keyed(const std::string& name, const Workload& workload, const std::string& emit) {
  return topology(name, {{"records", kHashed}, {"totals", Json::object()}},
                  {{"source", records(workload, "records")},
                   {"sum", stage("keyed.sum", "records", "totals", {{"field", "/n"}, {"emit", emit}})},
                   {"sink", sink("totals")}});
}

Json wordcount() {
  return topology(
      "wordcount", {{"lines", Json::object()}, {"words", kHashed}, {"counts", Json::object()}},
      {{"source",
        {{"plugin", "bench.lines"}, {"output", "lines"}, {"config", {{"path", kTextFile}, {"started", kStartedFile}}}}},
       {"split", stage("text.words", "lines", "words")},
       {"count", stage("keyed.count", "words", "counts", {{"emit", "final"}})},
       {"sink", sink("counts")}});
}

/// Stages that do nothing one behind the other, between two queues; `between` is what joins them.
Json chain(const std::string& name, const Workload& workload, const Json& between) {
  Json streams = {{"records", Json::object()}};
  Json stages = {{"source", records(workload, "records")}};
  std::string input = "records";
  for (int i = 1; i <= kChainStages; ++i) {
    const std::string output = i == kChainStages ? "passed" : fmt::format("passed{}", i);
    streams[output] = i == kChainStages ? Json::object() : between;
    stages[fmt::format("pass{}", i)] = stage("bench.pass", input, output);
    input = output;
  }
  stages["sink"] = sink(input);
  return topology(name, std::move(streams), std::move(stages));
}

Json make_named(const std::string& name, const Workload& workload) {
  if (name == "relay") return relay(workload);
  if (name == "keyed_total") return keyed(name, workload, "final");
  if (name == "keyed_running_total") return keyed(name, workload, "every");
  if (name == "wordcount") return wordcount();
  const auto found = kChains.find(name);
  WEIR_CHECK(found != kChains.end(), "the name of a topology was checked by the command line");
  return chain(name, workload, found->second);
}

}  // namespace

const std::vector<std::string>& topology_names() {
  static const std::vector<std::string> kNames = {"relay",        "keyed_total", "keyed_running_total",
                                                  "wordcount",    "chain_fused", "chain_queued",
                                                  "chain_pushed", "chain_sent",  "chain_published"};
  return kNames;
}

Json make_topology(const std::string& name, const Workload& workload, const std::string& commit_after) {
  Json made = make_named(name, workload);
  if (commit_after.empty()) return made;
  for (const auto& stage : made["stages"].items()) stage.value()["commit_after"] = commit_after;
  return made;
}

Json make_sum_topology() {
  return topology(kStart, {{"numbers", kHashed}, {"sums", Json::object()}},
                  {{"numbers",
                    {{"plugin", "generate.sequence"},
                     {"output", "numbers"},
                     {"config", {{"from", 1}, {"to", kSumTo}, {"key_modulo", kSumTo}}}}},
                   {"sum", stage("keyed.sum", "numbers", "sums")},
                   {"sink", sink("sums")}});
}

Json make_spread_topology(const Workload& workload, std::uint64_t streams) {
  Json source = records(workload, "");
  source["plugin"] = "bench.spread";
  source.erase("output");
  Json queues = Json::object();
  Json inputs = Json::array();
  for (std::uint64_t i = 0; i < kSpreadPorts; ++i) {
    const std::string stream = fmt::format("records{}", i % streams);
    source["outputs"][fmt::format("out{}", i)] = stream;
    if (i >= streams) continue;
    queues[stream] = Json::object();
    inputs.push_back(stream);
  }
  Json stages = {{"source", std::move(source)}, {"sink", sink("")}};
  stages["sink"]["input"] = inputs;
  return topology("spread", std::move(queues), std::move(stages));
}

Json make_parallel_topology(const Workload& workload, std::uint64_t streams) {
  Json queues = Json::object();
  Json stages = Json::object();
  Json inputs = Json::array();
  for (std::uint64_t i = 1; i <= streams; ++i) {
    const std::string stream = fmt::format("records{}", i);
    queues[stream] = Json::object();
    inputs.push_back(stream);
    stages[fmt::format("source{}", i)] = records(workload, stream);
  }
  stages["sink"] = sink("");
  stages["sink"]["input"] = inputs;
  return topology("parallel", std::move(queues), std::move(stages));
}

Json make_stateless_stage() { return stage("bench.number", "records", "totals"); }

Json make_latency_topology(const Workload& workload, double rate) {
  Json made = topology(kLatency, {{"records", Json::object()}, {"passed", Json::object()}},
                       {{"source", records(workload, "records")},
                        {"pass", stage("bench.pass", "records", "passed")},
                        {"sink", sink("passed")}});
  made["stages"]["source"]["config"]["rate"] = rate;
  made["stages"]["sink"]["config"]["latencies"] = kLatenciesFile;
  return made;
}

}  // namespace weir::bench
