// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "sdk/base/result.h"
#include "topologies/launcher/child_process.h"
#include "topologies/launcher/line_reader.h"
#include "topologies/launcher/worker_page.h"

namespace weir::launcher {

/// A stage's library, as launcher and broker speak of it.
struct LibrarySaid {
  std::string hash;  ///< wire::library_hash(); "": the topology's own
  std::string name;  ///< of its file
  std::string origin;
  std::string in_file;   ///< hash of the one that the topology led to when this one was chosen
  std::string before;    ///< hash of the one that there is a way back to
  bool settled = false;  ///< its workers have proven themselves
  std::string left;      ///< hash of the one that was gone back from
};

/// What the broker says, one JSON object a line: its "event" and the fields that this event has (README.md lists them).
struct BrokerEvent {
  std::string event;
  std::string endpoint;  ///< ready: where workers say hello
  std::string http;      ///< ready: "" where there is none
  std::string journal;   ///< ready: which it serves
  std::string state;     ///< status
  std::uint64_t records_in = 0;
  std::uint64_t records_out = 0;
  std::uint64_t dead_letters = 0;
  std::uint64_t waiting = 0;
  std::string waits_outside;  ///< status: which group outside the end waits for; "" for none
  double records_per_second = 0;
  std::string stage;  ///< fenced, committed, stage_failed, stage_finished, upgraded
  std::int64_t worker = -1;
  std::int64_t pid = 0;
  std::string reason;  ///< fenced, stage_failed, failed
  /// ready, scaled: how many workers a stage is to have; of stages that are not named as before.
  std::map<std::string, std::uint32_t> workers;
  /// ready, upgraded: what was chosen for a stage.
  std::map<std::string, LibrarySaid> libraries;
};

/// Nothing where `line` is no event. Fields that are missing or of another type keep their defaults.
std::optional<BrokerEvent> parse_event(std::string_view line);

/// The launcher's end of the socket pair that it shares with the broker. Never blocks.
class ControlChannel {
 public:
  /// Opens the pair; `theirs` is for the broker and closes here once it has started. Errors: kIo.
  struct Pair;
  static Result<Pair> open();

  explicit ControlChannel(Fd fd);

  [[nodiscard]] int fd() const { return reader_.fd(); }
  [[nodiscard]] bool open_still() const { return reader_.open(); }
  /// Hands out the events that have arrived; lines that are none are dropped.
  void read(const std::function<void(const BrokerEvent&)>& take);

  void say_drain() { send(R"({"event":"drain"})"); }
  void say_stop() { send(R"({"event":"stop"})"); }
  /// `record`: what the death is laid to.
  void say_died(std::string_view stage, std::uint32_t worker, pid_t pid, bool own_fault, const Ending& ending,
                const std::optional<LastWork>& record);

  /// What the topology leads to, by stage.
  void say_libraries(const std::map<std::string, LibrarySaid>& own);
  /// Workers of the stage cannot run with the library that was chosen.
  void say_upgrade_failed(std::string_view stage, std::string_view hash, std::string_view reason);

  [[nodiscard]] bool waiting() const { return !queue_.empty(); }
  void write_some();

 private:
  void send(std::string_view line);

  LineReader reader_;
  std::string queue_;
};

struct ControlChannel::Pair {
  ControlChannel ours;
  Fd theirs;
};

}  // namespace weir::launcher
