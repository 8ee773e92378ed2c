// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/supervisor.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "sdk/topology/resolved_file.h"

namespace weir::launcher {
namespace {

constexpr Monotonic kDrainMax = std::chrono::seconds(10);
constexpr Monotonic kStopMax = std::chrono::seconds(5);
/// So often in a row SIGKILL meets a worker at one record before that is remarked.
constexpr int kKillsRemarked = 5;
/// How long workers may take to end once the broker has: they cannot commit any more.
constexpr Monotonic kFarewellMax = std::chrono::milliseconds(300);
/// How long to wait for the word whether there is anything left to do.
constexpr Monotonic kFirstStatusMax = std::chrono::milliseconds(200);

bool hosts_console(const Topology& topology, const StageSpec& head) {
  const auto index = static_cast<std::uint32_t>(&head - topology.stages.data());
  return std::ranges::any_of(topology.stages, [index](const StageSpec& stage) {
    return stage.host == index && stage.plugin == "console.print";
  });
}

}  // namespace

Supervisor::Supervisor(RunOptions options, Programs programs, const Plugins& plugins, Screen& screen, Signals& signals)
    : options_(std::move(options)),
      programs_(std::move(programs)),
      screen_(screen),
      signals_(signals),
      progress_(options_.topology.name, screen, monotonic_now(), /*quiet=*/options_.log_level == "error"),
      broker_("broker: ", screen),
      libraries_(options_.topology, plugins, options_.data_dir, programs_.stage_library),
      oom_kills_(own_oom_counter()) {
  const std::vector<StageSpec>& stages = options_.topology.stages;
  for (std::uint32_t i = 0; i < stages.size(); ++i) {
    if (stages[i].host != i) continue;
    if (options_.stages && std::ranges::find(*options_.stages, stages[i].name) == options_.stages->end()) continue;
    numbers_[stages[i].name] = stages[i].workers;
  }
}

Supervisor::~Supervisor() = default;

int Supervisor::run() {
  start_broker();
  while (phase_ != Phase::kStopping || anything_runs()) turn(monotonic_now());
  remove_socket_folder();
  screen_.line(last_line());
  screen_.close(std::chrono::seconds(1));
  if (stopped_at_once_by_ != 0) return 128 + stopped_at_once_by_;
  return outcome_ == Outcome::kFailed ? 1 : 0;
}

/// One round: wait for something, take all that there is, then what time asks for.
void Supervisor::turn(Monotonic now) {
  std::vector<pollfd> wanted{{signals_.fd(), POLLIN, 0}};
  if (channel_ && channel_->open_still())
    wanted.push_back({channel_->fd(), static_cast<short>(POLLIN | (channel_->waiting() ? POLLOUT : 0)), 0});
  if (broker_.fd() >= 0) wanted.push_back({broker_.fd(), POLLIN, 0});
  for (const Worker& worker : workers_) {
    if (worker.process.fd() >= 0) wanted.push_back({worker.process.fd(), POLLIN, 0});
  }
  if (screen_.waiting()) wanted.push_back({STDERR_FILENO, POLLOUT, 0});
  const auto patience =
      std::chrono::ceil<std::chrono::milliseconds>(std::max(Monotonic(0), next_deadline() - now)).count();
  ::poll(wanted.data(), wanted.size(), static_cast<int>(std::min<std::int64_t>(patience, 1000)));

  while (const int number = signals_.next()) on_signal(number);
  // The broker's words come before the deaths: it announces that workers will end before it lets them.
  if (channel_) {
    channel_->write_some();
    read_channel();
    if (!channel_->open_still() && phase_ != Phase::kStopping) broker_.kill();  // it cannot be spoken with any more
  }
  broker_.read();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    Worker& worker = workers_[i];
    worker.process.read();
    const pid_t pid = worker.process.pid();
    const std::optional<Ending> ending = worker.process.reap();
    if (!ending) continue;
    read_channel();  // it may have been told to end since
    on_worker_death(worker, pid, *ending);
  }
  if (const std::optional<Ending> ending = broker_.reap()) {
    read_channel();
    on_broker_death(*ending);
  }

