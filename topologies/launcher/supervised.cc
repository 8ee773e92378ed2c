// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/supervised.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace weir::launcher {

Status Supervised::start(std::vector<std::string> argv, bool own_stdout, int kept_fd, Monotonic now) {
  Result<Pipe> pipe = open_pipe();
  if (!pipe) return pipe.error();
  const int write_end = pipe->write_end.get();
  Result<ChildProcess> process =
      ChildProcess::start({std::move(argv), own_stdout ? STDOUT_FILENO : write_end, write_end, kept_fd});
  if (!process) return process.error();
  process_ = *std::move(process);
  output_ = LineReader(std::move(pipe->read_end));
  last_words_.clear();
  policy_.on_start(now);
  return {};
}

void Supervised::kill() {
  if (process_) process_->kill_group();
}

void Supervised::read() {
  output_.read([this](std::string_view line) { take(line); });
}

std::optional<Ending> Supervised::reap() {
  if (!process_) return {};
  const std::optional<Ending> ending = process_->reap();
  if (!ending) return {};
  process_.reset();
  output_.finish([this](std::string_view line) { take(line); });
  return ending;
}

std::string Supervised::last_words() const { return fmt::format("{}", fmt::join(last_words_, " | ")); }

void Supervised::take(std::string_view line) {
  last_words_.emplace_back(line.substr(0, 400));
  if (last_words_.size() > kLastWordsMax) last_words_.pop_front();
  // Weir's own log lines carry the name of their process already.
  screen_.line(line.starts_with(prefix_) ? std::string(line) : fmt::format("{}{}", prefix_, line));
}

std::string cause_text(const Ending& ending) {
  if (!ending.signalled && ending.number == kExitDeadline) return ending.text() + " (its deadline had passed)";
  if (ending.for_memory) return ending.text() + " of the kernel, which was out of memory";
  return ending.text();
}

bool is_own_fault(const Ending& ending) {
  if (ending.for_memory) return true;
  if (ending.signalled) {
    // What the kernel sends a program for what it does, and abort. Everything else comes from outside.
    static constexpr int kBroughtUpon[] = {SIGSEGV, SIGABRT, SIGBUS,  SIGFPE,  SIGILL,
                                           SIGTRAP, SIGSYS,  SIGPIPE, SIGXCPU, SIGXFSZ};
    return std::ranges::find(kBroughtUpon, ending.number) != std::end(kBroughtUpon);
  }
  return ending.number != 0 && ending.number != kExitFenced && ending.number != kExitLost;
}

}  // namespace weir::launcher
