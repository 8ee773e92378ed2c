// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/core.h"
#include "broker/journal/journal.h"
#include "broker/journal/posix_disk.h"
#include "broker/server/data_dir.h"
#include "broker/server/gathering.h"
#include "broker/server/http.h"
#include "broker/server/journal_reader.h"
#include "broker/server/journal_writer.h"
#include "broker/server/keeper.h"
#include "broker/server/launcher_link.h"
#include "broker/server/letter_desk.h"
#include "broker/server/mailbox.h"
#include "broker/server/metrics.h"
#include "broker/server/replay_desk.h"
#include "broker/server/sockets.h"
#include "broker/server/task_thread.h"
#include "sdk/base/result.h"
#include "sdk/topology/topology.h"

namespace weir::server {

/// How the process ends; numbers that a launcher tells apart.
enum class Exit : int {
  kDone = 0,
  kRefused = 1,  ///< cannot serve here, and trying again will not help
  kUsage = 2,
  kJournalFailed = 70,  ///< a write or sync failed: start again, recover, and see
  kOrphaned = 71,       ///< the launcher is gone
  kInUse = 72,          ///< of --read: the directory has a holder, who can be asked
};

struct ServerOptions {
  std::string data_dir;
  bool fresh = false;
  std::optional<std::uint64_t> served;  ///< journal that an earlier broker of the launcher has served there
  std::string listen;                   ///< "" for ipc sockets in the data directory
  std::optional<std::string> http;      ///< absent: none
  bool http_or_any = false;
  std::string file;  ///< the topology's file as resolved, for people; "": nobody has given it
};

/// The broker's process: the core, and everything that it wants from outside. One thread ("broker") owns core and
/// sockets and waits for them, the mailbox and the launcher together; "writer", "reader", "keeper",
/// "checkpoints" and "spares" own the journal's slow work. Thread: the one that calls run(). Lifetime: `topology` and
/// `launcher` must outlive it.
class Server final : public core::Outside, public WriterListener {
 public:
  /// Takes the directory, recovers, and listens. Errors: as DataDir, Journal, Sockets and Http.
  static Result<std::unique_ptr<Server>> open(const Topology& topology, const ServerOptions& options,
                                              LauncherLink& launcher);
  ~Server() override;

  /// Serves until it is told to stop.
  Exit run();

 private:
  Server(const Topology& topology, std::string file, DataDir directory, LauncherLink& launcher);
  Status recover(std::optional<std::uint64_t> served);
  /// weir.json says from then on whose journal this is, and which; before anyone is served.
  Status write_owner(const DataDir::Owner& before, const journal::Recovery& found);
  void announce();
  void write_endpoint();
  void turn();
  [[nodiscard]] std::chrono::milliseconds wait_most() const;
  [[nodiscard]] bool quiet(Monotonic now) const;
  void write_gathered(Monotonic now);
  void tick(Monotonic now);
  void on_launcher(const nlohmann::ordered_json& event);
  void on_signal();
  void watch_space(Monotonic now);
  void watch_retention(Monotonic now);
  void say_status();
  HttpAnswer answer(const std::string& path);

  // core::Outside
  void append(core::NewEntry entry) override;
  void sync() override;
  void connect(Incarnation incarnation, const std::string& inbox) override { sockets_->connect(incarnation, inbox); }
  void disconnect(Incarnation incarnation) override { sockets_->disconnect(incarnation); }
  void send(Incarnation incarnation, Bytes message) override { sockets_->send(incarnation, std::move(message)); }
  void reply(const core::Client& client, Bytes message) override { sockets_->reply(client, std::move(message)); }
  void read_frame(std::uint32_t stream, std::uint64_t frame, core::Place place) override;
  void restore(core::RestoreJob job) override;
  void compact(core::CompactJob job) override;
  void copy(core::CopyJob job) override;
  void write_checkpoint(core::CheckpointJob job) override;
  void notify(core::Notice notice) override;

  // WriterListener
  void on_written(const std::vector<Written>& written) override;
  void on_settled(Sequence sequence) override;
  void on_synced(double seconds, Sequence durable) override;
  void on_journal_full(bool full) override { journal_full_ = full; }
  void on_journal_failed(const Error& error) override;

  const Topology& topology_;
  const std::string file_;
  LauncherLink& launcher_;
  DataDir directory_;
  std::unique_ptr<journal::PosixDisk> disk_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<core::Core> core_;
  Mailbox mailbox_;
  std::unique_ptr<Sockets> sockets_;
  std::unique_ptr<JournalReader> reader_;
  std::unique_ptr<Keeper> keeper_;
  std::unique_ptr<LetterDesk> letter_desk_;
  std::unique_ptr<ReplayDesk> replay_desk_;
  ServerProbe probe_;
  std::deque<std::pair<Sequence, Monotonic>> committing_;
  Gathering gathering_;
  std::optional<Exit> exit_;
  int signals_ = -1;
  bool space_warned_ = false;
  Monotonic space_warned_at_{0};
  std::vector<std::uint64_t> retained_less_told_;  ///< by stream
  std::vector<Monotonic> retained_less_told_at_;   ///< the same
  std::optional<Monotonic> endpoint_due_;          ///< when to try again to write it
  bool journal_full_ = false;
  bool spare_asked_ = false;
  Monotonic spare_asked_at_{0};
  bool finished_ = false;
  Monotonic ticked_{0};
  Monotonic active_at_{0};  ///< a request came, or something was to be written
  Monotonic status_said_{0};
  std::string status_last_;
  std::uint64_t records_last_ = 0;
  // Threads end before what they use.
  std::unique_ptr<JournalWriter> writer_;
  std::unique_ptr<TaskThread> reader_thread_;
  std::unique_ptr<TaskThread> keeper_thread_;
  std::unique_ptr<TaskThread> checkpoints_thread_;
  std::unique_ptr<TaskThread> spares_thread_;
  std::unique_ptr<Http> http_;
};

}  // namespace weir::server