  const Monotonic after = monotonic_now();
  oom_kills_.watch(after);
  if (broker_start_at_ && after >= *broker_start_at_) start_broker();
  for (Worker& worker : workers_) {
    if (worker.wanted && !worker.process.running() && after >= worker.start_at) start_worker(worker);
  }
  if (phase_ == Phase::kDraining && after >= deadline_) on_drained();
  if (phase_ == Phase::kStopping && after >= deadline_) {
    name_stragglers();
    kill_all();
  }
  if (phase_ != Phase::kStopping) progress_.tick(after);
  screen_.write_some();
}

void Supervisor::read_channel() {
  if (channel_) channel_->read([this](const BrokerEvent& event) { on_event(event); });
}

Monotonic Supervisor::next_deadline() const {
  Monotonic next = phase_ == Phase::kStopping ? deadline_ : progress_.next_tick();
  if (phase_ == Phase::kDraining) next = std::min(next, deadline_);
  if (broker_start_at_) next = std::min(next, *broker_start_at_);
  for (const Worker& worker : workers_) {
    if (worker.wanted && !worker.process.running()) next = std::min(next, worker.start_at);
  }
  return next;
}

void Supervisor::on_signal(int number) {
  if (number == SIGCHLD) return;
  if (++signals_seen_ > 1) {
    stopped_at_once_by_ = number;
    stop(Outcome::kStopped);
    kill_all();
    return;
  }
  if (phase_ == Phase::kHolding || phase_ == Phase::kStarting) {
    stop(finished_at_ ? Outcome::kFinished : Outcome::kStopped);
  } else if (phase_ == Phase::kRunning) {
    phase_ = Phase::kDraining;
    progress_.set_state("draining");
    deadline_ = monotonic_now() + kDrainMax;
    for (Worker& worker : workers_) worker.wanted = false;
    channel_->say_drain();
  }
}

void Supervisor::on_event(const BrokerEvent& event) {
  if (phase_ == Phase::kStopping && event.event != "status") return;
  Worker* worker = find(event.stage, event.worker, event.pid);
  if (event.event == "ready") {
    on_ready(event);
  } else if (event.event == "status") {
    on_status(event);
  } else if (event.event == "finished") {
    on_finished();
  } else if (event.event == "drained") {
    on_drained();
  } else if (event.event == "fenced") {
    // Fenced workers exit by themselves, but one that is stopped or stuck cannot. The broker has taken its leases.
    if (worker != nullptr && worker->process.pid() == event.pid) worker->process.kill();
  } else if (event.event == "committed") {
    if (worker != nullptr) worker->process.policy().on_commit();
    broker_.policy().on_commit();
  } else if (event.event == "stage_finished") {
    for (Worker& of_stage : workers_) {
      if (of_stage.stage->name != event.stage) continue;
      of_stage.finished = true;
      of_stage.wanted = false;
    }
  } else if (event.event == "scaled") {
    want_workers(event.workers);
  } else if (event.event == "upgraded") {
    on_upgraded(event);
  } else if (event.event == "stage_failed") {
    fail(event.worker >= 0 ? fmt::format("stage {}, worker {}: {}", event.stage, event.worker, event.reason)
                           : fmt::format("stage {}: {}", event.stage, event.reason));
  } else if (event.event == "failed") {
    fail(event.reason);
  }
}

void Supervisor::on_ready(const BrokerEvent& event) {
  const bool again = std::exchange(fresh_done_, true);
  journal_ = event.journal;
  endpoint_ = event.endpoint;
  constexpr std::string_view kIpc = "ipc://";
  if (endpoint_.starts_with(kIpc)) socket_folder_ = std::filesystem::path(endpoint_.substr(kIpc.size())).parent_path();
  runtime_dir_.reset();
  progress_.set_state("");
  if (!again && !event.http.empty()) note(fmt::format("metrics and status at {}/metrics", event.http));
  if (phase_ != Phase::kStarting) return;
  if (const Status chosen = libraries_.choose(event.libraries); !chosen) return fail(chosen.error().message);
  for (const std::string& problem : libraries_.keep_own()) note(fmt::format("{}: it cannot be gone back to", problem));
  if (!again) libraries_.forget_others();
  for (const std::string& sentence : again ? std::vector<std::string>() : libraries_.chosen_otherwise()) note(sentence);
  std::map<std::string, LibrarySaid> here;
  for (const auto& [stage, own] : libraries_.own()) {
    const StageSpec& host = options_.topology.stages[options_.topology.find_stage(stage)->host];
    if (numbers_.contains(host.name)) here[stage] = own;
  }
  channel_->say_libraries(here);
  want_workers(event.workers);
  phase_ = Phase::kRunning;
  const Monotonic now = monotonic_now();
  for (Worker& worker : workers_) {
    worker.finished = finished_at_.has_value();
    worker.wanted = !worker.finished && !worker.superfluous;
    worker.start_at = now + kFirstStatusMax;
  }
  status_awaited_ = true;
}

