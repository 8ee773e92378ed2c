// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/report.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <nlohmann/json.hpp>
#include <thread>

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

std::string heading(std::string_view what) {
  return fmt::format("\n{}\n{:<33} {:>10} {:>9} {:>13} {:>7}\n", what, "", "million/s", "MB/s", "of bare relay",
                     "CPU s/M");
}

}  // namespace

std::string to_table(const Plan& plan, const std::vector<Measurement>& measured) {
  std::string table = fmt::format(
      "{}\n{} records of {} bytes, {} keys. million/s: records from the first to the last; CPU s/M: CPU seconds for a\n"
      "million records, all processes. Each result was checked.\n",
      machine(), plan.records, plan.record_bytes, plan.keys);
  table += heading("baselines, nothing durable");
  for (const Measurement& each : measured) {
    if (!each.durability) table += row(each);
  }
  for (const std::string& durability : plan.durabilities) {
    table += heading("Weir, durability " + durability);
    for (const Measurement& each : measured) {
      if (each.durability == durability) table += row(each);
    }
  }
  return table;
}

Json to_json(const Plan& plan, const std::vector<Measurement>& measured) {
  Json report = {{"machine", machine()},
                 {"records", plan.records},
                 {"record_bytes", plan.record_bytes},
                 {"keys", plan.keys},
                 {"measured", Json::array()}};
  for (const Measurement& each : measured) {
    Json item = {{"what", each.what},
                 {"durability", each.durability ? Json(*each.durability) : Json()},
                 {"records", each.records},
                 {"seconds", each.seconds},
                 {"command_seconds", each.command_seconds ? Json(*each.command_seconds) : Json()},
                 {"records_per_second", each.records_per_second()},
                 {"megabytes_per_second", megabytes_per_second(each)},
                 {"of_bare_relay", each.of_bare_relay ? Json(*each.of_bare_relay) : Json()},
                 {"cpu_seconds_per_million", per_million(each.cpu_seconds, each.records)},
                 {"processes", Json::object()}};
    for (const ProcessUse& use : each.processes) {
      item["processes"][use.process] = {{"cpu_seconds_per_million", per_million(use.cpu_seconds, each.records)},
                                        {"peak_bytes", use.peak_bytes}};
    }
    report["measured"].push_back(std::move(item));
  }
  return report;
}

}  // namespace weir::bench
