// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/topology_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "sdk/base/clock.h"
#include "topologies/bench/process_watch.h"
#include "topologies/bench/scraper.h"
#include "topologies/bench/ticks.h"
#include "topologies/bench/topologies.h"
#include "topologies/launcher/child_process.h"
#include "topologies/launcher/programs.h"

namespace weir::bench {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// How often it is looked what processes use. With few records one lives only a little longer than the longest, so that
/// it grows with the time that it took until then.
constexpr auto kLookLeast = 1ms;
constexpr auto kLookMost = 10ms;
constexpr int kLookPart = 20;

double cpu_seconds_of_ended_children() {
  rusage use{};
  ::getrusage(RUSAGE_CHILDREN, &use);
  return static_cast<double>(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
         static_cast<double>(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

/// What a stage of stages/bench left. Errors: kIo.
Result<nlohmann::json> read_object(const fs::path& path) {
  std::ifstream file(path);
  nlohmann::json object = nlohmann::json::parse(file, nullptr, false);
  if (!object.is_object()) return {Code::kIo, fmt::format("{} is missing or broken", path.string())};
  return object;
}

/// The end of what a program said, for a sentence that explains its failure.
std::string last_words(const fs::path& log) {
  std::ifstream file(log);
  std::ostringstream all;
  all << file.rdbuf();
  constexpr std::size_t kWordsMax = 2000;
  const std::string text = all.str();
  return text.size() <= kWordsMax ? text : text.substr(text.size() - kWordsMax);
}

struct Ended {
  std::uint64_t command_ns = 0;
  double command_seconds = 0;
  double cpu_seconds = 0;
  std::vector<ProcessUse> processes;
};

/// weir, the broker, and a worker for each stage that is not fused to another one.
std::size_t processes_of(const nlohmann::ordered_json& topology) {
  const auto is_fused = [&](const nlohmann::ordered_json& stage) {
    if (!stage.contains("input") || !stage["input"].is_string()) return false;
    const auto& stream = topology["streams"][stage["input"].get<std::string>()];
    return stream.contains("transport") && stream["transport"] == "fused";
  };
  const auto& stages = topology["stages"];
  return 2 + stages.size() - static_cast<std::size_t>(std::count_if(stages.begin(), stages.end(), is_fused));
}

/// Runs `topology_file`, which makes so many processes, to its end. Errors: kIo.
Result<Ended> run_to_end(const fs::path& topology_file, const fs::path& data_dir, std::size_t processes,
                         const TopologyRun& run) {
  const fs::path log = topology_file.parent_path() / "weir.log";
  const launcher::Fd log_fd(::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const double cpu_before = cpu_seconds_of_ended_children();
  const std::uint64_t start = ticks_ns();
  auto child = launcher::ChildProcess::start(
      {.argv = {launcher::Programs::beside_self().prefix + "/bin/weir", "run", topology_file, "--data", data_dir},
       .stdout_fd = -1,
       .stderr_fd = log_fd.get(),
       .kept_fd = -1});
  if (!child) return child.error();
  ProcessWatch watch(child->pid());
  Scraper scraper(data_dir);
  for (;;) {
    watch.look();
    if (run.scraped) scraper.look();
    const auto ending = child->reap();
    if (ending && (ending->signalled || ending->number != 0)) {
      return {Code::kIo, fmt::format("weir run ended with {}:\n{}", ending->text(), last_words(log))};
    }
    const double seconds = seconds_between(start, ticks_ns());
    if (ending && run.scraped && scraper.scraped() == 0) return {Code::kIo, "its metrics could not be read"};
    if (ending) return Ended{start, seconds, cpu_seconds_of_ended_children() - cpu_before, watch.uses()};
    if (seconds > static_cast<double>(run.time_max.count())) {
      return {Code::kIo, fmt::format("weir run takes longer than {} s:\n{}", run.time_max.count(), last_words(log))};
    }
    const auto part = std::chrono::nanoseconds(ticks_ns() - start) / kLookPart;
    const bool all_seen = watch.seen() >= processes;
    std::this_thread::sleep_for(
        std::clamp<std::chrono::nanoseconds>(all_seen ? part : kLookLeast, kLookLeast, kLookMost));
  }
}

}  // namespace

Result<Measurement> TopologyRun::run(const nlohmann::ordered_json& topology) const {
  const fs::path place = folder;
  std::error_code error;
  for (const char* left : {kStartedFile, kReportFile, kLatenciesFile, "data"}) fs::remove_all(place / left, error);
  nlohmann::ordered_json whole = topology;
  whole["libraries"] = {launcher::Programs::beside_self().stage_library + "/bench/bench.so"};
  whole["broker"]["durability"] = durability;
  std::ofstream file(place / "topology.json");
  file << whole.dump(2) << '\n';
  file.close();
  if (!file) return {Code::kIo, fmt::format("{} cannot be written; is the disk full?", folder)};

  auto ended = run_to_end(place / "topology.json", place / "data", processes_of(whole), *this);
  fs::remove_all(place / "data", error);
  if (!ended) return ended.error();
  const auto report = read_object(place / kReportFile);
  if (!report) return report.error();
  const Digest found{report->at("records").get<std::uint64_t>(), report->at("digest").get<std::uint64_t>()};
  const std::string name = whole.at("name").get<std::string>();
  // A standard source tells no moment; its records are counted from the command.
  const auto started = fs::exists(place / kStartedFile) ? read_object(place / kStartedFile)
                                                        : nlohmann::json{{"started_ns", ended->command_ns}};
  if (!started) return started.error();
  const auto started_ns = started->at("started_ns").get<std::uint64_t>();
  const Digest right = expected(started_ns);
  if (found.records != right.records) {
    return {Code::kCorrupt,
            fmt::format("{}: the sink got {} records instead of {}", name, found.records, right.records)};
  }
  if (found != right) {
    return {Code::kCorrupt, fmt::format("{}: the sink got {} records, but others than expected", name, found.records)};
  }
  return Measurement{
      .what = name,
      .durability = durability,
      .records = records,
      .bytes = bytes,
      .seconds = seconds_between(started_ns, report->at("last_ns").get<std::uint64_t>()),
      .command_seconds = ended->command_seconds,
      .first_result_seconds = seconds_between(ended->command_ns, report->at("first_ns").get<std::uint64_t>()),
      .cpu_seconds = ended->cpu_seconds,
      .processes = std::move(ended->processes)};
}

}  // namespace weir::bench