void Supervisor::on_status(const BrokerEvent& event) {
  progress_.on_status(event);
  if (event.state == "finished") on_finished();
  first_status_ = false;
  if (!std::exchange(status_awaited_, false)) return;
  for (Worker& worker : workers_) worker.start_at = monotonic_now();
}

void Supervisor::on_finished() {
  if (phase_ != Phase::kRunning && phase_ != Phase::kDraining) return;
  const bool news = !finished_at_.has_value();
  if (news) finished_at_ = monotonic_now();
  if (news && first_status_) note("has finished already; --fresh starts over");
  for (Worker& worker : workers_) {
    worker.finished = true;
    worker.wanted = false;
  }
  if (!options_.hold || signals_seen_ != 0) return stop(Outcome::kFinished);
  phase_ = Phase::kHolding;
  if (news) note("has finished and stays up until Ctrl-C, as --hold asks");
}

void Supervisor::want_workers(const std::map<std::string, std::uint32_t>& wanted) {
  for (auto& [name, number] : numbers_) {  // of other stages workers are started elsewhere
    if (const auto said = wanted.find(name); said != wanted.end()) number = said->second;
    arrange(*options_.topology.find_stage(name));
  }
}

void Supervisor::arrange(const StageSpec& host) {
  const Monotonic now = monotonic_now();
  const std::uint32_t number = std::min(numbers_.at(host.name), kWorkersMax);
  const std::string libraries = libraries_.text_of(host);
  std::vector<bool> known(number);
  for (Worker& worker : workers_) {
    if (worker.stage != &host) continue;
    const bool stays = worker.libraries == libraries && worker.number < number;
    const bool comes_back = std::exchange(worker.superfluous, !stays) && stays;
    if (stays) known[worker.number] = true;
    if (!stays) worker.wanted = false;
    if (!comes_back || phase_ != Phase::kRunning || worker.finished || worker.process.running()) continue;
    worker.process.policy() = RestartPolicy();
    worker.wanted = true;
    worker.start_at = now;
  }
  for (std::uint32_t next = 0; next < number; ++next) {
    if (known[next]) continue;
    add_worker(host, next, libraries);
    workers_.back().wanted = phase_ == Phase::kRunning;
    workers_.back().start_at = now;
  }
}

void Supervisor::on_upgraded(const BrokerEvent& event) {
  const StageSpec* stage = options_.topology.find_stage(event.stage);
  if (stage == nullptr) return;
  if (const Status chosen = libraries_.choose(event.libraries); !chosen) return fail(chosen.error().message);
  const StageSpec& host = options_.topology.stages[stage->host];
  upgrade_deaths_[host.name].over();
  if (numbers_.contains(host.name)) arrange(host);
}

bool Supervisor::give_up_upgrade(Worker& worker, const std::string& why) {
  if (worker.superfluous) return false;
  bool any = false;
  for (const auto& [stage, hash] : libraries_.unproven(*worker.stage)) {
    channel_->say_upgrade_failed(stage, hash, why);
    any = true;
  }
  return any;
}

void Supervisor::on_drained() {
  if (phase_ == Phase::kDraining) stop(Outcome::kStopped);
}

