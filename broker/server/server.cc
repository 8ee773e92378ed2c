// SPDX-License-Identifier: Apache-2.0
#include "broker/server/server.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "broker/server/known_journal.h"
#include "broker/server/replay.h"
#include "sdk/base/log.h"
#include "sdk/base/random.h"
#include "sdk/topology/resolved_file.h"
#include "sdk/wire/commit.h"
#include "sdk/wire/map.h"

namespace weir::server {

using nlohmann::ordered_json;
using namespace std::chrono_literals;

namespace {

constexpr auto kTick = 20ms;
constexpr auto kQuietTick = 100ms;  ///< where nothing has happened for kQuietAfter: whatever comes is taken at once
constexpr auto kQuietAfter = 1s;
constexpr auto kStatusEvery = 200ms;
constexpr auto kSpareEvery = 100ms;
constexpr auto kQuietSpareEvery = 1s;
constexpr const char* kStatusTopic = "status";
constexpr auto kEndpointAgain = 500ms;
constexpr auto kSpaceWarnedEvery = 60s;
constexpr auto kRetainedLessToldEvery = 60s;
constexpr auto kAnswerDeadline = 2s;
constexpr int kCommitsPerTurn = 256;
constexpr int kClientsPerTurn = 64;
constexpr std::size_t kMailboxCalls = 256;

/// As the launcher is told of it; null: the topology's own.
ordered_json library_json(const core::StageLibrary* library) {
  if (library == nullptr) return nullptr;
  return {{"hash", library->now.hash},   {"name", library->now.name},      {"origin", library->now.origin},
          {"in_file", library->in_file}, {"before", library->before.hash}, {"settled", library->settled},
          {"left", library->left}};
}

/// What all workers together may have sent and not heard of.
std::uint64_t commits_under_way_max(const Topology& topology) {
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < topology.stages.size(); ++i) {
    const StageSpec& stage = topology.stages[i];
    if (stage.host == i)
      bytes += stage.workers * wire::commit_window(topology.broker.transaction_bytes_max, stage.memory_bytes);
  }
  return bytes;
}

/// The same error; of damage with what to do about it.
Error with_advice(const Error& error, const std::string& data_dir) {
  if (error.code != Code::kCorrupt) return error;
  return {Code::kCorrupt, fmt::format("{}; `weir journal check --data {}` lists all damage, and says whether `weir "
                                      "journal salvage` can make a new data directory out of what can be read",
                                      error.message, data_dir)};
}

/// Nothing was ever written there but what a start writes.
bool is_new(journal::Disk& disk) {
  std::uint64_t bytes_read = 0;
  auto files = journal::open_segment_files(disk, bytes_read);
  journal::History history;
  return files.ok() && journal::read_history(disk, *files, history).ok() && history.end.value() == 0;
}

int signal_descriptor() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

}  // namespace

Server::Server(const Topology& topology, std::string file, DataDir directory, LauncherLink& launcher)
    : topology_(topology),
      file_(file.empty() ? encode_resolved(topology) : std::move(file)),
      launcher_(launcher),
      directory_(std::move(directory)),
      mailbox_(kMailboxCalls),
      signals_(signal_descriptor()) {}

Server::~Server() {
  // First: whoever waits for room in it, or for an answer, would not end.
  mailbox_.close_for_good();
  http_.reset();
  gathering_.hurry();
  if (writer_) write_gathered(monotonic_now());
  writer_.reset();
  reader_thread_.reset();
  keeper_thread_.reset();
  checkpoints_thread_.reset();
  if (journal_) journal_->stop_preparing();
  spares_thread_.reset();
  if (signals_ >= 0) close(signals_);
}

