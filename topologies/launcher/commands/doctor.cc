// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "sdk/topology/weir_dir.h"
#include "topologies/launcher/commands/command_line.h"
#include "topologies/launcher/data_dir.h"
#include "topologies/launcher/describe.h"
#include "topologies/launcher/programs.h"
#include "topologies/launcher/runtime_dir.h"
#include "topologies/launcher/sync_probe.h"

namespace weir::launcher {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
/// Two default segments and the reserve.
constexpr std::uint64_t kFreeBytesMin = 256 * kMiB;
constexpr std::uint64_t kFreeBytesComfortable = 1024 * kMiB;
/// Of sockaddr_un, less the names that sockets get.
constexpr std::size_t kIpcFolderMax = 107 - 12;
constexpr rlim_t kDescriptorsMin = 256;
/// Recycling is worth it where a growing file costs this much more.
constexpr double kRecyclingRatioMin = 1.2;

enum class Verdict { kGood, kWarning, kBad };

struct Finding {
  Verdict verdict;
  std::string check;
  std::string text;
};

struct Examination {
  std::string folder;
  std::vector<Finding> findings;
  SyncCost sync;

  void add(Verdict verdict, std::string check, std::string text) {
    findings.push_back({verdict, std::move(check), std::move(text)});
  }
};

void check_programs(const Programs& programs, Examination& result) {
  for (const std::string& program : {programs.broker, programs.stage}) {
    const bool runs = ::access(program.c_str(), X_OK) == 0;
    result.add(runs ? Verdict::kGood : Verdict::kBad, "program",
               runs ? program : fmt::format("{}: {}; it must lie beside weir", program, ::strerror(errno)));
  }
  std::size_t plugins = 0;
  const std::vector<Described> libraries = describe(programs.stage, programs.libraries(process_environment()));
  for (const Described& library : libraries) {
    if (library.plugins)
      plugins += library.plugins->size();
    else
      result.add(Verdict::kWarning, "library", library.plugins.error().message);
  }
  result.add(
      plugins != 0 ? Verdict::kGood : Verdict::kBad, "libraries",
      fmt::format("{} plugins in {} stage libraries{}", plugins, libraries.size(),
                  plugins != 0 ? "" : fmt::format("; the standard ones belong into {}", programs.stage_library)));
}

/// What `weir run --data DATA_DIR` would refuse to begin in; `named`: the directory itself is meant, and not the folder
/// of all that run unasked.
void check_data_dir(const std::string& data_dir, bool named, Examination& result) {
  std::error_code ignored;  // what cannot be looked at check_sync finds
  std::filesystem::path there = data_dir;
  while (!std::filesystem::exists(there, ignored) && there.has_relative_path()) there = there.parent_path();
  const auto bad = [&](const std::string& what) { result.add(Verdict::kBad, "data directory", what); };
  if (!std::filesystem::is_directory(there, ignored))
    return bad(fmt::format("{} is no directory; give --data another place", there.string()));
  if (!named || there != data_dir) return;
  if (is_weir_dir(data_dir)) {
    if (!is_weirs(data_dir))
      bad(fmt::format("{}/weir.json is damaged, or not Weir's; `weir run` says what to do", data_dir));
  } else if (const std::string foreign = foreign_entry(data_dir); !foreign.empty()) {
    bad(fmt::format("{} holds \"{}\" and no weir.json: {}", data_dir, foreign,
                    foreign == "journal" ? "it has lost that; `weir run` says what to do"
                                         : "it is not a data directory of Weir; give --data another one"));
  }
}

void check_space(Examination& result) {
  struct statvfs space {};
  if (::statvfs(result.folder.c_str(), &space) != 0) {
    result.add(Verdict::kBad, "space", fmt::format("{}: {}", result.folder, ::strerror(errno)));
    return;
  }
  const std::uint64_t bytes = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
  const Verdict verdict = bytes < kFreeBytesMin           ? Verdict::kBad
                          : bytes < kFreeBytesComfortable ? Verdict::kWarning
                                                          : Verdict::kGood;
  result.add(verdict, "space",
             fmt::format("{} MiB free in {}{}", bytes / kMiB, result.folder,
                         verdict == Verdict::kGood ? "" : "; a journal wants 1 GiB or more"));
}

void check_sync(Examination& result) {
  const Result<SyncCost> cost = measure_sync(result.folder);
  if (!cost) {
    result.add(Verdict::kBad, "sync", cost.error().message + "; give --data a directory that you may write to");
    return;
  }
  result.sync = *cost;
  const bool pays = cost->growing_ms >= cost->overwriting_ms * kRecyclingRatioMin;
  result.add(
      Verdict::kGood, "sync",
      fmt::format("64 KiB with fdatasync: {:.2f} ms overwriting, {:.2f} ms growing a file{}", cost->overwriting_ms,
                  cost->growing_ms, pays ? "" : "; recycling segments brings nothing on this disk, and costs nothing"));
}

void check_system(const std::string& data_dir, Examination& result) {
  if (data_dir.size() > kIpcFolderMax) {
    result.add(Verdict::kWarning, "sockets",
               fmt::format("{} is too long for sockets; they will lie in $XDG_RUNTIME_DIR or /tmp", data_dir));
  }
  const Result<RuntimeDir> runtime = RuntimeDir::make();
  result.add(runtime ? Verdict::kGood : Verdict::kBad, "runtime directory",
             runtime ? "can be made" : runtime.error().message);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    result.add(limit.rlim_cur < kDescriptorsMin ? Verdict::kWarning : Verdict::kGood, "open files",
               fmt::format("{} permitted", limit.rlim_cur));
  }
}