void Supervisor::on_worker_death(Worker& worker, pid_t pid, Ending ending) {
  const std::optional<LastWork> last = worker.page ? worker.page->read() : std::nullopt;
  const bool at_work = last && last->doing != wire::Doing::kNothing;
  ending.for_memory = ending.signalled && ending.number == SIGKILL && !worker.voided && oom_kills_.take();
  // A worker ends by itself only between calls: whoever exits within one, with whatever code, is the plugin.
  const bool own_fault = is_own_fault(ending) || (at_work && !ending.signalled);
  if (std::exchange(worker.voided, false) || phase_ == Phase::kStopping || phase_ == Phase::kStarting) return;
  // What kills with a library that has yet to prove itself is laid to the library: records are not judged by it.
  const bool unproven = !worker.superfluous && !libraries_.unproven(*worker.stage).empty();
  const bool of_record = own_fault && last && last->of_record() && !unproven;
  channel_->say_died(worker.stage->name, worker.number, pid, own_fault, ending, of_record ? last : std::nullopt);
  if (worker.finished || worker.superfluous || phase_ == Phase::kDraining) return;

  const Monotonic now = monotonic_now();
  using Death = RestartPolicy::Death;
  const bool hung = !ending.signalled && ending.number == kExitDeadline;
  const Death death = of_record   ? Death::kOfRecord
                      : hung      ? Death::kHung
                      : own_fault ? Death::kOwnFault
                                  : Death::kOutside;
  const RestartPolicy::Verdict verdict = worker.process.policy().on_death(now, death, worker.stage->retries);
  const bool too_many = unproven && own_fault && libraries_.may_go_back(*worker.stage) &&
                        upgrade_deaths_[worker.stage->name].on_death(worker.libraries);
  const std::string words = worker.process.last_words();
  const std::string at = at_work ? fmt::format(" while {}", work_text(*last)) : std::string();
  const std::string name = fmt::format("{}/{}", worker.stage->name, worker.number);
  if (verdict.give_up || too_many) {
    const std::string deaths =
        too_many ? fmt::format("its workers died {} times, last worker {}", RestartPolicy::kDeathsMax, worker.number)
                 : fmt::format("worker {} died {} times in a row without a commit, last", worker.number,
                               RestartPolicy::kDeathsMax);
    const std::string why =
        fmt::format("{} by {}{}{}{}", deaths, cause_text(ending), at, words.empty() ? "" : "; its last words: ", words);
    if (unproven && give_up_upgrade(worker, why)) return;
    fail(fmt::format("stage {} is given up on: worker {} died {} times in a row without a commit, last by {}{}{}{}",
                     worker.stage->name, worker.number,
                     of_record ? RestartPolicy::kRecordDeathsMax + static_cast<int>(worker.stage->retries)
                               : RestartPolicy::kDeathsMax,
                     cause_text(ending), at, words.empty() ? "" : "; its last words: ", words));
    return;
  }
  if (ending.signalled && ending.number == SIGKILL && !own_fault && last && last->of_record())
    count_kill(worker, *last);
  if (options_.log_level != "error")
    note(fmt::format("worker {} ended by {}{}, starting it again in {:.1f} s", name, cause_text(ending), at,
                     static_cast<double>(verdict.delay.count()) / 1e6));
  worker.wanted = true;
  worker.start_at = now + verdict.delay;
}

std::string Supervisor::work_text(const LastWork& last) const {
  const auto& stages = options_.topology.stages;
  const auto& streams = options_.topology.streams;
  std::string text(wire::to_string(last.doing));
  if (last.stage < stages.size()) text += fmt::format(" of stage {}", stages[last.stage].name);
  if (last.doing == wire::Doing::kProcess && last.stream < streams.size())
    text += fmt::format(" (\"{}\", shard {}, about offset {})", streams[last.stream].name, last.shard, last.offset);
  return text;
}

void Supervisor::count_kill(const Worker& worker, const LastWork& last) {
  KilledAt& at = killed_at_[{worker.stage->name, last.stream, last.shard}];
  // A record that was committed does not come again: where it is the same, nothing was done between.
  if (at.offset != last.offset || at.requeued != last.requeued) at = {last.offset, last.requeued, 0};
  if (++at.times != kKillsRemarked || options_.log_level == "error") return;
  const auto& streams = options_.topology.streams;
  note(fmt::format(
      "warning: workers of stage {} were killed by SIGKILL {} times in a row at the same record: stream \"{}\", shard "
      "{}, "
      "{} {}. A kill from outside is laid to no record, so it is tried for ever. If it takes more memory than there "
      "is, "
      "give the stage a \"memory\" below what the machine or container has, so that Weir's own limit finds the record",
      worker.stage->name, at.times, last.stream < streams.size() ? streams[last.stream].name : "?", last.shard,
      last.requeued != 0 ? "requeued number" : "offset", last.requeued != 0 ? last.requeued : last.offset));
}

