// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/state_trial.h"

#include <fmt/format.h>
#include <poll.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "topologies/launcher/child_process.h"
#include "topologies/launcher/line_reader.h"

namespace weir::launcher {
namespace {

constexpr int kLookAgainMs = 20;

/// What the process said last, without the name and level that its log puts in front.
std::string sentence_of(const std::string& words) {
  constexpr std::string_view kLevel = ": error: ";
  const std::size_t mark = words.find(kLevel);
  return mark == std::string::npos ? words : words.substr(mark + kLevel.size());
}

}  // namespace

Result<StateTried> try_state(const std::string& stage_program, const std::string& endpoint, const std::string& stage,
                             const std::string& library) {
  Result<Pipe> out = open_pipe();
  if (!out) return out.error();
  Result<Pipe> err = open_pipe();
  if (!err) return err.error();
  Result<ChildProcess> process =
      ChildProcess::start({{stage_program, "--try", "--broker", endpoint, "--stage", stage, "--stage-library",
                            fmt::format("{}={}", stage, library), "--log-level", "error"},
                           out->write_end.get(),
                           err->write_end.get(),
                           /*kept_fd=*/-1});
  if (!process) return process.error();
  out->write_end.reset();
  err->write_end.reset();
  LineReader answers(std::move(out->read_end));
  LineReader words(std::move(err->read_end));
  std::string answer;
  std::string last_words;
  std::optional<Ending> ending;
  while (!ending) {
    answers.read([&](std::string_view line) { answer = line; });
    words.read([&](std::string_view line) { last_words = line; });
    ending = process->reap();
    if (!ending) ::poll(nullptr, 0, kLookAgainMs);
  }
  answers.finish([&](std::string_view line) { answer = line; });
  words.finish([&](std::string_view line) { last_words = line; });
  if (ending->signalled || ending->number != 0) {
    if (!ending->signalled && !last_words.empty()) return {Code::kInvalid, sentence_of(last_words)};
    return {Code::kInvalid, fmt::format("the process that tried whether {} can go on with the state ended by {}{}{}",
                                        library, ending->text(), last_words.empty() ? "" : ": ", last_words)};
  }
  const auto json = nlohmann::json::parse(answer, nullptr, false);
  if (!json.is_object()) return {Code::kInvalid, "the trial of the state ended without an answer"};
  return StateTried{json.value("shards", std::uint64_t{0}), json.value("values", std::uint64_t{0}),
                    json.value("unknown", std::uint64_t{0})};
}

}  // namespace weir::launcher