Result<std::unique_ptr<Server>> Server::open(const Topology& topology, const ServerOptions& options,
                                             LauncherLink& launcher) {
  auto directory =
      DataDir::open({.path = options.data_dir, .fresh = options.fresh, .served = options.served}, topology);
  if (!directory.ok()) return directory.error();
  std::unique_ptr<Server> server(new Server(topology, options.file, std::move(*directory), launcher));
  // What does not fit into a segment can be committed by nobody.
  auto sockets = Sockets::open(options.listen, server->directory_.path(),
                               {topology.broker.segment_bytes, commits_under_way_max(topology)});
  if (!sockets.ok()) return sockets.error();
  server->sockets_ = std::move(*sockets);
  if (Status status = server->recover(options.served); !status.ok()) return status.error();
  if (options.http) {
    auto http = Http::open(*options.http, options.http_or_any, [raw = server.get()](const std::string& path) {
      // The port's thread asks, the server's answers.
      auto found = raw->mailbox_.ask([raw, path] { return raw->answer(path); }, kAnswerDeadline);
      if (found) return std::move(*found);
      return HttpAnswer{503, "application/json", "{\"error\": \"the broker is too busy to answer\"}\n"};
    });
    if (!http.ok()) return http.error();
    server->http_ = std::move(*http);
  }
  return server;
}

Status Server::recover(std::optional<std::uint64_t> served) {
  const Monotonic start = monotonic_now();
  const auto owner = DataDir::read_owner(directory_.path());
  if (!owner.ok()) return owner.error();
  std::error_code ignored;
  const std::optional<std::uint64_t> known = owner->journal ? owner->journal : served;
  if (known && !std::filesystem::exists(directory_.journal_path(), ignored)) {
    return served ? DataDir::served_and_gone(directory_.path()) : journal_gone(directory_.path(), *known);
  }
  auto disk = journal::PosixDisk::open(directory_.journal_path());
  if (!disk.ok()) return disk.error();
  disk_ = std::move(*disk);
  journal::JournalOptions options;
  options.segment_bytes = topology_.broker.segment_bytes;
  options.seed = random_number();
  journal::Recovery found;
  if (known) {
    if (Status there = find_journal(*disk_, directory_.path(), *known); !there.ok()) return there;
  }
  auto journal = journal::Journal::open(*disk_, options, found);
  if (!journal.ok() && journal.error().code == Code::kDiskFull && is_new(*disk_)) {
    return DataDir::no_room(directory_.journal_path());
  }
  if (!journal.ok()) return with_advice(journal.error(), directory_.path());
  journal_ = std::move(*journal);
  if (!found.cut_report.empty()) log::warning("{}", found.cut_report);

  core::CoreOptions core_options;
  core_options.commits_endpoint = sockets_->commits_endpoint();
  core_options.news_endpoint = sockets_->news_endpoint();
  core_options.entry_bytes_max = journal_->entry_bytes_max();
  core_options.journal = fmt::format("{:016x}", journal_->seed());
  core_options.state_dir = directory_.state_path();
  char host[256] = {};
  if (::gethostname(host, sizeof(host) - 1) == 0) core_options.host = host;
  core_ = std::make_unique<core::Core>(owner->begins_with, core_options, *this);
  if (Status status = replay(*journal_, found, core_->ledger()); !status.ok()) {
    return with_advice(status.error(), directory_.path());
  }
  const auto sentences = core_->revise(topology_);
  if (!sentences.ok()) {
    return {Code::kRefused,
            fmt::format("{} was written by another topology: {}", directory_.path(), sentences.error().message)};
  }
  // It is an entry of the journal, one of the first.
  const std::uint64_t taken = sizeof(core::EntryHeader) + encode_resolved_briefly(core_->topology()).size();
  if (taken > journal_->entry_bytes_max()) {
    return {Code::kRefused,
            fmt::format("the topology takes {} bytes of the journal, and one entry of that {} at most: make "
                        "broker.segment_size larger, with another --data or --fresh, or keep less in \"config\"",
                        taken, journal_->entry_bytes_max())};
  }
  for (const std::string& sentence : *sentences) log::info("{}", sentence);
  if (Status status = write_owner(*owner, found); !status.ok()) return status;

  reader_ = std::make_unique<JournalReader>(*journal_, *disk_);
  keeper_ = std::make_unique<Keeper>(*journal_, *disk_);
  writer_ = std::make_unique<JournalWriter>(*journal_, topology_.broker.interval, mailbox_, *this);
  reader_thread_ = std::make_unique<TaskThread>("reader");
  keeper_thread_ = std::make_unique<TaskThread>("keeper");
  checkpoints_thread_ = std::make_unique<TaskThread>("checkpoints");
  spares_thread_ = std::make_unique<TaskThread>("spares");
  letter_desk_ = std::make_unique<LetterDesk>(*core_, *reader_, *reader_thread_, mailbox_);
  replay_desk_ = std::make_unique<ReplayDesk>(*core_, *reader_, *reader_thread_, mailbox_);
  core_->set_started_us(wall_now_us());
  core_->start(found.reign, {journal_->segment_oldest(), journal_->segment_newest()}, monotonic_now());
  probe_.recovery_seconds = std::chrono::duration<double>(monotonic_now() - start).count();
  return {};
}