void Supervisor::on_broker_death(Ending ending) {
  channel_.reset();
  endpoint_.clear();
  runtime_dir_.reset();
  void_workers();
  if (phase_ == Phase::kStopping) {
    deadline_ = std::min(deadline_, monotonic_now() + kFarewellMax);
    return;
  }
  if (phase_ == Phase::kDraining) {  // nothing is lost: what was not committed is done again by the next run
    note(fmt::format("the broker ended by {} while draining", ending.text()));
    stop(Outcome::kStopped);
    return;
  }
  phase_ = Phase::kStarting;
  progress_.set_state("restarting");
  const Monotonic now = monotonic_now();
  const bool own_fault = is_own_fault(ending) || !ending.signalled;
  // For the sentence alone, and so that it is laid to no worker: the broker is started again as after any SIGKILL.
  ending.for_memory = ending.signalled && ending.number == SIGKILL && oom_kills_.take();
  const RestartPolicy::Verdict verdict =
      broker_.policy().on_death(now, own_fault ? RestartPolicy::Death::kOwnFault : RestartPolicy::Death::kOutside);
  const std::string words = broker_.last_words();
  if (verdict.give_up) {
    fail(fmt::format("the broker is given up on: it died {} times in a row without a commit, last by {}{}{}",
                     RestartPolicy::kDeathsMax, ending.text(), words.empty() ? "" : "; its last words: ", words));
    return;
  }
  if (options_.log_level != "error")
    note(fmt::format("the broker ended by {}, starting it again in {:.1f} s", cause_text(ending),
                     static_cast<double>(verdict.delay.count()) / 1e6));
  broker_start_at_ = now + verdict.delay;
}

void Supervisor::start_broker() {
  broker_start_at_.reset();
  Result<RuntimeDir> folder = RuntimeDir::make();
  if (!folder) return fail(folder.error().message);
  runtime_dir_ = *std::move(folder);
  const Result<std::string> resolved = runtime_dir_->write("topology.json", encode_resolved(options_.topology));
  if (!resolved) return fail(resolved.error().message);
  const Result<std::string> file = runtime_dir_->write("file.json", options_.file);
  if (!file) return fail(file.error().message);
  Result<ControlChannel::Pair> pair = ControlChannel::open();
  if (!pair) return fail(pair.error().message);
  std::vector<std::string> argv = {programs_.broker,
                                   "--topology",
                                   *resolved,
                                   "--file",
                                   *file,
                                   "--data",
                                   options_.data_dir,
                                   "--launcher-fd",
                                   std::to_string(pair->theirs.get()),
                                   "--log-level",
                                   options_.log_level};
  if (options_.fresh && !fresh_done_) argv.emplace_back("--fresh");
  if (!journal_.empty()) argv.insert(argv.end(), {"--served", journal_});
  const Status started = broker_.start(std::move(argv), /*own_stdout=*/false, pair->theirs.get(), monotonic_now());
  if (!started) return fail(started.error().message);
  channel_ = std::move(pair->ours);
}

void Supervisor::add_worker(const StageSpec& stage, std::uint32_t number, const std::string& libraries) {
  workers_.push_back({.stage = &stage,
                      .number = number,
                      .libraries = libraries,
                      .process = Supervised(fmt::format("{}/{}: ", stage.name, number), screen_),
                      .page = std::nullopt});
}

