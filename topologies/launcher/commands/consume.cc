// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "sdk/base/units.h"
#include "topologies/launcher/broker_questions.h"
#include "topologies/launcher/commands/command_line.h"
#include "topologies/launcher/data_dir.h"
#include "topologies/launcher/record_json.h"
#include "topologies/launcher/signals.h"
#include "weir/consumer.h"

namespace weir::launcher {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLookEvery{100};  ///< for signals, while nothing comes
constexpr milliseconds kAcknowledgedIn{30'000};
constexpr milliseconds kSilence{5'000};  ///< it speaks all the time: one that was killed is missed soon
constexpr std::size_t kTextBytesMax = 64 << 10;
constexpr std::size_t kWriteBytes = 4096;  ///< what a pipe that is ready takes without waiting (PIPE_BUF)

struct Arguments {
  std::string stream;
  std::string file;
  std::string group;
  std::string data_dir;
  std::string from = "start";
  std::string timeout;
  std::uint64_t count = 0;  ///< 0: no end
  bool position = false;
  bool drop = false;
};

/// Prints what a consumer is given, and acknowledges what is printed.
class Printer {
 public:
  Printer(Consumer& consumer, Signals& signals, bool position)
      : consumer_(consumer), signals_(signals), position_(position) {}

  void take(const RecordView& record) {
    append_record(record, position_, text_);
    done_[record.shard()] = record.offset() + 1;
  }
  [[nodiscard]] bool full() const { return text_.size() >= kTextBytesMax; }
  [[nodiscard]] bool empty() const { return text_.empty(); }

  /// False where standard output is gone: nothing of what was to be printed is acknowledged then.
  bool print() {
    std::string_view left = text_;
    while (!left.empty()) {
      pollfd ready{STDOUT_FILENO, POLLOUT, 0};
      if (::poll(&ready, 1, static_cast<int>(kLookEvery.count())) <= 0) {
        consumer_.keep_alive();  // whoever reads takes their time
        if (interrupted()) return false;
        continue;
      }
      const ssize_t written = ::write(STDOUT_FILENO, left.data(), std::min(left.size(), kWriteBytes));
      if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (written < 0) {
        problem_ = fmt::format("standard output cannot be written: {}", std::strerror(errno));
        return false;
      }
      left.remove_prefix(static_cast<std::size_t>(written));
    }
    text_.clear();
    for (const auto& [shard, offset] : done_) consumer_.acknowledge(shard, offset);
    done_.clear();
    return true;
  }

  /// Ctrl-C or SIGTERM has come.
  bool interrupted() {
    for (int signal = signals_.next(); signal != 0; signal = signals_.next()) interrupted_ |= signal != SIGCHLD;
    return interrupted_;
  }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  Consumer& consumer_;
  Signals& signals_;
  bool position_;
  bool interrupted_ = false;
  std::string text_;
  std::string problem_;
  std::map<std::uint32_t, std::uint64_t> done_;  ///< by shard, behind the last record of `text_`
};

/// What a directory at rest says of a group: all consumed, or a sentence why it must run first.
int consume_stopped(const std::string& data_dir, const Arguments& arguments, const std::string& why) {
  using Json = nlohmann::ordered_json;
  const Result<std::string> text = ask_broker(data_dir, "status", Programs::beside_self());
  const Json status = text ? Json::parse(*text, nullptr, false) : Json();
  if (!status.is_object()) return refuse(why, kExitFailed);
  bool finished = true;
  for (const Json& stage : status.value("stages", Json::array())) {
    const std::string state = stage.value("state", "");
    finished &= state == "finished" || state == "resting";
  }
  for (const Json& stream : status.value("streams", Json::array())) {
    if (stream.value("name", "") != arguments.stream) continue;
    for (const Json& group : stream.value("groups", Json::array())) {
      if (group.value("name", "") != arguments.group) continue;
      const auto waiting = group.value("backlog_records", std::uint64_t{0});
      if (finished && waiting == 0) {
        fmt::print(stderr, "stream {} has ended, and group {} has consumed all of it\n", arguments.stream,
                   arguments.group);
        return kExitDone;
      }
      return refuse(fmt::format("{}; {} records wait for group {}: `weir run` the topology to go on", why, waiting,
                                arguments.group),
                    kExitFailed);
    }
  }
  return refuse(why, kExitFailed);
}

int consume(const Arguments& arguments) {
  std::optional<std::chrono::microseconds> timeout;
  if (!arguments.timeout.empty()) {
    const auto parsed = parse_duration(arguments.timeout);
    if (!parsed) return refuse(fmt::format("--timeout: {}", parsed.error().message), kExitRefused);
    timeout = *parsed;
  }
  const Result<std::string> data_dir = find_data_dir(arguments.data_dir, arguments.file);
  if (!data_dir) return refuse_data_dir(data_dir.error());
  Signals signals;
  Consumer consumer(*data_dir, arguments.stream, arguments.group,
                    {.from = arguments.from == "end" ? Consumer::Options::From::kEnd : Consumer::Options::From::kStart,
                     .silence = kSilence});
  // One that is just starting is waited for.
  if (const auto broker = RunningBroker::find(*data_dir); !broker && broker.error().code == Code::kNotFound)
    return consume_stopped(*data_dir, arguments, broker.error().message);
  if (ConsumerStatus opened = consumer.open(); !opened) return refuse(opened.message(), kExitFailed);
  if (consumer.is_new()) fmt::print(stderr, "group {} is new on stream {}\n", arguments.group, arguments.stream);
  Printer printer(consumer, signals, arguments.position);
  std::uint64_t printed = 0;
  auto heard = std::chrono::steady_clock::now();
  std::string failed;
  while (!printer.interrupted()) {
    const bool enough = arguments.count != 0 && printed == arguments.count;
    const RecordView* record =
        enough || printer.full() ? nullptr : consumer.poll(printer.empty() ? kLookEvery : milliseconds(0));
    if (record != nullptr) {
      printer.take(*record);
      ++printed;
      heard = std::chrono::steady_clock::now();
      continue;
    }
    failed = consumer.status().message();
    if (!printer.empty() && !printer.print()) break;
    if (enough || consumer.ended() || !failed.empty()) break;
    if (timeout && std::chrono::steady_clock::now() - heard >= *timeout) break;
  }
  if (!printer.problem().empty()) return refuse(printer.problem(), kExitFailed);
  const bool ended = consumer.ended();
  const ConsumerStatus closed = failed.empty() ? consumer.close(kAcknowledgedIn) : ConsumerStatus();
  // The broker may be gone before it could say that this was the end.
  if (!failed.empty()) return consume_stopped(*data_dir, arguments, failed);
  if (!closed) return refuse(closed.message(), kExitFailed);
  fmt::print(stderr, "{} records consumed and acknowledged by group {}{}\n", printed, arguments.group,
             ended ? fmt::format("; stream {} has ended", arguments.stream) : "");
  return kExitDone;
}

int drop(const Arguments& arguments) {
  const Result<std::string> data_dir = find_data_dir(arguments.data_dir, arguments.file);
  if (!data_dir) return refuse_data_dir(data_dir.error());
  wire::MapWriter request("drop_group");
  request.put("stream", arguments.stream);
  request.put("group", arguments.group);
  const Result<wire::MapReader> map = ask_running(*data_dir, std::move(request).finish(), "drops groups",
                                                  "with --stages none only its broker", std::chrono::seconds(10));
  if (!map) return refuse(map.error().message, kExitFailed);
  fmt::print(stderr, "group {} of stream {} is forgotten; {} records waited for it\n", arguments.group,
             arguments.stream, map->integer("records", 0));
  return kExitDone;
}

}  // namespace

void add_consume(CLI::App& app, CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();  // shared by the parser's callback and what it chooses
  CLI::App* command = app.add_subcommand(
      "consume",
      "Consumes a stream with \"external\": \"out\" under a group's name: prints its records, one JSON object "
      "a line, and acknowledges what is printed");
  command->add_option("STREAM", arguments->stream, "the stream")->required();
  command->add_option("FILE", arguments->file, "the topology (default: the only one that runs under ./.weir)");
  command->add_option("--group", arguments->group, "whose place in the stream it is; entered when it is new")
      ->required();
  command->add_option("--data", arguments->data_dir, "its data directory");
  command->add_option("--count", arguments->count, "end after so many records")->check(CLI::PositiveNumber);
  command->add_option("--timeout", arguments->timeout, "end when nothing has come for so long, like 10s");
  command
      ->add_option("--from", arguments->from,
                   "where a group begins that is new: start (default), the oldest record that is kept; end, what comes "
                   "from now on")
      ->check(CLI::IsMember({"start", "end"}));
  command->add_flag("--position", arguments->position,
                    "print shard and offset too, by which a record that comes twice is recognised");
  command->add_flag("--drop", arguments->drop, "forget the group instead, and what only it has waited for");
  command->callback([arguments, &line] {
    line.run = [arguments] { return arguments->drop ? drop(*arguments) : consume(*arguments); };
  });
}

}  // namespace weir::launcher
