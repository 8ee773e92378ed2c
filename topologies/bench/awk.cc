// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/awk.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "topologies/bench/forked.h"
#include "topologies/bench/ticks.h"

namespace weir::bench {
namespace {

Result<Measurement> awk(const std::string& what, const char* program, const std::string& path, std::uint64_t records,
                        Totals& totals) {
  const std::optional<std::string> awk = find_awk();
  if (!awk) return {Code::kNotFound, "there is no awk"};
  const std::string totals_path = path + ".totals";
  Forked process;
  const std::uint64_t start = ticks_ns();
  const Status started = process.start("awk", [&] {
    const int out = ::open(totals_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0 || ::dup2(out, 1) < 0) return false;
    ::execl(awk->c_str(), "awk", program, path.c_str(), nullptr);
    return false;
  });
  if (!started.ok()) return started.error();
  auto uses = process.wait();
  const std::uint64_t end = ticks_ns();
  if (!uses) return uses.error();
  auto found = read_totals(totals_path);
  if (!found) return found.error();
  totals = *std::move(found);
  return Measurement{.what = what,
                     .records = records,
                     .bytes = std::filesystem::file_size(path),
                     .seconds = seconds_between(start, end),
                     .cpu_seconds = total_cpu_seconds(*uses),
                     .processes = *std::move(uses)};
}

}  // namespace

std::optional<std::string> find_awk() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string program = folder + "/awk";
    if (!folder.empty() && ::access(program.c_str(), X_OK) == 0) return program;
  }
  return std::nullopt;
}

Result<Measurement> awk_over_words(const std::string& path, std::uint64_t records, Totals& totals) {
  return awk("wordcount, awk",
             "{ for (i = 1; i <= NF; ++i) ++n[$i] } END { for (k in n) printf \"%s %d\\n\", k, n[k] }", path, records,
             totals);
}

Result<Measurement> awk_over_records(const std::string& path, std::uint64_t records, Totals& totals) {
  return awk("keyed_total, awk", "{ n[$1] += $2 } END { for (k in n) printf \"%s %d\\n\", k, n[k] }", path, records,
             totals);
}

}  // namespace weir::bench