Status Server::write_owner(const DataDir::Owner& before, const journal::Recovery& found) {
  const Status written = DataDir::write_owner(directory_.path(), core_->topology(), journal_->seed());
  const bool told_only = !before.journal && found.end.value() != 0 &&
                         encode_resolved(before.topology) == encode_resolved(core_->topology());
  if (written.ok() || !told_only || written.error().code != Code::kDiskFull) return written;
  // A directory of an earlier version, on a full disk: it is served as ever.
  log::warning(
      "{}/weir.json does not name its journal for want of room, so that until a later start a journal that is gone "
      "would not be missed",
      directory_.path());
  return {};
}

void Server::announce() {
  write_endpoint();
  const std::string http = http_ ? http_->address() : "";
  ordered_json workers = ordered_json::object();
  for (const auto& [stage, wanted] : core_->workers_wanted()) workers[core_->topology().stages[stage].name] = wanted;
  ordered_json libraries = ordered_json::object();
  for (std::uint32_t stage = 0; stage < core_->topology().stages.size(); ++stage) {
    if (const core::StageLibrary* library = core_->ledger().library(stage))
      libraries[core_->topology().stages[stage].name] = library_json(library);
  }
  launcher_.say({{"event", "ready"},
                 {"endpoint", sockets_->endpoint()},
                 {"http", http.empty() ? ordered_json(nullptr) : ordered_json(http)},
                 {"recovery_seconds", probe_.recovery_seconds},
                 {"journal", fmt::format("{:016x}", journal_->seed())},
                 {"workers", std::move(workers)},
                 {"libraries", std::move(libraries)}});
}

void Server::write_endpoint() {
  const Status status = directory_.announce(sockets_->endpoint(), http_ ? http_->address() : "", topology_.name);
  if (status.ok()) {
    endpoint_due_.reset();
    return;
  }
  // A full disk, as a rule: until there is room, commands do not find this broker.
  if (!endpoint_due_) log::warning("{}", status.error().message);
  endpoint_due_ = monotonic_now() + kEndpointAgain;
}

Exit Server::run() {
  announce();
  core_->pump(monotonic_now());
  say_status();
  while (!exit_) turn();
  return *exit_;
}

