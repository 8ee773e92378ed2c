// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "sdk/topology/plugins.h"
#include "sdk/topology/topology.h"
#include "topologies/launcher/control_channel.h"
#include "topologies/launcher/oom_kills.h"
#include "topologies/launcher/programs.h"
#include "topologies/launcher/progress.h"
#include "topologies/launcher/runtime_dir.h"
#include "topologies/launcher/screen.h"
#include "topologies/launcher/signals.h"
#include "topologies/launcher/stage_libraries.h"
#include "topologies/launcher/supervised.h"
#include "topologies/launcher/worker_page.h"

namespace weir::launcher {

/// What `weir run` was asked to do.
struct RunOptions {
  Topology topology;
  std::string file;  ///< the topology's file as resolved, for people
  std::string data_dir;
  bool fresh = false;
  bool hold = false;
  std::optional<std::vector<std::string>> stages;  ///< only these have workers here; absent: all
  std::string log_level = "info";
};

/// Runs one topology: starts the broker and, once it serves, a process per worker; starts again what dies; ends all of
/// them. Crash-only: when the broker dies every worker is killed, and all begin again from what is committed.
/// One thread; never blocks but in poll (README.md tells the whole story).
class Supervisor {
 public:
  Supervisor(RunOptions options, Programs programs, const Plugins& plugins, Screen& screen, Signals& signals);
  ~Supervisor();

  /// Returns the exit code of `weir run`.
  int run();

 private:
  enum class Phase {
    kStarting,  ///< no broker that serves
    kRunning,
    kHolding,   ///< finished, and asked to stay up
    kDraining,  ///< asked to stop: workers commit what they have begun
    kStopping,  ///< the outcome is known, processes are ending
  };
  enum class Outcome { kFinished, kStopped, kFailed };

  /// One worker of a stage that hosts.
  struct Worker {
    const StageSpec* stage;
    std::uint32_t number;
    std::string libraries;  ///< that it runs; with others it is another worker
    Supervised process;
    std::optional<WorkerPage> page;  ///< of the process that runs, or ran last
    bool wanted = false;             ///< to be started at start_at
    bool voided = false;             ///< killed by us since its incarnation is void: its death means nothing
    bool finished = false;           ///< its stage has nothing left to do
    bool superfluous = false;        ///< its stage is to have fewer, or other libraries: the broker lets it go
    Monotonic start_at{0};
  };

  struct KilledAt {
    std::uint64_t offset = 0;
    std::uint64_t requeued = 0;
    int times = 0;
  };

  void turn(Monotonic now);
  [[nodiscard]] Monotonic next_deadline() const;
  void on_signal(int number);
  void read_channel();
  void on_event(const BrokerEvent& event);
  void on_ready(const BrokerEvent& event);
  void on_status(const BrokerEvent& event);
  void on_finished();
  /// So many workers each of these stages is to have: more are started, and who is too many is not started again.
  void want_workers(const std::map<std::string, std::uint32_t>& wanted);
  /// As many workers of `host` as it is to have, with the libraries that it is to run, are started, and no others.
  void arrange(const StageSpec& host);
  void on_upgraded(const BrokerEvent& event);
  /// False: its libraries are not new, or it is not their worker.
  bool give_up_upgrade(Worker& worker, const std::string& why);
  void on_drained();
  void on_worker_death(Worker& worker, pid_t pid, Ending ending);
  /// SIGKILL has met a worker at this record: says so once when that is so again and again.
  void count_kill(const Worker& worker, const LastWork& last);
  [[nodiscard]] std::string work_text(const LastWork& last) const;
  void on_broker_death(Ending ending);

  void start_broker();
  void add_worker(const StageSpec& stage, std::uint32_t number, const std::string& libraries);
  void start_worker(Worker& worker);
  void void_workers();
  void stop(Outcome outcome);
  void fail(std::string_view reason);
  [[nodiscard]] std::string last_line() const;
  void name_stragglers();
  void kill_all();
  void note(std::string_view text);
  void remove_socket_folder() const;
  [[nodiscard]] bool anything_runs() const;
  /// Of several with one number the one whose process this is.
  [[nodiscard]] Worker* find(std::string_view stage, std::int64_t number, std::int64_t pid);

  RunOptions options_;
  Programs programs_;
  Screen& screen_;
  Signals& signals_;
  Progress progress_;
  Supervised broker_;
  std::optional<ControlChannel> channel_;
  std::optional<RuntimeDir> runtime_dir_;  ///< holds the resolved topology until the broker has read it
  StageLibraries libraries_;
  std::map<std::string, UpgradeDeaths> upgrade_deaths_;  ///< by stage
  std::map<std::string, std::uint32_t> numbers_;         ///< of workers that each stage that hosts here is to have
  std::deque<Worker> workers_;                           ///< grows while one of them is looked at
  OomKills oom_kills_;
  /// By stage, stream and shard: the record that SIGKILL met last, and how often in a row.
  std::map<std::tuple<std::string, std::uint32_t, std::uint32_t>, KilledAt> killed_at_;

  Phase phase_ = Phase::kStarting;
  Outcome outcome_ = Outcome::kFailed;
  std::string failure_;
  std::string endpoint_;
  std::filesystem::path socket_folder_;  ///< of the last broker that listened on ipc sockets
  std::optional<Monotonic> broker_start_at_;
  Monotonic deadline_{0};                 ///< of draining or stopping
  bool fresh_done_ = false;               ///< a broker has served: --fresh must not delete again
  std::string journal_;                   ///< that it has served: its successor must find it
  std::optional<Monotonic> finished_at_;  ///< when the topology had ended
  bool first_status_ = true;              ///< nothing told yet: a topology that is finished now was so before
  bool status_awaited_ = false;           ///< workers wait for the first status of this broker
  int stopped_at_once_by_ = 0;
  int signals_seen_ = 0;
};

}  // namespace weir::launcher
