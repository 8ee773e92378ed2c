// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

#include "topologies/launcher/commands/command_line.h"
#include "topologies/launcher/data_dir.h"
#include "topologies/launcher/line_reader.h"
#include "topologies/launcher/record_json.h"
#include "weir/producer.h"

namespace weir::launcher {
namespace {

constexpr std::size_t kLineBytesMax = 64 << 20;
/// No JSON takes more for a byte of MessagePack, unless it is blanks or digits without end: `false, ` takes seven.
constexpr std::size_t kTextBytesAByte = 8;
constexpr std::size_t kTextBytesMore = 4096;
/// Patience for acknowledgements of what was read; a full stream may take its time.
constexpr std::chrono::hours kFlushMax{24};

struct Arguments {
  std::string stream;
  std::string file;
  std::string data_dir;
  std::string name;
  bool end = false;
};

/// Publishes standard input line by line. With a name a record's number is that of its line, so that a second run of
/// the same input is recognised, and one with more lines goes on where the first had ended.
class Feeder {
 public:
  explicit Feeder(Producer& producer)
      : producer_(producer),
        line_bytes_max_(std::min(kLineBytesMax, kTextBytesAByte * producer.record_bytes_max() + kTextBytesMore)) {}

  [[nodiscard]] std::size_t line_bytes_max() const { return line_bytes_max_; }

  void take(std::string_view line) {
    ++lines_;
    if (!problem_.empty()) return;
    // Before anything reads it: a line that is no record costs its length, and nothing more.
    if (line.size() > line_bytes_max_) {
      problem_ = fmt::format("line {}: it has more than {} bytes; the broker takes records of at most {} bytes", lines_,
                             line_bytes_max_, producer_.record_bytes_max());
      return;
    }
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
      problem_ = fmt::format("line {} is empty; one JSON record a line is expected", lines_);
      return;
    }
    const Result<JsonRecord> record = parse_record(line);
    if (!record) {
      problem_ = fmt::format("line {}: {}", lines_, record.error().message);
      return;
    }
    if (lines_ <= producer_.last()) return;  // taken in an earlier run
    note(producer_.publish_packed(record->key, record->value, record->timestamp, record->headers));
  }
  void flush() { note(producer_.flush(kFlushMax)); }
  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] std::uint64_t lines() const { return lines_; }

 private:
  /// What the broker says concerns a line at or before the one that was read last, and so comes before its problem.
  void note(const ProducerStatus& status) {
    if (status) return;
    const std::string& said = status.message();
    // A record has the number of its line.
    problem_ = status.record() == 0 ? said : fmt::format("line {}{}", status.record(), said.substr(said.find(':')));
  }

  Producer& producer_;
  const std::size_t line_bytes_max_;
  std::uint64_t lines_ = 0;
  std::string problem_;
};

int produce(const Arguments& arguments) {
  const Result<std::string> data_dir = find_data_dir(arguments.data_dir, arguments.file);
  if (!data_dir) return refuse_data_dir(data_dir.error());
  Producer producer(*data_dir, arguments.stream, {.name = arguments.name});
  if (ProducerStatus opened = producer.open(); !opened) return refuse(opened.message(), kExitFailed);
  Feeder feeder(producer);
  const auto take = [&feeder](std::string_view line) { feeder.take(line); };
  // A line comes in pieces if it is longer than that: the first is too long already.
  LineReader input(Fd(::dup(STDIN_FILENO)), feeder.line_bytes_max() + 1);
  while (input.open() && feeder.problem().empty()) {
    pollfd ready{input.fd(), POLLIN, 0};
    // Nothing there at the moment: what was read goes out before we wait.
    if (::poll(&ready, 1, 0) == 0) {
      feeder.flush();
      ::poll(&ready, 1, -1);
    }
    input.read(take, /*bytes_max=*/1);
  }
  feeder.flush();
  const std::uint64_t published = producer.acknowledged();
  if (!feeder.problem().empty()) {
    return refuse(fmt::format("{} ({} records before it were acknowledged)", feeder.problem(), published), kExitFailed);
  }
  if (arguments.end) {
    if (ProducerStatus ended = producer.end(std::chrono::seconds(10)); !ended)
      return refuse(ended.message(), kExitFailed);
  }
  const std::uint64_t before = std::min(feeder.lines(), producer.last());
  fmt::print(stderr, "{} record{} acknowledged{}{}{}\n", published, published == 1 ? "" : "s",
             before != 0 ? fmt::format(", {} were there already", before) : "",
             arguments.name.empty() ? " (at least once; --name makes it exactly once)" : "",
             arguments.end ? fmt::format("; stream {} has ended", arguments.stream) : "");
  return kExitDone;
}

}  // namespace

void add_produce(CLI::App& app, CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();  // shared by the parser's callback and what it chooses
  CLI::App* command = app.add_subcommand(
      "produce", "Publishes JSON records from standard input, one a line, to a stream with \"external\": \"in\"");
  command->add_option("STREAM", arguments->stream, "the stream")->required();
  command->add_option("FILE", arguments->file, "the topology (default: the only one that runs under ./.weir)");
  command->add_option("--data", arguments->data_dir, "its data directory");
  command->add_option("--name", arguments->name,
                      "number the lines under this name: what was taken before is recognised, and taken exactly once");
  command->add_flag("--end", arguments->end, "end the stream behind the last record");
  command->callback([arguments, &line] { line.run = [arguments] { return produce(*arguments); }; });
}

}  // namespace weir::launcher
