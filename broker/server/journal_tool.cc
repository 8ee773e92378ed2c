// SPDX-License-Identifier: Apache-2.0
#include "broker/server/journal_tool.h"

#include <fmt/format.h>

#include <cstdio>

#include "broker/server/journal_check.h"
#include "broker/server/journal_dump.h"
#include "broker/server/journal_salvage.h"

namespace weir::server {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

int refuse(const Error& error) {
  fmt::print(stderr, "weir: error: {}\n", error.message);
  return error.code == Code::kInvalid ? kUsage : kFailed;
}

int check(const JournalToolOptions& options, RestingDir& directory) {
  const auto verdict = check_journal(directory);
  if (!verdict.ok()) return refuse(verdict.error());
  fmt::print("{}", options.json ? to_json(*verdict, directory) : to_text(*verdict, directory));
  return verdict->damage().empty() ? kDone : kFailed;
}

int salvage(const JournalToolOptions& options, RestingDir& directory) {
  const auto report = salvage_journal(directory, options.to);
  if (!report.ok()) return refuse(report.error());
  fmt::print("{}", options.json ? to_json(*report, directory.path(), options.to)
                                : to_text(*report, directory.path(), options.to));
  return kDone;
}

}  // namespace

int run_journal_tool(const JournalToolOptions& options) {
  auto directory = RestingDir::open(options.data_dir);
  if (!directory.ok()) return refuse(directory.error());
  if (options.what == "check") return check(options, *directory);
  if (options.what == "dump") {
    if (const Status known = directory->find_journal(); !known.ok()) return refuse(known.error());
    const Status dumped = dump_journal(*directory, {options.json, options.from, options.count});
    return dumped.ok() ? kDone : refuse(dumped.error());
  }
  if (options.what == "salvage") return salvage(options, *directory);
  return refuse({Code::kInvalid, fmt::format("--journal \"{}\": check, dump or salvage", options.what)});
}

}  // namespace weir::server
