// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "topologies/launcher/child_process.h"
#include "topologies/launcher/line_reader.h"
#include "topologies/launcher/restart_policy.h"
#include "topologies/launcher/screen.h"

namespace weir::launcher {

/// A place for one process after another: the broker, or a worker. Passes on what its process prints, each line behind
/// `prefix`, and remembers the last of it. Lifetime: `screen` must outlive it.
class Supervised {
 public:
  static constexpr std::size_t kLastWordsMax = 5;

  Supervised(std::string prefix, Screen& screen) : prefix_(std::move(prefix)), screen_(screen) {}

  /// Starts the program. With `own_stdout` it writes its standard output to ours; else that comes with its diagnostics.
  /// REQUIRES: !running().
  Status start(std::vector<std::string> argv, bool own_stdout, int kept_fd, Monotonic now);
  [[nodiscard]] bool running() const { return process_.has_value(); }
  [[nodiscard]] pid_t pid() const { return process_ ? process_->pid() : -1; }
  void kill();

  /// What to poll for its output, -1 for nothing.
  [[nodiscard]] int fd() const { return output_.fd(); }
  void read();
  /// How the process ended, once, with its last output passed on; nothing while it runs or where none does.
  std::optional<Ending> reap();
  /// The last lines of the last process, joined by " | "; "" where it said nothing.
  [[nodiscard]] std::string last_words() const;

  [[nodiscard]] RestartPolicy& policy() { return policy_; }

 private:
  void take(std::string_view line);

  std::string prefix_;
  Screen& screen_;
  std::optional<ChildProcess> process_;
  LineReader output_;
  std::deque<std::string> last_words_;
  RestartPolicy policy_;
};

/// Exit codes of a worker that say it lost its rights or the broker, not that it failed (stages/host/exit_codes.h).
inline constexpr int kExitFenced = 66;
inline constexpr int kExitLost = 67;
inline constexpr int kExitDeadline = 68;

/// How it ended, for a person: what the code of a worker's exit means is said with it.
std::string cause_text(const Ending& ending);

/// Whether a death by `ending` counts against the worker: a signal that a program brings upon itself, the OOM killer's,
/// or an exit code that is neither 0 nor one of those above.
bool is_own_fault(const Ending& ending);

}  // namespace weir::launcher
