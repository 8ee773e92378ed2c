// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/command.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "sdk/base/units.h"
#include "topologies/bench/bench.h"
#include "topologies/bench/report.h"
#include "topologies/bench/series.h"
#include "topologies/bench/topologies.h"
#include "topologies/bench/workload.h"

namespace weir::bench {
namespace {

/// What is measured unasked.
std::vector<std::string> usual_names() {
  std::vector<std::string> names = topology_names();
  names.emplace_back(kLatency);
  names.emplace_back(kStart);
  return names;
}

std::vector<std::string> all_names() {
  std::vector<std::string> names = usual_names();
  names.insert(names.end(), series_names().begin(), series_names().end());
  return names;
}

struct Arguments {
  Plan plan{.topologies = usual_names(),
            .durabilities = {"fsync", "interval", "none"},
            .records = 5'000'000,
            .keys = 100'000,
            .record_bytes = 100,
            .rate = 10'000,
            .seconds = 10,
            .commit_after = {},
            .folder = "."};
  bool json = false;
};

int bench(const Arguments& arguments) {
  const auto measured =
      measure(arguments.plan, [](std::string_view next) { fmt::print(stderr, "measuring {}\n", next); });
  if (!measured) return launcher::refuse(measured.error().message, launcher::kExitFailed);
  if (arguments.json) {
    fmt::print("{}\n", to_json(arguments.plan, *measured).dump(2));
  } else {
    fmt::print("{}", to_table(arguments.plan, *measured));
  }
  return launcher::kExitDone;
}

}  // namespace

void add_bench(CLI::App& app, launcher::CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();  // shared by the parser's callback and what it chooses
  Plan& plan = arguments->plan;
  CLI::App* command = app.add_subcommand("bench", "Measures topologies beside what one would pick instead");
  command
      ->add_option(
          "TOPOLOGY", plan.topologies,
          fmt::format("{} (these by default), {}", fmt::join(usual_names(), ", "), fmt::join(series_names(), ", ")))
      ->check(CLI::IsMember(all_names()));
  command->add_option("--durability", plan.durabilities, "fsync, interval, none, or several with commas (default: all)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"fsync", "interval", "none"}));
  command->add_option("--records", plan.records, "how many go through each topology (5000000)")
      ->check(CLI::PositiveNumber);
  command->add_option("--keys", plan.keys, "of so many keys (100000)")->check(CLI::Range(1, 10'000'000));
  command->add_option("--record-bytes", plan.record_bytes, "what a record takes in a batch (100)")
      ->check(CLI::Range(kRecordBytesMin, std::size_t{1} << 20));
  command->add_option("--rate", plan.rate, "records a second where latency is measured (10000)")
      ->check(CLI::PositiveNumber);
  command->add_option("--seconds", plan.seconds, "for so long (10)")->check(CLI::PositiveNumber);
  command
      ->add_option("--commit-after", plan.commit_after,
                   "of all stages of topologies that are not curves: how long a transaction may take (50ms)")
      ->check([](const std::string& text) {
        const auto time = parse_duration(text);
        return time ? std::string() : time.error().message;
      });
  command->add_option("--rounds", plan.rounds, "measures all so often in turn, and tells the median (1)")
      ->check(CLI::PositiveNumber);
  command->add_option("--data", plan.folder, "a folder on the disk that is meant (default: the working directory)");
  command->add_flag("--json", arguments->json, "print one JSON object");
  command->callback([arguments, &line] { line.run = [arguments] { return bench(*arguments); }; });
}

}  // namespace weir::bench