void Server::turn() {
  const std::array descriptors = {mailbox_.descriptor(), signals_, launcher_.descriptor()};
  const std::size_t count = launcher_.descriptor() >= 0 ? 3 : 2;
  const Sockets::Ready ready = sockets_->wait(std::span(descriptors).first(count), wait_most());
  const auto [mail, signalled, launcher_spoke] = ready.descriptors;
  if (mail) mailbox_.run();
  for (int i = 0; ready.clients && i < kClientsPerTurn; ++i) {
    auto from = sockets_->receive_client();
    if (!from) break;
    active_at_ = monotonic_now();
    const auto map = wire::MapReader::parse(from->message);
    if (map.ok() && letter_desk_->take(from->client, *map, *this)) continue;
    if (map.ok() && replay_desk_->take(from->client, *map, *this)) continue;
    core_->on_client(from->client, from->message, monotonic_now());
  }
  for (int i = 0; ready.commits && i < kCommitsPerTurn; ++i) {
    auto message = sockets_->receive_commit();
    if (!message) break;
    core_->on_message(*message, monotonic_now());
  }
  if (launcher_spoke && !launcher_.receive([this](const ordered_json& event) { on_launcher(event); })) {
    log::warning("the launcher is gone");
    exit_ = Exit::kOrphaned;
  }
  if (signalled) on_signal();
  const Monotonic now = monotonic_now();
  letter_desk_->do_work(*this);
  replay_desk_->do_work(*this);
  if (now - ticked_ >= (quiet(now) ? kQuietTick : kTick)) {
    tick(now);
  } else {
    core_->pump(now);
  }
  write_gathered(now);
}

bool Server::quiet(Monotonic now) const { return now - active_at_ >= kQuietAfter && !core_->low_on_space(); }

std::chrono::milliseconds Server::wait_most() const {
  const auto due = gathering_.due_at();
  if (!due) return quiet(monotonic_now()) ? kQuietTick : kTick;
  return std::chrono::ceil<std::chrono::milliseconds>(std::clamp<Monotonic>(*due - monotonic_now(), 0ms, kTick));
}

void Server::tick(Monotonic now) {
  ticked_ = now;
  watch_space(now);
  core_->tick(now);
  watch_retention(now);
  if (!spare_asked_ && now - spare_asked_at_ >= (quiet(now) ? kQuietSpareEvery : kSpareEvery)) {
    spare_asked_ = true;
    spare_asked_at_ = now;
    spares_thread_->post([this] {
      const Status status = journal_->prepare_spare();
      mailbox_.post([this, status] {
        spare_asked_ = false;
        if (!status.ok() && status.error().code != Code::kDiskFull) log::warning("{}", status.error().message);
      });
    });
  }
  if (now - status_said_ >= kStatusEvery) say_status();
  if (endpoint_due_ && now >= *endpoint_due_) write_endpoint();
}

void Server::watch_space(Monotonic now) {
  core_->set_space(journal_full_ || journal_->low_on_space(), journal_full_ || journal_->out_of_spares());
  const bool low = core_->low_on_space();
  if (low && !space_warned_) {
    // Where it comes and goes from one moment to the next it is said once in a while.
    if (space_warned_at_.count() != 0 && now - space_warned_at_ < kSpaceWarnedEvery) return;
    log::warning("the disk under {} is full: sources and producers wait until there is room; nothing is lost",
                 directory_.path());
    space_warned_ = true;
    space_warned_at_ = now;
  } else if (!low && space_warned_) {
    log::info("there is room on the disk under {} again", directory_.path());
    space_warned_ = false;
  }
}

void Server::watch_retention(Monotonic now) {
  retained_less_told_.resize(topology_.streams.size());
  retained_less_told_at_.resize(topology_.streams.size());
  for (std::uint32_t stream = 0; stream < topology_.streams.size(); ++stream) {
    const std::uint64_t less = core_->ledger().stream(stream).retained_less;
    const Monotonic told_at = retained_less_told_at_[stream];
    if (less == retained_less_told_[stream] || (told_at.count() != 0 && now - told_at < kRetainedLessToldEvery))
      continue;
    log::warning(
        "stream \"{}\" keeps less than its \"retention\" wants: {} consumed records went early, for which there is no "
        "room in an eighth of \"broker.memory\"; a replay reaches back less far. Raise \"broker.memory\" or keep less",
        topology_.streams[stream].name, less - retained_less_told_[stream]);
    retained_less_told_[stream] = less;
    retained_less_told_at_[stream] = now;
  }
}