int doctor(const std::string& data_dir, bool json) {
  const std::string wanted = absolute_data_dir(data_dir.empty() ? ".weir" : data_dir);
  std::filesystem::path folder = wanted;
  std::error_code ignored;  // the nearest folder that exists lies on the disk that is meant
  while (!std::filesystem::is_directory(folder, ignored) && folder.has_relative_path()) folder = folder.parent_path();
  Examination result{.folder = folder, .findings = {}, .sync = {}};
  check_programs(Programs::beside_self(), result);
  check_data_dir(wanted, !data_dir.empty(), result);
  check_space(result);
  check_sync(result);
  check_system(wanted, result);

  const bool can_run =
      std::ranges::none_of(result.findings, [](const Finding& f) { return f.verdict == Verdict::kBad; });
  if (json) {
    nlohmann::ordered_json report = {{"ok", can_run}, {"checks", nlohmann::ordered_json::array()}};
    for (const Finding& finding : result.findings) {
      report["checks"].push_back({{"check", finding.check},
                                  {"verdict", finding.verdict == Verdict::kGood      ? "good"
                                              : finding.verdict == Verdict::kWarning ? "warning"
                                                                                     : "bad"},
                                  {"text", finding.text}});
    }
    report["sync_overwriting_ms"] = result.sync.overwriting_ms;
    report["sync_growing_ms"] = result.sync.growing_ms;
    fmt::print("{}\n", report.dump(2));
  } else {
    for (const Finding& finding : result.findings) {
      fmt::print("{:<8} {}: {}\n",
                 finding.verdict == Verdict::kGood      ? "ok"
                 : finding.verdict == Verdict::kWarning ? "warning"
                                                        : "BAD",
                 finding.check, finding.text);
    }
    fmt::print("{}\n", can_run ? "Weir can run here" : "Weir cannot run here");
  }
  return can_run ? kExitDone : kExitFailed;
}

}  // namespace

void add_doctor(CLI::App& app, CommandLine& line) {
  struct Arguments {
    std::string data_dir;
    bool json = false;
  };
  auto arguments = std::make_shared<Arguments>();  // shared by the parser's callback and what it chooses
  CLI::App* command =
      app.add_subcommand("doctor", "Says whether Weir can run here, and what a commit costs on the disk");
  command->add_option("--data", arguments->data_dir, "where the data is to lie (default: ./.weir)");
  command->add_flag("--json", arguments->json,
                    "print {ok, checks: [{check, verdict, text}], sync_overwriting_ms, sync_growing_ms}");
  command->callback(
      [arguments, &line] { line.run = [arguments] { return doctor(arguments->data_dir, arguments->json); }; });
}

}  // namespace weir::launcher
