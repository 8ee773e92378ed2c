// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/worker_process.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "sdk/wire/batch.h"
#include "sdk/wire/changes.h"
#include "sdk/wire/commit.h"
#include "sdk/wire/direct.h"
#include "sdk/wire/frame.h"
#include "tests/simulation/model_stages.h"
#include "weir/value.h"

namespace weir::simulation {
namespace {

constexpr std::uint64_t kTurns = 24;  ///< at most so many between two looks at what else happens

constexpr std::uint32_t kBrokenPerMillion = 3000;  ///< messages to another worker with which their connection ends

constexpr Monotonic kHelloDeadline = std::chrono::seconds(3);

Bytes without(wire::Space space, BytesView changes) {
  Bytes left;
  wire::ChangesReader reader(changes);
  while (const auto change = reader.next()) {
    if (change->space != space) wire::append_change(left, *change);
  }
  return left;
}

WorkerProcess* at_work_now = nullptr;

}  // namespace

WorkerProcess& WorkerProcess::at_work() { return *at_work_now; }

WorkerProcess::WorkerProcess(World& world, std::uint32_t stage, std::uint32_t index, std::int64_t pid)
    : world_(world),
      stage_(stage),
      index_(index),
      pid_(pid),
      says_(world.libraries_of(stage)),
      runs_(world.libraries_of(stage, world.has(Bug::kOldLibraryStarted) && pid % 2 == 0)) {}

WorkerProcess::~WorkerProcess() = default;

void WorkerProcess::begin() {
  begun_ = world_.now();
  wire::WorkerHello hello;
  hello.stage = world_.topology().stages[stage_].name;
  hello.worker = index_;
  hello.pid = pid_;
  hello.inbox = std::to_string(pid_);
  hello.libraries = says_;
  world_.say_hello(*this, wire::encode(hello));
}

void WorkerProcess::on_reply(BytesView message) {
  auto said = wire::decode_worker_welcome(message);
  if (!said.ok()) return exit(false);
  if (runner_ != nullptr) return;
  set_welcome(std::move(*said));
  at_work_now = this;
  chain_ = std::make_unique<host::Chain>(topology(), stage_, index_);
  const Status created =
      chain_->create([](const StageSpec& stage) { return find_model_stage(stage.plugin); },
                     [](const StageSpec&, const weir_descriptor&) { return Result<std::string>(std::string("null")); });
  if (!created.ok()) return world_.problem("a stage could not be made: " + created.error().message);
  for (const auto& instance : chain_->instances()) {
    if (instance->spec().store != Store::kRocksDb || local_) continue;
    local_.emplace([this](std::uint32_t lane) { return open_store(lane); });
    // So small that next to nothing stays.
    const Status kept = chain_->keep_local(*local_, world_.below(4) << 10);
    if (!kept.ok()) return world_.problem("state cannot be kept on a disk: " + kept.error().message);
  }
  start(topology(), stage_);
  host::Engine& engine = *this;
  runner_ = std::make_unique<host::Runner>(
      topology(), *chain_, engine,
      host::RunnerClock{[this] { return world_.now(); }, [this] { return world_.wall_us(); }});
}

Result<std::unique_ptr<host::LocalStore>> WorkerProcess::open_store(std::uint32_t lane) {
  // Two machines: a lane that moves from one to the other and back finds what it had left.
  const std::string name =
      std::to_string(index_ % 2) + "/" + world_.topology().stages[stage_].name + "/" + std::to_string(lane);
  test::SimLocalDisk& disk = world_.local_disk();
  const std::uint64_t before = disk.batches_lost();
  auto store = disk.open(
      name, [running = running_] { return *running; },
      [this](std::size_t batches) {
        return world_.plan().power_cuts && world_.below(3) == 0 ? world_.below(batches + 1) : 0;
      });
  world_.outcome().local_batches_lost += disk.batches_lost() - before;
  if (store.ok()) lanes_[lane].had = (*store)->position() != host::LocalPosition{};
  return store;
}

const Topology& WorkerProcess::topology() {
  if (!world_.has(Bug::kBoundaryMoved)) return world_.topology();
  if (!moved_) {
    moved_ = world_.topology();
    for (Stream& stream : moved_->streams) {
      if (!stream.boundaries.empty()) ++std::get<std::uint64_t>(stream.boundaries.front());
    }
  }
  return *moved_;
}

void WorkerProcess::work() {
  if (world_.now() < frozen_until_ || world_.stands_still(stage_)) return;
  if (std::exchange(frozen_, false) && runner_ != nullptr && world_.has_no_rights(welcome().incarnation.value()))
    ++world_.outcome().zombies;
  if (runner_ == nullptr) {
    if (world_.now() - begun_ > kHelloDeadline) exit(false);
    return;
  }
  at_work_now = this;
  const std::uint64_t turns = 1 + world_.below(kTurns);
  int idle = 0;
  for (std::uint64_t turn = 0; turn < turns && alive_ && idle < 2; ++turn) {
    idle_ = false;
    if (const auto ended = runner_->turn(); ended && alive_) return exit(*ended == host::Exit::kStopped);
    idle = idle_ ? idle + 1 : 0;
  }
  tell_settled();
}

void WorkerProcess::exit(bool told) {
  if (!alive_) return;
  die();
  stopped_ = told && !leaves_;
  world_.exited(*this);
}

void WorkerProcess::die_of_record() {
  if (!alive_) return;
  die();
  world_.exited(*this, last_record());
}

void WorkerProcess::die_at_record() {
  if (!alive_) return;
  die();
  world_.exited(*this);
}

void WorkerProcess::forget_facts() {
  if (runner_ == nullptr) return;
  facts_forgotten_ = true;
  for (auto& [number, facts] : unsettled_) facts.clear();
}

std::optional<core::FatalRecord> WorkerProcess::last_record() const {
  if (chain_ == nullptr) return std::nullopt;
  const wire::WorkPage& page = chain_->at_work().page();
  core::FatalRecord record;
  if (page.doing.load() == wire::Doing::kRequeued) {
    record.requeued = page.requeued.load();
    record.offset = page.from.load();
  } else {
    std::uint32_t index = 0;
    std::memcpy(&index, page.head_context + offsetof(weir_context, record), sizeof(index));
    record = {
        page.stream.load(),    page.shard.load(), page.from.load() + index, 0, {}, Incarnation(page.producer.load()),
        page.alone.load() != 0};
  }
  record.cause = "a killer";
  return record;
}

std::uint64_t WorkerProcess::tenure(std::uint32_t lane) const {
  const auto held = lanes_.find(lane);
  return held == lanes_.end() ? 0 : held->second.tenure;
}

std::string WorkerProcess::fact(std::uint32_t stream, std::uint32_t shard) const {
  return world_.topology().stages[stage_].name + " of " + world_.topology().streams[stream].name + "/" +
         std::to_string(shard);
}

// The wire.

host::Event WorkerProcess::next(Monotonic wait) {
  // As BrokerEngine::watch_peers() does.
  for (const auto& [peer, link] : links_) {
    if (link.broken && *link.broken < clock() - welcome().silence) lose("the connection to another worker was lost");
  }
  pump();
  if (drain_) {
    host::Event drain = std::move(*drain_);
    drain_.reset();
    check(drain);
    return drain;
  }
  if (auto event = take(wait != Monotonic{0})) {
    if (world_.has(Bug::kDrainFinishes) && event->kind == host::Event::Kind::kDrain && !draining_) {
      host::Event finish;
      finish.kind = host::Event::Kind::kFinish;
      for (const auto& [lane, held] : lanes_) {
        if (held.ready) finish.shards.push_back(lane);
      }
      drain_ = std::move(event);
      return finish;
    }
    if (world_.has(Bug::kParkedForgotten) && event->kind == host::Event::Kind::kState) {
      state_ = without(wire::Space::kParked, event->state.changes);
      event->state.changes = state_;
    }
    const auto of_split = [](const wire::Lease& lease) { return lease.kind == wire::LeaseKind::kSplit; };
    const bool asked_back =
        event->kind == host::Event::Kind::kRevoke && std::any_of(event->leases.begin(), event->leases.end(), of_split);
    if (world_.has(Bug::kSplitKept) && asked_back) {
      check(*event);
      release(event->leases);
      return {};
    }
    const bool behind_copy = event->kind == host::Event::Kind::kState && event->state.on_top && !local_;
    if (world_.has(Bug::kChangesLostBehindCopy) && behind_copy) event->state.changes = {};
    check(*event);
    return std::move(*event);
  }
  idle_ = true;
  return {};
}

std::optional<host::BrokerSession::Received> WorkerProcess::receive() {
  if (inbox_.empty()) return std::nullopt;
  std::shared_ptr<Bytes> message = std::move(inbox_.front());
  inbox_.pop_front();
  if (world_.has(Bug::kHeartbeatUnheeded)) {
    auto header = *wire::decode_header(*message);
    if (header.type == wire::MessageType::kBeatDown) {
      header.number = heard_;
      *message = wire::message(header);
    } else {
      heard_ = header.number;
    }
  }
  const BytesView view = *message;
  return Received{std::move(message), view};
}

void WorkerProcess::transmit(Bytes message, Follows) {
  if (!alive_) return;
  if (world_.has(Bug::kSentOvertold)) {
    const auto header = *wire::decode_header(message);
    if (header.type == wire::MessageType::kRouted) {
      auto routed = wire::decode_routed(wire::body_of(message));
      for (wire::Sent& sent : routed->sent) ++sent.records;
      message = wire::message(header, wire::encode_routed(*routed));
    }
  }
  if (const auto header = *wire::decode_header(message); header.type == wire::MessageType::kReleased) {
    const auto leases = wire::decode_leases(wire::body_of(message));
    for (const wire::Lease& lease : *leases) world_.outcome().splits_moved += reading_.erase(lease.shard);
  }
  world_.to_broker(pid_, message);
}

void WorkerProcess::transmit_to(Incarnation peer, Bytes message) {
  if (!alive_) return;
  LinkTo& link = links_.at(peer);
  if (!link.broken && world_.plan().kills && world_.chance(kBrokenPerMillion)) {
    link.broken = clock();
    ++world_.outcome().links_broken;
  }
  if (world_.has(Bug::kUnacknowledged)) {
    auto said = *wire::decode_direct(message);
    if (said.type == wire::MessageType::kRecords) {
      std::swap(said.from, said.to);
      said.type = wire::MessageType::kRecordsDone;
      said.number += said.count;
      on_message(wire::direct_message(said));
    }
  }
  if (!link.broken) world_.to_peer(pid_, link.pid, std::move(message));
}

void WorkerProcess::commit(Bytes message) {
  if (!alive_) return;
  if (world_.plan().kills &&
      world_.chance(World::kDeathsPerMillionCommits)) {  // what it has written to a target stays there
    die();
    world_.exited(*this);
    return;
  }
  auto said = wire::decode_commit(message, sizeof(wire::MessageHeader));
  if (!said.ok()) return world_.problem("a commit cannot be read: " + said.error().message);
  Facts facts;
  for (const wire::Consumed& range : said->consumed) {
    if (lanes_.contains(range.shard)) facts[fact(range.stream, range.shard)] = range.to;
  }
  for (const wire::SplitMoved& moved : said->splits) {
    facts["split " + std::to_string(moved.split)] = ValueView(moved.position).as<std::uint64_t>();
  }
  for (const wire::DirectEmitted& emitted : said->emitted) {
    world_.outcome().records_sent_directly += emitted.records;
    if (!said->published.empty()) world_.outcome().records_published += emitted.records;
  }
  if (said->counters.size() > 1) ++world_.outcome().fused_transactions;
  if (facts_forgotten_) facts.clear();
  BrokerSession::commit(mutilated(std::move(message), *said));
  unsettled_.emplace_back(committed(), std::move(facts));
}

Bytes WorkerProcess::mutilated(Bytes message, wire::Commit commit) {
  const bool forgets = world_.has(Bug::kSinkForgets) && chain_->sink() != nullptr;
  const bool gone = world_.has(Bug::kWatermarkGone) && world_.outcome().worker_deaths != 0;
  const bool guesses = (world_.has(Bug::kWatermarkGuessed) || gone) && !commit.splits.empty();
  const bool keeps = world_.has(Bug::kRequeuedKept);
  if (world_.has(Bug::kRefusalForgotten) && world_.chance(2000)) {
    wire::Commit nothing;
    nothing.transaction = commit.transaction;
    Bytes bytes = wire::message_room();
    wire::encode(nothing, {}, bytes);
    return bytes;
  }
  const bool passes = world_.has(Bug::kPastCursor);
  const bool alone = world_.has(Bug::kPositionAlone) && !commit.splits.empty() && world_.chance(20'000);
  const bool unmoved = world_.has(Bug::kPartialUnmoved) && !commit.frames.empty() && world_.chance(20'000);
  if (!forgets && !guesses && !keeps && !passes && !alone && !unmoved) return message;
  for (wire::Consumed& range : commit.consumed) {
    if (!passes) break;
    std::uint64_t& past = past_[{range.stream, range.shard}];
    range.from = std::max(range.from, past);
    if (world_.chance(20'000)) ++range.to;
    past = range.to = std::max(range.to, range.from);
  }
  std::erase_if(commit.consumed, [](const wire::Consumed& range) { return range.from == range.to; });
  std::vector<Bytes> changes;
  changes.reserve(commit.changes.size());
  for (wire::ChangesOf& of : commit.changes) {
    if (keeps) of.bytes = changes.emplace_back(without(wire::Space::kRequeued, of.bytes));
  }
  if (forgets) commit.changes.clear();
  for (wire::Advanced& advanced : commit.advanced) advanced.watermark += guesses ? 1000 : 0;
  std::vector<BytesView> frames;
  frames.reserve(commit.frames.size());
  if (alone) commit.frames.clear();
  if (unmoved) {
    std::erase_if(commit.frames, [&](const wire::FrameAt& frame) {
      const auto view = wire::FrameView::parse(BytesView(message).subspan(frame.position, frame.size));
      return world_.topology().streams[view->header().stream].hot_keys == HotKeys::kPartials;
    });
  }
  for (const wire::FrameAt& frame : commit.frames)
    frames.push_back(BytesView(message).subspan(frame.position, frame.size));
  Bytes bytes = wire::message_room();
  wire::encode(commit, frames, bytes);
  return bytes;
}

void WorkerProcess::tell_settled() {
  if (settled() > committed()) return world_.problem("more transactions were settled than said");
  for (; !unsettled_.empty() && unsettled_.front().first <= settled(); unsettled_.pop_front()) {
    if (!world_.has(Bug::kSinkAheadOfSync) &&
        unsettled_.front().first > world_.committed().settled_transaction(welcome().incarnation.value()))
      return world_.problem("a worker is told of what a power cut may take back (I2)");
    for (const auto& [of, value] : unsettled_.front().second) world_.settled(of, value);
  }
}

// The checks.

void WorkerProcess::check(const host::Event& event) {
  using Kind = host::Event::Kind;
  // A drain overtakes what came before it; what follows changes nothing any more.
  draining_ |= event.kind == Kind::kDrain;
  if (draining_) return;
  if (event.kind == Kind::kGrant) return check_grant(event.leases);
  if (event.kind == Kind::kDeliver) return check_delivery(event.delivery);
  if (event.kind == Kind::kState) return check_state(event.state);
  if (event.kind != Kind::kRevoke) return;
  for (const wire::Lease& lease : event.leases) {
    if (lease.kind == wire::LeaseKind::kAhead) {
      world_.outcome().copies_void += ahead_.erase(lease.shard);
    } else {
      lanes_.erase(lease.shard);
      if (lease.kind == wire::LeaseKind::kSplit) world_.split_moves(*this);
    }
  }
}

void WorkerProcess::check_state(const wire::StatePart& part) {
  if (part.ahead != 0) {
    const auto copy = ahead_.find(part.shard);
    if (copy == ahead_.end() || copy->second.number != part.ahead)
      return world_.problem("state came ahead that was not told of");
    copy->second.whole = part.last;
    Committed::fold(part.stage, part.changes, copy->second.state);
    return;
  }
  const auto held = lanes_.find(part.shard);
  if (held == lanes_.end() || held->second.ready) return world_.problem("state came for a lane that awaits none");
  held->second.ready = part.last;
  const auto ahead = ahead_.find(part.shard);
  if (!held->second.begun && part.on_top && ahead != ahead_.end()) held->second.state = std::move(ahead->second.state);
  Committed::fold(part.stage, part.changes, held->second.state);
  if (part.last && !local_) {
    const auto copy = ahead_.extract(part.shard);
    if (part.on_top && (copy.empty() || !copy.mapped().whole)) world_.problem("state comes on top of no whole copy");
    Outcome& outcome = world_.outcome();
    ++(part.on_top ? outcome.lanes_ahead : copy.empty() ? outcome.lanes_behind : outcome.copies_void);
  }
  if (!std::exchange(held->second.begun, true) && local_) {
    world_.outcome().lanes_on_top += part.on_top ? 1 : 0;
    world_.outcome().local_voids += !part.on_top && held->second.had ? 1 : 0;
    if (part.on_top && !held->second.had) world_.problem("state comes on top of nothing");
  }
  wire::ChangesReader reader(part.changes);
  while (const auto change = reader.next()) {
    if (change->space == wire::Space::kDeadLetter) return world_.problem("a dead letter came as state");
    if (change->space == wire::Space::kPosition && change->value)
      held->second.position = ValueView(*change->value).as<std::uint64_t>();
  }
  if (part.last) check_restored(part.shard);
}

void WorkerProcess::check_restored(std::uint32_t lane) {
  Held& held = lanes_.at(lane);
  // Who sleeps through his own fencing is given what is old by now.
  if (world_.has_no_rights(welcome().incarnation.value())) return;
  // What lies on a disk of its own is not looked at.
  const std::string wrong = local_ ? "" : world_.committed().compare(stage_, lane, held.state);
  if (!wrong.empty()) return world_.problem(wrong);
  held.state.clear();
  if (chain_->sink() != nullptr && held.position != world_.committed().position(stage_, lane))
    world_.problem("a sink is given another position than it has committed (I1)");
}

void WorkerProcess::check_grant(const std::vector<wire::Lease>& leases) {
  for (const wire::Lease& lease : leases) {
    if (lease.kind == wire::LeaseKind::kEnumerate || lease.kind == wire::LeaseKind::kRanges) continue;
    if (lease.kind == wire::LeaseKind::kAhead) {
      if (lanes_.contains(lease.shard)) world_.problem("state of a lane comes ahead to its holder");
      ahead_[lease.shard] = {lease.epoch, false, {}};
      continue;
    }
    if (lanes_.contains(lease.shard)) world_.problem("a lane was granted twice to one worker");
    Held& held = lanes_[lease.shard];
    held.ready = !lease.state_follows;
    held.tenure = (welcome().incarnation.value() >> 32 << 32) | lease.epoch;
    if (held.ready) check_restored(lease.shard);
    if (lease.kind == wire::LeaseKind::kSplit) {
      const std::uint64_t position = lease.position.empty() ? 0 : ValueView(lease.position).as<std::uint64_t>();
      world_.restored(welcome().incarnation, "split " + std::to_string(lease.shard), position);
      world_.check_alone(*this, lease.shard);
      reading_.insert(lease.shard);
      if (position != 0) world_.split_moves(*this);
    }
  }
}

void WorkerProcess::check_delivery(const wire::DeliveryView& delivery) {
  const bool by_shard = world_.topology().stages[stage_].keyed || chain_->sink() != nullptr;
  for (std::size_t i = 0; i < delivery.batches.size(); ++i) {
    const wire::DeliveryHeader& batch = delivery.batches[i];
    const auto plain =
        decompressor_.records(batch.compression, delivery.records[i], wire::batch_bytes_max(world_.topology()));
    if (!plain.ok()) return world_.problem("a delivery cannot be decompressed: " + plain.error().message);
    wire::BatchReader reader(*plain);
    std::uint32_t records = 0;
    for (std::size_t before = 0; reader.next(); before = reader.position(), ++records) {
      if (records < batch.skip || records - batch.skip >= batch.count || chain_->sink() == nullptr) continue;
      world_.delivered_to_sink(batch.stream, batch.shard, batch.offset + records - batch.skip,
                               plain->subspan(before, reader.position() - before));
    }
    const bool as_said = batch.cut != 0 ? records > batch.count && records - batch.count >= batch.skip
                                        : records == batch.count && batch.skip == 0;
    if (!reader.ok() || !as_said) return world_.problem("a delivery's count is wrong");
    if (batch.compression != 0) ++world_.outcome().batches_compressed;
    if (batch.cut != 0) ++world_.outcome().batches_cut;
    if (!by_shard) continue;
    const auto held = lanes_.find(batch.shard);
    if (held == lanes_.end() || !held->second.ready) {
      return world_.problem("records came for a shard that is not held or awaits its state");
    }
    const auto [input, first] = held->second.inputs.try_emplace(batch.stream);
    if (first && batch.count != 0)
      world_.restored(welcome().incarnation, fact(batch.stream, batch.shard), batch.offset);
    if (!first && input->second.expected != UINT64_MAX && input->second.expected != batch.offset) {
      return world_.problem("records came out of order");
    }
    input->second.expected = batch.offset + batch.count;
    if (batch.watermark < input->second.watermark) return world_.problem("a watermark went back (I8)");
    input->second.watermark = batch.watermark;
  }
}

}  // namespace weir::simulation