void Server::say_status() {
  const Monotonic now = monotonic_now();
  ordered_json status = {
      {"event", "status"},           {"state", core_->state_name()},          {"in", core_->records_in()},
      {"out", core_->records_out()}, {"dead_letters", core_->dead_letters()}, {"waiting", core_->waiting()}};
  if (const std::string outside = core_->waits_outside(); !outside.empty()) status["waits_outside"] = outside;
  std::string text = status.dump();
  if (text != status_last_) {
    const double seconds = std::chrono::duration<double>(now - status_said_).count();
    const std::uint64_t records = core_->records_in();
    status["records_per_second"] =
        status_said_.count() == 0 ? 0.0 : static_cast<double>(records - records_last_) / seconds;
    records_last_ = records;
    launcher_.say(status);
    status_last_ = std::move(text);
  }
  status_said_ = now;
  if (sockets_->wanted(kStatusTopic)) sockets_->publish(kStatusTopic, core_->status_message());
}

void Server::on_launcher(const ordered_json& event) {
  const std::string name = event.value("event", "");
  if (name == "drain") {
    core_->drain(monotonic_now());
  } else if (name == "stop") {
    core_->stop();
    exit_ = Exit::kDone;
  } else if (name == "died") {
    const Topology& topology = core_->topology();
    const StageSpec* spec = topology.find_stage(event.value("stage", ""));
    if (spec == nullptr) return;
    std::optional<core::FatalRecord> fatal;
    if (const auto record = event.find("record"); record != event.end() && record->is_object()) {
      fatal = {record->value("stream", 0U),
               record->value("shard", 0U),
               record->value("offset", std::uint64_t{0}),
               record->value("requeued", std::uint64_t{0}),
               event.value("cause", "an unknown cause"),
               Incarnation(record->value("producer", std::uint64_t{0})),
               record->value("alone", false)};
    }
    core_->on_died(static_cast<std::uint32_t>(spec - topology.stages.data()), event.value("worker", 0U),
                   event.value("pid", std::int64_t{0}), monotonic_now(), fatal);
  } else if (name == "libraries") {
    std::map<std::uint32_t, core::LibraryVersion> in_file;
    const ordered_json libraries = event.value("libraries", ordered_json::object());
    for (const auto& [stage, version] : libraries.items()) {
      const StageSpec* spec = core_->topology().find_stage(stage);
      if (spec == nullptr || !version.is_object()) continue;
      in_file[static_cast<std::uint32_t>(spec - core_->topology().stages.data())] = {
          version.value("hash", ""), version.value("name", ""), version.value("origin", "")};
    }
    core_->on_libraries(in_file, monotonic_now());
  } else if (name == "upgrade_failed") {
    const StageSpec* spec = core_->topology().find_stage(event.value("stage", ""));
    if (spec == nullptr) return;
    core_->on_upgrade_failed(static_cast<std::uint32_t>(spec - core_->topology().stages.data()),
                             event.value("hash", ""), event.value("reason", ""), monotonic_now());
  }
}

void Server::on_signal() {
  signalfd_siginfo got{};
  while (read(signals_, &got, sizeof(got)) == sizeof(got)) {
    // Ctrl-C reaches the launcher, which drains; a broker of its own drains by itself.
    if (launcher_.descriptor() >= 0 && got.ssi_signo == SIGINT) continue;
    if (launcher_.descriptor() >= 0 || core_->state_name() == "draining" || finished_) {
      core_->stop();
      exit_ = Exit::kDone;
    } else {
      core_->drain(monotonic_now());
    }
  }
}

void Server::append(core::NewEntry entry) {
  const Monotonic now = monotonic_now();
  active_at_ = now;
  committing_.emplace_back(entry.sequence, now);
  gathering_.add(std::move(entry), now);
  write_gathered(now);
}

