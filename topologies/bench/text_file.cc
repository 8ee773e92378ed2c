// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/text_file.h"

#include <fmt/format.h>

#include <fstream>
#include <random>
#include <vector>

namespace weir::bench {
namespace {

constexpr std::size_t kWords = 20'000;
constexpr int kWordsInLine = 12;

std::vector<std::string> make_vocabulary(std::mt19937_64& chance) {
  std::vector<std::string> words(kWords);
  for (std::string& word : words) {
    for (std::uint64_t letters = 2 + chance() % 8; letters > 0; --letters)
      word += static_cast<char>('a' + chance() % 26);
  }
  return words;
}

Status written(std::ofstream& file, const std::string& path) {
  file.close();
  if (!file) return {Code::kIo, fmt::format("{} cannot be written; is the disk full?", path)};
  return {};
}

}  // namespace

Result<std::uint64_t> write_words(const std::string& path, std::uint64_t bytes) {
  std::mt19937_64 chance(1);
  const std::vector<std::string> vocabulary = make_vocabulary(chance);
  std::ofstream file(path, std::ios::binary);
  std::uint64_t size = 0;
  for (std::string line; size < bytes; size += line.size()) {
    line.clear();
    for (int i = 0; i < kWordsInLine; ++i) {
      if (i != 0) line += ' ';
      line += vocabulary[chance() % kWords];
    }
    line += '\n';
    file << line;
  }
  if (Status status = written(file, path); !status.ok()) return status.error();
  return size;
}

Status write_records(const std::string& path, const Workload& workload) {
  std::ofstream file(path, std::ios::binary);
  const std::size_t line_bytes = workload.record_bytes();
  for (std::uint64_t i = 0; i < workload.records; ++i) {
    std::string line = fmt::format("{} {} ", key_text(workload.key_of(i)), Workload::number_of(i));
    line.resize(line_bytes - 1, 'x');
    line += '\n';
    file << line;
  }
  return written(file, path);
}

}  // namespace weir::bench