void Supervisor::start_worker(Worker& worker) {
  worker.wanted = false;
  std::vector<std::string> argv = {programs_.stage,
                                   "--broker",
                                   endpoint_,
                                   "--stage",
                                   worker.stage->name,
                                   "--worker",
                                   std::to_string(worker.number),
                                   "--log-level",
                                   options_.log_level};
  for (std::string& argument : libraries_.arguments(*worker.stage)) argv.push_back(std::move(argument));
  Result<WorkerPage> page = WorkerPage::make();
  if (!page) return fail(page.error().message);
  argv.insert(argv.end(), {"--page", std::to_string(page->fd())});
  const bool own_stdout = hosts_console(options_.topology, *worker.stage);
  const Status started = worker.process.start(std::move(argv), own_stdout, page->fd(), monotonic_now());
  if (!started) return fail(started.error().message);
  page->close_fd();
  worker.page = *std::move(page);
}

/// The broker is gone, and with it every right that its workers had.
void Supervisor::void_workers() {
  for (Worker& worker : workers_) {
    worker.wanted = false;
    if (!worker.process.running() || phase_ == Phase::kStopping) continue;
    worker.voided = true;
    worker.process.kill();
  }
}

/// Ends everything: the broker tells the workers and then exits; who takes too long is killed. The first outcome
/// stands.
void Supervisor::stop(Outcome outcome) {
  if (phase_ == Phase::kStopping) return;
  phase_ = Phase::kStopping;
  outcome_ = outcome;
  deadline_ = monotonic_now() + kStopMax;
  broker_start_at_.reset();
  for (Worker& worker : workers_) worker.wanted = false;
  if (channel_) channel_->say_stop();
  if (!broker_.running()) deadline_ = monotonic_now() + kFarewellMax;
}

void Supervisor::fail(std::string_view reason) {
  if (phase_ == Phase::kStopping) return;
  failure_ = reason;
  stop(Outcome::kFailed);
}

std::string Supervisor::last_line() const {
  if (stopped_at_once_by_ != 0)
    return fmt::format("stopped {} at once; what was committed is kept, run again to go on", options_.topology.name);
  if (outcome_ == Outcome::kFailed) return fmt::format("failed {}: {}", options_.topology.name, failure_);
  return outcome_ == Outcome::kFinished ? progress_.finished(*finished_at_) : progress_.stopped();
}

/// Whoever is stuck in a plugin when all is over is not killed in silence.
void Supervisor::name_stragglers() {
  for (const Worker& worker : workers_) {
    const std::optional<LastWork> last =
        worker.process.running() && worker.page ? worker.page->read() : std::optional<LastWork>();
    if (last && last->doing != wire::Doing::kNothing)
      note(fmt::format("worker {}/{} is still {}; it is killed", worker.stage->name, worker.number, work_text(*last)));
  }
}

void Supervisor::kill_all() {
  for (Worker& worker : workers_) worker.process.kill();
  broker_.kill();
  deadline_ = monotonic_now() + kFarewellMax;
}

/// Workers that were killed leave their sockets; a folder of sockets only, which stands in for a data directory with
/// too long a path, goes with the topology.
void Supervisor::remove_socket_folder() const {
  if (!socket_folder_.filename().string().starts_with("weir-")) return;
  std::error_code ignored;
  std::vector<std::filesystem::path> sockets;
  for (const auto& entry : std::filesystem::directory_iterator(socket_folder_, ignored)) {
    if (entry.path().extension() == ".ipc") sockets.push_back(entry.path());
  }
  for (const auto& socket : sockets) std::filesystem::remove(socket, ignored);
  std::filesystem::remove(socket_folder_, ignored);
}

void Supervisor::note(std::string_view text) { screen_.line(fmt::format("{}: {}", options_.topology.name, text)); }

bool Supervisor::anything_runs() const {
  return broker_.running() ||
         std::ranges::any_of(workers_, [](const Worker& worker) { return worker.process.running(); });
}

Supervisor::Worker* Supervisor::find(std::string_view stage, std::int64_t number, std::int64_t pid) {
  const auto is = [&](const Worker& worker) { return worker.stage->name == stage && worker.number == number; };
  auto at = std::ranges::find_if(
      workers_, [&](const Worker& worker) { return is(worker) && pid > 0 && worker.process.pid() == pid; });
  if (at == workers_.end()) at = std::ranges::find_if(workers_, is);
  return at == workers_.end() ? nullptr : &*at;
}

}  // namespace weir::launcher
