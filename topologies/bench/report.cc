// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/report.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "topologies/bench/series.h"
#include "topologies/bench/topologies.h"

namespace weir::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMillion = 1e6;

double per_million(double seconds, std::uint64_t records) { return seconds / static_cast<double>(records) * kMillion; }

double megabytes_per_second(const Measurement& of) { return static_cast<double>(of.bytes) / of.seconds / kMillion; }

std::string machine() {
  utsname name{};
  ::uname(&name);
  return fmt::format("{}, {} cores, {} {}", name.machine, std::thread::hardware_concurrency(), name.sysname,
                     name.release);
}

std::string row(const Measurement& of) {
  std::string cpu;
  std::string memory;
  for (const ProcessUse& use : of.processes) {
    cpu += fmt::format(" {} {:.2f}", use.process, per_million(use.cpu_seconds, of.records));
    memory += fmt::format(" {} {:.0f}", use.process, static_cast<double>(use.peak_bytes) / (1 << 20));
  }
  return fmt::format("{:<33} {:>10.3f} {:>9.1f} {:>13} {:>7.2f}\n{:<33} CPU s:{}\n{:<33} peak MiB:{}\n", of.what,
                     of.records_per_second() / kMillion, megabytes_per_second(of),
                     of.of_bare_relay ? fmt::format("{:.3f}", *of.of_bare_relay) : "",
                     per_million(of.cpu_seconds, of.records), "", cpu, "", memory);
}

double milliseconds(std::uint64_t ns) { return static_cast<double>(ns) / kMillion; }

std::string latency_row(const Measurement& of) {
  const Latency& latency = *of.latency;
  std::string row =
      fmt::format("{:<33} {:>8.3f} {:>8.3f} {:>8.3f} {:>8.3f} {:>8.3f}",
                  of.durability ? "Weir, durability " + *of.durability : of.what, milliseconds(latency.p50_ns),
                  milliseconds(latency.p90_ns), milliseconds(latency.p99_ns), milliseconds(latency.p999_ns),
                  milliseconds(latency.most_ns));
  if (of.of_bare_path) row += fmt::format("  p50 {:.2f}, p99 {:.2f}", of.of_bare_path->first, of.of_bare_path->second);
  return row + "\n";
}

/// Records come at a rate: how many came says nothing.
std::string latency_table(const Plan& plan, const std::vector<Measurement>& measured) {
  std::string table;
  for (const Measurement& each : measured) {
    if (each.latency) table += latency_row(each);
  }
  if (table.empty()) return table;
  return fmt::format(
             "\nlatency in ms at {} records/s from the moment that each was due (source -> queue -> stage -> queue -> "
             "sink)\n"
             "{:<33} {:>8} {:>8} {:>8} {:>8} {:>8}  of bare ZeroMQ before it\n",
             plan.rate, "", "p50", "p90", "p99", "p99.9", "most") +
         table;
}

std::string start_table(const std::vector<Measurement>& measured) {
  std::string table;
  for (const Measurement& each : measured) {
    if (each.what != kStart) continue;
    table += fmt::format("Weir, durability {:<16} {:>13.3f} {:>13.3f}\n", *each.durability, *each.first_result_seconds,
                         *each.command_seconds);
  }
  if (table.empty()) return table;
  return fmt::format("\na sum of {} numbers, seconds from the command\n{:<33} {:>13} {:>13}\n", kSumTo, "",
                     "first result", "exit") +
         table;
}

/// What a thing costs, beside the first run of its series.
std::string series_table(const std::string& name, const std::vector<Measurement>& measured) {
  std::string table;
  double first = 0;
  for (const Measurement& each : measured) {
    if (each.what != name || !each.at) continue;
    const double cost = per_million(each.cpu_seconds, each.records);
    if (table.empty()) {
      first = cost;
      table = fmt::format("\n{}, durability {}\n{:<33} {:>10} {:>9} {:>8} {:>9}\n", name,
                          each.durability.value_or("none"), "", "million/s", "MB/s", "CPU s/M", "of first");
    }
    table += fmt::format("{:<33} {:>10.3f} {:>9.1f} {:>8.2f} {:>9.2f}\n", *each.at,
                         each.records_per_second() / kMillion, megabytes_per_second(each), cost, cost / first);
  }
  return table;
}