void Server::sync() {
  gathering_.hurry();
  write_gathered(monotonic_now());
  writer_->sync_soon();
}

void Server::write_gathered(Monotonic now) {
  if (gathering_.due(now)) writer_->post(gathering_.take());
}

void Server::on_written(const std::vector<Written>& written) {
  for (const Written& entry : written) core_->on_written(entry.sequence, entry.position.segment, entry.position.offset);
}

void Server::on_settled(Sequence sequence) {
  const Monotonic now = monotonic_now();
  while (!committing_.empty() && committing_.front().first < sequence) {
    probe_.commit_seconds.add(std::chrono::duration<double>(now - committing_.front().second).count());
    committing_.pop_front();
  }
  core_->on_settled(sequence, now);
}

void Server::on_synced(double seconds, Sequence durable) {
  probe_.fsync_seconds.add(seconds);
  core_->on_durable(durable);
}

void Server::on_journal_failed(const Error& error) {
  if (error.code == Code::kCorrupt || error.code == Code::kRefused) {
    // What was read back is damaged, or of a format to come: a new broker would meet the same.
    const Error told = with_advice(error, directory_.path());
    log::error("{}", told.message);
    launcher_.say({{"event", "failed"}, {"reason", told.message}, {"code", std::string(to_string(told.code))}});
    exit_ = Exit::kRefused;
    return;
  }
  log::error("the journal cannot be written: {}; the broker ends, and a new one recovers what is on disk",
             error.message);
  exit_ = Exit::kJournalFailed;
}

void Server::read_frame(std::uint32_t stream, std::uint64_t frame, core::Place place) {
  reader_thread_->post([this, stream, frame, place] {
    auto bytes = reader_->read(place);
    mailbox_.post([this, stream, frame, place, bytes = std::move(bytes)]() mutable {
      const bool moved = !bytes.ok() && bytes.error().code == Code::kNotFound && !core_->lies_at(stream, frame, place);
      if (!bytes.ok() && !moved) return on_journal_failed(bytes.error());
      core_->on_frame(stream, frame, moved ? Bytes() : std::move(*bytes));
    });
  });
}

void Server::restore(core::RestoreJob job) {
  const bool unwritten = std::any_of(job.parts.begin(), job.parts.end(), [](const auto& part) {
    return !part.tail.empty() && !part.tail.back().place.written();
  });
  WEIR_CHECK(!unwritten, "the core asks for what is written");
  reader_thread_->post([this, job = std::move(job)]() mutable {
    const Status status = reader_->restore(job, [&](const wire::StatePart& part) -> Status {
      auto held = std::make_shared<Bytes>(part.changes.begin(), part.changes.end());
      wire::StatePart posted = part;
      posted.changes = *held;
      mailbox_.post([this, incarnation = job.incarnation, posted, held] { core_->on_state(incarnation, posted); });
      return {};
    });
    mailbox_.post([this, job = std::move(job), status]() mutable {
      status.ok() ? core_->on_restored(std::move(job)) : on_journal_failed(status.error());
    });
  });
}

void Server::compact(core::CompactJob job) {
  keeper_thread_->post([this, job = std::move(job)]() mutable {
    const Status status = keeper_->compact(job);
    if (!status.ok()) job.result.file = 0;
    job.lacks_room = !status.ok() && status.error().code == Code::kDiskFull;
    mailbox_.post([this, job = std::move(job), status] {
      const bool unreadable =
          !status.ok() && (status.error().code == Code::kCorrupt || status.error().code == Code::kRefused);
      if (unreadable) return on_journal_failed(status.error());
      if (!status.ok()) log::warning("a snapshot could not be written: {}", status.error().message);
      core_->on_compacted(job);
    });
  });
}

