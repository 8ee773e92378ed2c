// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <poll.h>

#include <cstdio>
#include <memory>

#include "sdk/wire/map.h"
#include "topologies/launcher/broker_questions.h"
#include "topologies/launcher/commands/command_line.h"
#include "topologies/launcher/data_dir.h"
#include "topologies/launcher/record_json.h"

namespace weir::launcher {
namespace {

constexpr std::uint64_t kRecordsAtOnceMax = 1000;
constexpr int kAskAgainMs = 50;

struct Arguments {
  std::string stream;
  std::string file;
  std::string data_dir;
  std::string from = "end";
  std::uint64_t count = 0;  ///< 0: no end
};

int tail_stopped(const std::string& data_dir, const Arguments& arguments) {
  if (arguments.from == "end")
    return refuse(fmt::format("nothing is running on {}; what it holds is read with --from start", data_dir),
                  kExitFailed);
  std::vector<std::string> more = {"--stream", arguments.stream};
  if (arguments.count != 0) more.insert(more.end(), {"--count", std::to_string(arguments.count)});
  const Status read = read_stopped(data_dir, "tail", more, Programs::beside_self(), [](std::string_view line) {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fputc('\n', stdout);
  });
  return read ? kExitDone : refuse(read.error().message, kExitFailed);
}

/// What the broker answered to one question: its records printed, at most `left`; how many these were.
Result<std::uint64_t> print_answer(BytesView bytes, std::uint64_t left, std::string& positions) {
  std::string_view records;
  std::uint64_t missed = 0;
  if (!read_tail_answer(bytes, records, positions, missed))
    return {Code::kInvalid, "the broker's answer cannot be read; is it of another version?"};
  if (missed != 0) fmt::print(stderr, "{} records were consumed and gone before they could be shown\n", missed);
  std::string text;
  Result<std::uint64_t> printed = append_records(records, left, text);
  if (printed) std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
  return printed;
}

int tail(const Arguments& arguments) {
  const Result<std::string> data_dir = find_data_dir(arguments.data_dir, arguments.file);
  if (!data_dir) return refuse_data_dir(data_dir.error());
  Result<RunningBroker> broker = RunningBroker::find(*data_dir);
  if (!broker && broker.error().code == Code::kNotFound) return tail_stopped(*data_dir, arguments);
  if (!broker) return refuse(broker.error().message, kExitFailed);
  std::string positions;
  std::uint64_t left = arguments.count == 0 ? UINT64_MAX : arguments.count;
  while (left > 0) {
    wire::MapWriter request("tail");
    request.put("stream", arguments.stream);
    request.put("records_max", std::min(left, kRecordsAtOnceMax));
    if (positions.empty())
      request.put("from", arguments.from);
    else
      request.put_packed("positions", as_bytes(positions));
    const Result<Bytes> answer = broker->ask(std::move(request).finish());
    if (!answer && answer.error().code == Code::kNotFound) {
      // Gone: the next one is asked from where we are, if there is one.
      if (Result<RunningBroker> next = RunningBroker::find(*data_dir); next) {
        broker = std::move(next);
        continue;
      }
      if (positions.empty()) return tail_stopped(*data_dir, arguments);
      return kExitDone;  // the topology has ended, and with it what there was to see
    }
    if (!answer) return refuse(answer.error().message, kExitFailed);
    const Result<std::uint64_t> printed = print_answer(*answer, left, positions);
    if (!printed) return refuse(printed.error().message, kExitFailed);
    if (std::ferror(stdout) != 0) return kExitFailed;
    left -= *printed;
    if (*printed == 0) ::poll(nullptr, 0, kAskAgainMs);
  }
  return kExitDone;
}

}  // namespace

void add_tail(CLI::App& app, CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();  // shared by the parser's callback and what it chooses
  CLI::App* command =
      app.add_subcommand("tail", "Prints a stream's records as they come, one JSON object a line; consumes nothing");
  command->add_option("STREAM", arguments->stream, "the stream")->required();
  command->add_option("FILE", arguments->file, "the topology (default: the only one that runs under ./.weir)");
  command->add_option("--data", arguments->data_dir, "its data directory");
  command->add_option("--from", arguments->from, "end (default): what comes from now on; start: what is kept too")
      ->check(CLI::IsMember({"start", "end"}));
  command->add_option("--count", arguments->count, "end after so many records")->check(CLI::PositiveNumber);
  command->callback([arguments, &line] { line.run = [arguments] { return tail(*arguments); }; });
}

}  // namespace weir::launcher
