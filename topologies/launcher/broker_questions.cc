// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/broker_questions.h"

#include <fmt/format.h>
#include <poll.h>

#include <chrono>
#include <cstdio>
#include <utility>

#include "sdk/client/endpoint_file.h"
#include "topologies/launcher/child_process.h"
#include "topologies/launcher/line_reader.h"

namespace weir::launcher {
namespace {

/// One line holds one record, however long.
constexpr std::size_t kRecordBytesMax = 1 << 30;
/// How long a broker that starts is waited for, and how often is looked.
constexpr std::chrono::seconds kStartMax{10};
constexpr int kLookAgainMs = 20;
/// So long a broker may be silent over a question that may take it long before a person is told.
constexpr std::chrono::seconds kSilenceMax{5};
/// Of what is said again: how long for each time, how often a broker may end over it, and how long in all to one that
/// is silent.
constexpr std::chrono::seconds kOnceMax{4};
constexpr int kSaidAgainMax = 3;
constexpr std::chrono::seconds kUnansweredMax{8};
constexpr int kSayAgainMs = 50;
constexpr int kExitInUse = 72;  ///< of weir-broker --read

/// The same question as `weir-broker --read` calls it.
std::string read_word(const std::string& op) { return op == "dead_letters" ? "dead-letters" : op; }

}  // namespace

Status read_stopped(const std::string& data_dir, const std::string& what, const std::vector<std::string>& arguments,
                    const Programs& programs, const std::function<void(std::string_view)>& take) {
  Result<Pipe> out = open_pipe();
  if (!out) return out.error();
  Result<Pipe> err = open_pipe();
  if (!err) return err.error();
  std::vector<std::string> argv = {programs.broker, "--read", what, "--data", data_dir};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Result<ChildProcess> broker =
      ChildProcess::start({std::move(argv), out->write_end.get(), err->write_end.get(), /*kept_fd=*/-1});
  if (!broker) return broker.error();
  out->write_end.reset();
  err->write_end.reset();

  LineReader lines(std::move(out->read_end), kRecordBytesMax);
  LineReader words(std::move(err->read_end));
  std::string last_words;
  const auto keep = [&last_words](std::string_view line) { last_words = line; };
  while (lines.open() || words.open()) {
    pollfd wanted[2] = {{lines.fd(), POLLIN, 0}, {words.fd(), POLLIN, 0}};
    ::poll(wanted, 2, -1);
    lines.read(take);
    words.read(keep);
  }
  std::optional<Ending> ending;
  while (!(ending = broker->reap())) ::poll(nullptr, 0, 1);
  if (!ending->signalled && ending->number == 0) return {};
  const Code code = !ending->signalled && ending->number == kExitInUse ? Code::kInUse : Code::kIo;
  return {code, last_words.empty() ? "weir-broker ended by " + ending->text() : last_words};
}

Result<RunningBroker> RunningBroker::find(const std::string& data_dir) {
  const auto end = std::chrono::steady_clock::now() + kStartMax;
  Result<client::EndpointFile> endpoint = client::read_endpoint(data_dir);
  while (!endpoint && endpoint.error().code == Code::kUnavailable && std::chrono::steady_clock::now() < end) {
    ::poll(nullptr, 0, kLookAgainMs);
    endpoint = client::read_endpoint(data_dir);
  }
  if (!endpoint) return endpoint.error();
  Result<client::ClientConnection> connection = client::ClientConnection::open(endpoint->broker);
  if (!connection) return connection.error();
  return RunningBroker(data_dir, *std::move(connection));
}

Result<Bytes> RunningBroker::ask(BytesView request, std::chrono::milliseconds deadline) {
  const auto begun = std::chrono::steady_clock::now();
  bool told = deadline <= 2 * kSilenceMax;
  return connection_.ask(request, deadline, [&] {
    if (!told && std::chrono::steady_clock::now() - begun >= kSilenceMax) {
      fmt::print(
          stderr,
          "weir: the broker on {} has not answered for {} s: it is at work on this, or stands still; it is waited "
          "for, {} s in all\n",
          data_dir_, kSilenceMax.count(), std::chrono::ceil<std::chrono::seconds>(deadline).count());
      told = true;
    }
    return !client::read_endpoint(data_dir_).ok();
  });
}

Result<wire::MapReader> ask_running(const std::string& data_dir, BytesView request, std::string_view does,
                                    std::string_view how, std::chrono::milliseconds deadline) {
  Result<RunningBroker> broker = RunningBroker::find(data_dir);
  if (!broker && broker.error().code == Code::kNotFound) {
    return {Code::kNotFound,
            fmt::format("nothing is running on {}, and only a running topology {}: start it with `weir "
                        "run` ({}), and say this again",
                        data_dir, does, how)};
  }
  if (!broker) return broker.error();
  const Result<Bytes> answer = broker->ask(request, deadline);
  if (!answer) return answer.error();
  return wire::MapReader::parse(*answer);
}

Result<wire::MapReader> ask_running_again(const std::string& data_dir, BytesView request, std::string_view does,
                                          std::string_view how) {
  const auto begun = std::chrono::steady_clock::now();
  for (int times = 1;; ++times) {
    Result<wire::MapReader> answer = ask_running(data_dir, request, does, how, kOnceMax);
    if (answer || answer.error().code == Code::kRefused) return answer;
    const auto asked = std::chrono::steady_clock::now() - begun;
    const bool silent = answer.error().code == Code::kUnavailable;
    if (times > kSaidAgainMax || (silent && asked >= kUnansweredMax)) {
      if (!silent || times == 1) return answer;
      return {Code::kUnavailable, fmt::format("{} (asked {} times, {} s in all)", answer.error().message, times,
                                              std::chrono::duration_cast<std::chrono::seconds>(asked).count())};
    }
    ::poll(nullptr, 0, kSayAgainMs);
  }
}

namespace {

/// Asks once. Errors: kInUse where a broker has begun between the look for one and the look into its directory.
Result<std::string> ask_broker_once(const std::string& data_dir, const std::string& op, const Programs& programs) {
  Result<RunningBroker> broker = RunningBroker::find(data_dir);
  if (!broker && broker.error().code != Code::kNotFound) return broker.error();
  if (broker) {
    const Result<Bytes> answer = broker->ask(wire::MapWriter(op).finish());
    if (answer) {
      const Result<wire::MapReader> map = wire::MapReader::parse(*answer);
      if (!map) return map.error();
      return map->text("json");
    }
    if (answer.error().code != Code::kNotFound) return answer.error();
  }
  std::string text;
  const Status read = read_stopped(data_dir, read_word(op), {}, programs, [&text](std::string_view line) {
    text += line;
    text += '\n';
  });
  if (!read) return read.error();
  return text;
}

}  // namespace

Result<std::string> ask_broker(const std::string& data_dir, const std::string& op, const Programs& programs) {
  const auto end = std::chrono::steady_clock::now() + kStartMax;
  while (true) {
    Result<std::string> answer = ask_broker_once(data_dir, op, programs);
    if (answer || answer.error().code != Code::kInUse || std::chrono::steady_clock::now() >= end) return answer;
    ::poll(nullptr, 0, kLookAgainMs);
  }
}

}  // namespace weir::launcher