void Server::copy(core::CopyJob job) {
  reader_thread_->post([this, job = std::move(job)]() mutable {
    const Status status = reader_->copy(job);
    mailbox_.post([this, job = std::move(job), status] {
      status.ok() ? core_->on_copied(job) : on_journal_failed(status.error());
    });
  });
}

void Server::write_checkpoint(core::CheckpointJob job) {
  // Not behind a snapshot, which may take long: what a start has to read grows until the checkpoint is there.
  checkpoints_thread_->post([this, job = std::move(job)] {
    const auto payload = keeper_->checkpoint(job);
    mailbox_.post([this, payload] {
      if (!payload.ok()) log::warning("a checkpoint could not be written: {}", payload.error().message);
      const bool lacks_room = !payload.ok() && payload.error().code == Code::kDiskFull;
      core_->on_checkpoint(payload.ok() ? BytesView(*payload) : BytesView(), lacks_room);
    });
  });
}

void Server::notify(core::Notice notice) {
  using Kind = core::Notice::Kind;
  const std::string& stage = core_->topology().stages[notice.stage].name;
  switch (notice.kind) {
    case Kind::kFenced:
      log::warning("worker {}/{} lost its rights: {}", stage, notice.worker, notice.reason);
      return launcher_.say({{"event", "fenced"},
                            {"stage", stage},
                            {"worker", notice.worker},
                            {"pid", notice.pid},
                            {"reason", notice.reason}});
    case Kind::kLeft:
      return log::info("worker {}/{} was asked to go and has left: what it held goes to others", stage, notice.worker);
    case Kind::kCommitted:
      return launcher_.say({{"event", "committed"}, {"stage", stage}, {"worker", notice.worker}, {"pid", notice.pid}});
    case Kind::kStageFailed:
      return launcher_.say(
          {{"event", "stage_failed"}, {"stage", stage}, {"worker", notice.worker}, {"reason", notice.reason}});
    case Kind::kStageFinished:
      return launcher_.say({{"event", "stage_finished"}, {"stage", stage}});
    case Kind::kScaled:
      log::info("stage {} is to have {} workers: {}", stage, notice.workers, notice.reason);
      return launcher_.say({{"event", "scaled"}, {"workers", {{stage, notice.workers}}}});
    case Kind::kUpgraded: {
      const core::StageLibrary* library = core_->ledger().library(notice.stage);
      log::info("stage {} is to run with {}: {}", stage, library != nullptr ? library->now.name : "its own library",
                notice.reason);
      return launcher_.say({{"event", "upgraded"},
                            {"stage", stage},
                            {"reason", notice.reason},
                            {"libraries", {{stage, library_json(library)}}}});
    }
    case Kind::kFinished:
      finished_ = true;
      say_status();
      return launcher_.say({{"event", "finished"}});
    case Kind::kDrained:
      say_status();
      launcher_.say({{"event", "drained"}});
      if (launcher_.descriptor() < 0) {
        core_->stop();
        exit_ = Exit::kDone;
      }
      return;
  }
}

HttpAnswer Server::answer(const std::string& path) {
  if (path == "/metrics") {
    return {200, "text/plain; version=0.0.4; charset=utf-8", render_metrics(*core_, probe_, journal_->probe())};
  }
  if (path == "/healthz") {
    std::string why = journal_full_ ? "the disk is full: the journal does not accept writes" : core_->unhealthy();
    if (why.empty()) return {200, "text/plain", "ok\n"};
    return {503, "text/plain", why + "\n"};
  }
  if (path == "/api/topology") return {200, "application/json", file_ + "\n"};
  if (path == "/api/status") return {200, "application/json", core_->status_text() + "\n"};
  for (const char* part : {"stages", "streams", "workers"}) {
    if (path == std::string("/api/") + part) {
      return {200, "application/json", ordered_json::parse(core_->status_text())[part].dump() + "\n"};
    }
  }
  return {404, "application/json", "{\"error\": \"there is nothing at this path\"}\n"};
}

}  // namespace weir::server
