// SPDX-License-Identifier: Apache-2.0
// A program outside: consumer WHERE STREAM GROUP [FILE]. Prints what it consumes with shard and offset. With FILE it
// keeps its positions there, in the same lines as its results, and goes on behind them: exactly once.
#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "weir/consumer.h"

namespace {

/// The whole lines of `path`, counted by shard; what a kill has cut off is taken away.
std::map<std::uint32_t, std::uint64_t> positions_in(const std::string& path) {
  std::map<std::uint32_t, std::uint64_t> positions;
  std::string kept;
  std::string line;
  std::ifstream file(path);
  while (std::getline(file, line) && !file.eof()) {
    unsigned shard = 0;
    unsigned long long offset = 0;
    const std::size_t at = line.find("\"shard\":");
    if (at == std::string::npos || std::sscanf(line.c_str() + at, "\"shard\":%u,\"offset\":%llu", &shard, &offset) != 2)
      continue;
    positions[shard] = offset + 1;
    kept += line + "\n";
  }
  file.close();
  std::ofstream(path, std::ios::trunc) << kept;
  return positions;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const bool keeps = argc > 4;
  weir::Consumer::Options options;
  options.silence = std::chrono::seconds(3);  // one that was killed is missed soon
  if (keeps) options.positions = positions_in(argv[4]);
  std::FILE* out = keeps ? std::fopen(argv[4], "a") : stdout;
  weir::Consumer consumer(argv[1], argv[2], argv[3], options);
  while (!consumer.ended()) {
    const weir::RecordView* record = consumer.poll(std::chrono::seconds(10));
    if (record == nullptr && !consumer.status().ok()) {
      std::fprintf(stderr, "%s\n", consumer.status().message().c_str());
      return 1;
    }
    if (record == nullptr) continue;
    std::fprintf(out, "{\"key\":%lld,\"value\":%lld,\"shard\":%u,\"offset\":%llu}\n",
                 static_cast<long long>(record->key<std::int64_t>()),
                 static_cast<long long>(record->value<std::int64_t>()), record->shard(),
                 static_cast<unsigned long long>(record->offset()));
    std::fflush(out);
    consumer.acknowledge(*record);
  }
  return consumer.close(std::chrono::seconds(10)) ? 0 : 1;
}