std::string heading(std::string_view what) {
  return fmt::format("\n{}\n{:<33} {:>10} {:>9} {:>13} {:>7}\n", what, "", "million/s", "MB/s", "of bare relay",
                     "CPU s/M");
}

/// Of the runs of one durability, or the baselines.
std::string throughput_table(std::string_view what, const std::vector<Measurement>& measured,
                             const std::optional<std::string>& durability) {
  std::string table;
  for (const Measurement& each : measured) {
    if (!each.latency && !each.at && each.what != kStart && each.durability == durability) table += row(each);
  }
  return table.empty() ? table : heading(what) + table;
}

}  // namespace

std::string to_table(const Plan& plan, const std::vector<Measurement>& measured) {
  std::string table = fmt::format(
      "{}\n{} records of {} bytes, {} keys. million/s: records from the first to the last; CPU s/M: CPU seconds for a\n"
      "million records, all processes. Each result was checked.\n",
      machine(), plan.records, plan.record_bytes, plan.keys);
  table += throughput_table("baselines, of which only the raw disk keeps anything", measured, std::nullopt);
  const std::string commits = plan.commit_after.empty() ? "" : ", commit_after " + plan.commit_after;
  for (const std::string& durability : plan.durabilities) {
    table += throughput_table("Weir, durability " + durability + commits, measured, durability);
  }
  table += latency_table(plan, measured);
  table += start_table(measured);
  for (const std::string& name : series_names()) table += series_table(name, measured);
  return table;
}

Json to_json(const Plan& plan, const std::vector<Measurement>& measured) {
  Json report = {{"machine", machine()},
                 {"records", plan.records},
                 {"record_bytes", plan.record_bytes},
                 {"keys", plan.keys},
                 {"commit_after", plan.commit_after.empty() ? Json() : Json(plan.commit_after)},
                 {"measured", Json::array()}};
  for (const Measurement& each : measured) {
    Json item = {{"what", each.what},
                 {"durability", each.durability ? Json(*each.durability) : Json()},
                 {"records", each.records},
                 {"seconds", each.seconds},
                 {"command_seconds", each.command_seconds ? Json(*each.command_seconds) : Json()},
                 {"first_result_seconds", each.first_result_seconds ? Json(*each.first_result_seconds) : Json()},
                 {"records_per_second", each.records_per_second()},
                 {"megabytes_per_second", megabytes_per_second(each)},
                 {"of_bare_relay", each.of_bare_relay ? Json(*each.of_bare_relay) : Json()},
                 {"cpu_seconds_per_million", per_million(each.cpu_seconds, each.records)},
                 {"processes", Json::object()}};
    if (each.at) item["at"] = *each.at;
    if (each.latency) {
      item["latency_ms"] = {{"p50", milliseconds(each.latency->p50_ns)},
                            {"p90", milliseconds(each.latency->p90_ns)},
                            {"p99", milliseconds(each.latency->p99_ns)},
                            {"p99.9", milliseconds(each.latency->p999_ns)},
                            {"most", milliseconds(each.latency->most_ns)}};
    }
    if (each.of_bare_path)
      item["of_bare_path"] = {{"p50", each.of_bare_path->first}, {"p99", each.of_bare_path->second}};
    for (const ProcessUse& use : each.processes) {
      item["processes"][use.process] = {{"cpu_seconds_per_million", per_million(use.cpu_seconds, each.records)},
                                        {"peak_bytes", use.peak_bytes}};
    }
    report["measured"].push_back(std::move(item));
  }
  return report;
}

}  // namespace weir::bench
