// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/hash_map_loop.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "topologies/bench/forked.h"
#include "topologies/bench/shared.h"
#include "topologies/bench/ticks.h"

namespace weir::bench {
namespace {

struct Taken {
  std::uint64_t records = 0;
  std::uint64_t started_ns = 0;
  std::uint64_t ended_ns = 0;
};

/// Finds totals by text without making a string of it.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
using FastTotals = std::unordered_map<std::string, std::uint64_t, TextHash, std::equal_to<>>;

void add(FastTotals& totals, std::string_view key, std::uint64_t number) {
  auto found = totals.find(key);
  if (found == totals.end()) found = totals.emplace(key, 0).first;
  found->second += number;
}

std::uint64_t count_words(std::string_view line, FastTotals& totals) {
  std::uint64_t words = 0;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(' '), line.size());
    add(totals, line.substr(0, end), 1);
    ++words;
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return words;
}

std::uint64_t add_record(std::string_view line, FastTotals& totals) {
  const std::size_t key_end = line.find(' ');
  std::uint64_t number = 0;
  std::from_chars(line.data() + key_end + 1, line.data() + line.size(), number);
  add(totals, line.substr(0, key_end), number);
  return 1;
}

bool work(const std::string& path, const std::string& totals_path,
          std::uint64_t (*take)(std::string_view line, FastTotals& totals), Taken& taken) {
  taken.started_ns = ticks_ns();
  std::ifstream file(path);
  if (!file) return false;
  FastTotals totals;
  for (std::string line; std::getline(file, line);) taken.records += take(line, totals);
  std::ofstream out(totals_path);
  for (const auto& [key, total] : totals) out << key << ' ' << total << '\n';
  out.close();
  taken.ended_ns = ticks_ns();
  return static_cast<bool>(out);
}

Result<Measurement> loop(const std::string& what, const std::string& path,
                         std::uint64_t (*take)(std::string_view line, FastTotals& totals), Totals& totals) {
  const std::string totals_path = path + ".totals";
  Shared<Taken> taken;
  Forked process;
  if (Status started = process.start("loop", [&] { return work(path, totals_path, take, *taken); }); !started.ok()) {
    return started.error();
  }
  auto uses = process.wait();
  if (!uses) return uses.error();
  auto found = read_totals(totals_path);
  if (!found) return found.error();
  totals = *std::move(found);
  return Measurement{.what = what,
                     .records = taken->records,
                     .bytes = std::filesystem::file_size(path),
                     .seconds = seconds_between(taken->started_ns, taken->ended_ns),
                     .cpu_seconds = total_cpu_seconds(*uses),
                     .processes = *std::move(uses)};
}

}  // namespace

Result<Totals> read_totals(const std::string& path) {
  Totals totals;
  std::ifstream file(path);
  std::string key;
  for (std::uint64_t total = 0; file >> key >> total;) totals.emplace(key, total);
  if (!file.eof() || totals.empty()) return {Code::kIo, fmt::format("{} holds no totals", path)};
  return totals;
}

Result<Measurement> loop_over_words(const std::string& path, Totals& totals) {
  return loop("wordcount, C++ loop", path, count_words, totals);
}

Result<Measurement> loop_over_records(const std::string& path, Totals& totals) {
  return loop("keyed_total, C++ loop", path, add_record, totals);
}

}  // namespace weir::bench
