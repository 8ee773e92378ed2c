// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/describe.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <utility>

#include "sdk/topology/plugins.h"
#include "topologies/launcher/child_process.h"

namespace weir::launcher {
namespace {

constexpr std::size_t kAtOnceMax = 8;
/// So often a library is asked whose process is killed: who kills, most likely the kernel for memory, may not do it
/// again.
constexpr int kAskedMax = 3;
constexpr std::size_t kDescriptionBytesMax = 4 << 20;
constexpr std::size_t kWordsBytesMax = 64 << 10;

/// One library being described.
struct Inquiry {
  std::size_t index = 0;
  int asked = 1;
  ChildProcess process;
  Fd out;
  Fd err;
  std::string description;
  std::string words;
  Monotonic deadline{0};
};

/// Reads what is there; false at the end of the file. What exceeds `bytes_max` is read and forgotten.
bool read_more(const Fd& fd, std::string& text, std::size_t bytes_max) {
  std::array<char, 16384> buffer;
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) return false;
    if (text.size() < bytes_max) text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

/// The last line that is not empty.
std::string last_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return std::string(text.substr(text.rfind('\n') + 1));
}

Result<Inquiry> ask(const std::string& program, const std::string& library, std::size_t index, int asked,
                    Monotonic deadline) {
  Result<Pipe> out = open_pipe();
  if (!out) return out.error();
  Result<Pipe> err = open_pipe();
  if (!err) return err.error();
  Result<ChildProcess> process = ChildProcess::start(
      {{program, "--describe", library}, out->write_end.get(), err->write_end.get(), /*kept_fd=*/-1});
  if (!process) return process.error();
  return Inquiry{index, asked, *std::move(process),       std::move(out->read_end), std::move(err->read_end),
                 {},    {},    monotonic_now() + deadline};
}

Result<std::vector<Plugin>> judge(const Inquiry& inquiry, const Ending& ending, const std::string& library) {
  if (!ending.signalled && ending.number == 0) return Plugins::parse_description(inquiry.description, library);
  const std::string words = last_line(inquiry.words);
  if (ending.signalled && ending.number == SIGKILL) {
    return {Code::kUnavailable,
            fmt::format("somebody killed the process that reads what is in the stage library {}, {} times: see "
                        "whether the machine's memory is full, and try again",
                        library, inquiry.asked)};
  }
  if (ending.signalled) {
    return {Code::kInvalid, fmt::format("the stage library {} crashes while loading: {}{}{}", library, ending.text(),
                                        words.empty() ? "" : ": ", words)};
  }
  return {Code::kInvalid,
          words.empty() ? fmt::format("the stage library {} cannot be loaded ({})", library, ending.text()) : words};
}

struct Answer {
  Result<std::vector<Plugin>> plugins;
  bool died = false;
  bool killed = false;
};

/// Moves one inquiry on; its answer when there is one.
std::optional<Answer> advance(Inquiry& inquiry, const std::string& library) {
  if (inquiry.out && !read_more(inquiry.out, inquiry.description, kDescriptionBytesMax)) inquiry.out.reset();
  if (inquiry.err && !read_more(inquiry.err, inquiry.words, kWordsBytesMax)) inquiry.err.reset();
  if (const std::optional<Ending> ending = inquiry.process.reap()) {
    if (inquiry.out) read_more(inquiry.out, inquiry.description, kDescriptionBytesMax);
    if (inquiry.err) read_more(inquiry.err, inquiry.words, kWordsBytesMax);
    return Answer{judge(inquiry, *ending, library), ending->signalled, ending->signalled && ending->number == SIGKILL};
  }
  if (monotonic_now() < inquiry.deadline) return {};
  return Answer{
      {Code::kUnavailable, fmt::format("the stage library {} hangs while loading; it was given up on", library)},
      true,
      false};
}

}  // namespace

std::vector<Described> describe(const std::string& stage_program, const std::vector<std::string>& libraries,
                                Monotonic deadline) {
  std::vector<Described> described;
  described.reserve(libraries.size());
  for (const std::string& library : libraries) described.push_back({library, std::vector<Plugin>{}, false});
  std::vector<Inquiry> open;
  std::size_t next = 0;
  while (next < libraries.size() || !open.empty()) {
    while (next < libraries.size() && open.size() < kAtOnceMax) {
      Result<Inquiry> inquiry = ask(stage_program, libraries[next], next, 1, deadline);
      if (inquiry) {
        open.push_back(*std::move(inquiry));
      } else {
        described[next].plugins = inquiry.error();
        described[next].died = true;
      }
      ++next;
    }
    std::vector<pollfd> wanted;
    bool silent = false;  // one has closed its output and still runs: only its end is awaited
    for (const Inquiry& inquiry : open) {
      if (inquiry.out) wanted.push_back({inquiry.out.get(), POLLIN, 0});
      if (inquiry.err) wanted.push_back({inquiry.err.get(), POLLIN, 0});
      silent = silent || (!inquiry.out && !inquiry.err);
    }
    ::poll(wanted.data(), wanted.size(), silent ? 1 : 50);
    std::erase_if(open, [&](Inquiry& inquiry) {
      auto answer = advance(inquiry, libraries[inquiry.index]);
      if (!answer) return false;
      if (answer->killed && inquiry.asked < kAskedMax) {
        Result<Inquiry> again =
            ask(stage_program, libraries[inquiry.index], inquiry.index, inquiry.asked + 1, deadline);
        if (again) {
          inquiry = *std::move(again);
          return false;
        }
      }
      described[inquiry.index].plugins = std::move(answer->plugins);
      described[inquiry.index].died = answer->died;
      return true;
    });
  }
  return described;
}

}  // namespace weir::launcher
