// SPDX-License-Identifier: Apache-2.0
#include "stages/host/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "sdk/base/log.h"

namespace weir::host {

using namespace std::chrono_literals;

namespace {

constexpr auto kIdleWait = 200ms;
constexpr auto kBlockedWait = 20ms;

void add_to_bucket(std::vector<std::uint64_t>& buckets, std::int64_t us, std::uint64_t count) {
  buckets.resize(wire::kBucketCount);
  const auto* end = std::end(wire::kBucketsUs);
  const auto* bucket =
      std::lower_bound(std::begin(wire::kBucketsUs), end, static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0)));
  buckets[static_cast<std::size_t>(bucket - std::begin(wire::kBucketsUs))] += count;
}

}  // namespace

Runner::Runner(const Topology& topology, Chain& chain, Engine& engine, RunnerClock clock, MemoryLimit* memory)
    : topology_(topology),
      chain_(chain),
      engine_(engine),
      clock_(std::move(clock)),
      memory_(memory),
      states_(chain, engine, memory),
      targets_(chain, engine, clock_),
      splits_(chain, engine),
      measured_since_(clock_.monotonic()) {}

Exit Runner::run() {
  while (true) {
    if (const auto exit = turn()) return *exit;
  }
}

Exit Runner::give_up(const Status& status) {
  log::error("{}", status.error().message);
  engine_.failed(status.error().message);
  return Exit::kFailed;
}

std::optional<Exit> Runner::turn() {
  if (engine_.beat_due()) beat();
  splits_.tell_durable();
  splits_.let_go();
  if (chain_.local() != nullptr) {
    if (const Status status = store_durable(); !status.ok()) return give_up(status);
  }
  if (!open_) bound_memory();
  const bool reads = !draining_ && splits_.reads_on();
  const bool may_read = reads && engine_.may_publish() && engine_.has_window();
  // How long nothing but an event can happen.
  Monotonic wait = kIdleWait;
  if (reads && !may_read) wait = kBlockedWait;
  const Monotonic before = clock_.monotonic();
  if (may_read) wait = read_pace_.wait(before);
  if (open_) wait = reads ? 0ms : gathers(before);
  Event event = engine_.next(wait);
  const bool blocked = !engine_.has_window() || (reads && !may_read);
  if (blocked && wait != 0ms) blocked_ += clock_.monotonic() - before;
  if (event.kind != Event::Kind::kNone) {
    busy_since_ = clock_.monotonic();
    auto exit = handle(std::move(event));
    worked_ = clock_.monotonic();
    busy_ += worked_ - *std::exchange(busy_since_, std::nullopt);
    return exit;
  }
  bool read = false;
  if (may_read) {
    const Monotonic start = clock_.monotonic();
    if (const Status status = read_splits(read); !status.ok()) return give_up(status);
    const Monotonic now = clock_.monotonic();
    if (read) {
      busy_ += now - start;
      read_pace_.on_found(now);
    } else {
      read_pace_.on_nothing();
    }
  }
  // Nothing more is there at the moment: what is begun is committed at once, unless nobody would know.
  if (open_ && (!read || engine_.closes(opened_, clock_.monotonic()))) {
    if (!reads && gathers(clock_.monotonic()) != 0ms) return std::nullopt;
    const Monotonic opened = opened_;
    if (const Status status = close(); !status.ok()) return give_up(status);
    if (reads) read_pace_.on_committed(clock_.monotonic() - opened);
  }
  return std::nullopt;
}

Monotonic Runner::gathers(Monotonic now) {
  // Without shards, how far event time has come goes by what is committed.
  if (draining_ || awaited_ || !sharded_ || !engine_.has_window() || !chain_.may_wait()) return 0ms;
  // Who produces into a stream that is full of what is not committed waits after all, for all workers together.
  const StageSpec& spec = chain_.head().spec();
  for (const PortBinding& input : spec.inputs) {
    if (bytes_uncommitted_ > topology_.streams[input.stream].backlog_bytes_max / 8 / std::max(spec.workers, 1U))
      return 0ms;
  }
  return std::max<Monotonic>(engine_.gathers_until(opened_, worked_) - now, 0ms);
}

std::optional<Exit> Runner::handle(Event event) {
  Status status;
  switch (event.kind) {
    case Event::Kind::kNone:
      break;
    // A drain overtakes what came before it: what follows may belong to leases that were never heard of.
    case Event::Kind::kGrant:
      if (!draining_) status = grant(event.leases);
      break;
    case Event::Kind::kState:
      if (!draining_) status = restore(event.state);
      break;
    case Event::Kind::kDeliver:
      if (!draining_) status = deliver(event);
      break;
    case Event::Kind::kCondemned:
      condemned_ = std::move(event.condemned);
      break;
    case Event::Kind::kRequeued:
      if (!draining_) status = requeued(event.requeued);
      break;
    case Event::Kind::kRevoke:
      status = revoke(event.leases);
      break;
    case Event::Kind::kFinish:
      if (!draining_) status = finish(event.shards);
      break;
    case Event::Kind::kDrain:
      draining_ = true;
      status = close();
      beat();
      if (status.ok()) engine_.drained();
      break;
    case Event::Kind::kStop:
      splits_.tell_durable();  // what came last of all is on disk too
      targets_.close_all();
      return Exit::kStopped;
    case Event::Kind::kFenced:
      log::warning("fenced: {}", event.sentence);
      return Exit::kFenced;
    case Event::Kind::kLost:
      log::warning("{}", event.sentence);
      return Exit::kLost;
  }
  if (!status.ok()) return give_up(status);
  return std::nullopt;
}

Status Runner::deliver(const Event& event) {
  if (!event.alone) return work_off(event);
  if (Status status = close(); !status.ok()) return status;
  chain_.at_work().alone(true);
  Status status = work_off(event);
  if (status.ok()) status = close();
  chain_.at_work().alone(false);
  return status;
}

Status Runner::work_off(const Event& event) {
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;
  if (event.missing != 0) {
    open_transaction();
    chain_.transaction().take(event.delivery.batches.front().stream, event.producer, 0, event.missing);
  }
  for (std::size_t i = 0; i < event.delivery.batches.size(); ++i) {
    const auto unpacked = unpack(event.delivery.batches[i], event.delivery.records[i]);
    if (!unpacked.ok()) return unpacked.error();
    const wire::DeliveryHeader& batch = unpacked->header;
    const bool from_peer = event.producer != Incarnation();
    if (sharded_ && !from_peer) {
      if (states_.awaited(batch.shard)) return {Code::kInvalid, "the broker delivers a shard before its state"};
      if (Status status = raise_watermark(batch.shard, batch.stream, batch.watermark); !status.ok()) return status;
    }
    wire::BatchReader late(unpacked->records);
    // What a partial result is of was in front of its watermark where it was counted.
    const bool may_be_late = sharded_ && !from_peer && lanes_[batch.shard].watermark != INT64_MIN &&
                             topology_.streams[batch.stream].hot_keys != HotKeys::kPartials;
    for (BatchSlices slices(batch, unpacked->records); !slices.empty();) {
      const BatchSlices::Slice slice = slices.next(slice_size_.records());
      if (Status status = work_off(slice, may_be_late ? &late : nullptr, event); !status.ok()) return status;
      if (engine_.beat_due()) beat();
      // What is left is not begun any more: it stays with the broker.
      if (!slices.empty() && engine_.urgent()) return {};
    }
    if (chain_.sink() != nullptr && batch.count != 0 && batch.origin_us != 0) {
      const std::int64_t took = clock_.wall_us() - batch.origin_us;
      add_to_bucket(measured_.end_to_end_buckets, took, batch.count);
      measured_.end_to_end_seconds += static_cast<double>(took) / 1e6 * batch.count;
    }
    bytes += event.delivery.batches[i].bytes;
    records += batch.count;
  }
  if (event.producer != Incarnation()) {
    engine_.worked_off_direct(event.delivery.batches.front().stream, event.producer, bytes);
  } else {
    engine_.worked_off(bytes, records);
  }
  return {};
}

Result<BatchSlices::Slice> Runner::unpack(const wire::DeliveryHeader& batch, BytesView bytes) {
  BatchSlices::Slice slice{batch, bytes};
  if (batch.compression == 0) return slice;
  const auto records = decompressor_.records(batch.compression, bytes, wire::batch_bytes_max(topology_));
  if (!records.ok()) {
    return {records.error().code,
            fmt::format("stream \"{}\", shard {}, offset {}: {}",
                        batch.stream < topology_.streams.size() ? topology_.streams[batch.stream].name
                                                                : std::to_string(batch.stream),
                        batch.shard, batch.offset, records.error().message)};
  }
  slice.records = *records;
  if (batch.cut != 0) {
    wire::BatchReader reader(slice.records);
    for (std::uint32_t i = 0; i < batch.skip; ++i) reader.next();
    const std::size_t from = reader.position();
    for (std::uint32_t i = 0; i < batch.count; ++i) reader.next();
    slice.records = slice.records.subspan(from, reader.position() - from);
  }
  slice.header.bytes = static_cast<std::uint32_t>(slice.records.size());
  return slice;
}

Status Runner::requeued(const wire::Requeued& requeued) {
  if (states_.awaited(requeued.shard)) return {Code::kInvalid, "the broker requeues a record before its state"};
  if (sharded_) chain_.set_watermark(lanes_[requeued.shard].watermark);
  if (requeued.what == wire::Requeue::kParkedKey) return work_off_parked(requeued);
  if (requeued.what == wire::Requeue::kDropParked) {
    open_transaction();
    if (Status status = chain_.drop_parked(requeued); !status.ok()) return status;
    engine_.worked_off(requeued.letter.size(), 1);
    return close();
  }
  const auto letter = wire::decode_dead_letter(requeued.letter);
  if (!letter) return {Code::kInvalid, "the broker requeues a record that is malformed"};
  open_transaction();
  chain_.transaction().take_origin(clock_.wall_us());
  const bool condemned = condemned_ && condemned_->requeued == requeued.number;
  Status status = condemned ? chain_.give_up(*std::exchange(condemned_, std::nullopt), requeued, *letter)
                            : chain_.process_requeued(requeued, *letter);
  if (!status.ok()) return status;
  const auto lane = lanes_.find(requeued.shard);
  if (sharded_ && lane != lanes_.end() && letter->timestamp <= lane->second.watermark)
    ++chain_.transaction().counted(requeued.stage).late;
  engine_.worked_off(requeued.letter.size(), 1);
  if (chain_.full() || engine_.closes(opened_, clock_.monotonic())) return close();
  return {};
}

Status Runner::work_off_parked(const wire::Requeued& requeued) {
  for (bool more = true; more;) {
    open_transaction();
    chain_.transaction().take_origin(clock_.wall_us());
    const bool condemned = condemned_ && condemned_->requeued == requeued.number;
    Status status = chain_.work_off_parked(requeued, condemned ? &*condemned_ : nullptr, more);
    if (!status.ok()) return status;
    if (chain_.full() || engine_.closes(opened_, clock_.monotonic())) {
      if (Status closed = close(); !closed.ok()) return closed;
    }
    if (engine_.beat_due()) beat();
    // What is left is asked for again.
    if (more && engine_.urgent()) return {};
  }
  if (condemned_ && condemned_->requeued == requeued.number) condemned_.reset();
  engine_.worked_off(requeued.letter.size(), 1);
  return {};
}

Status Runner::work_off(const BatchSlices::Slice& slice, wire::BatchReader* late, const Event& event) {
  const wire::DeliveryHeader& batch = slice.header;
  if (sharded_) chain_.set_watermark(lanes_[batch.shard].watermark);
  const Monotonic start = clock_.monotonic();
  Monotonic now = start;
  for (std::uint32_t done = 0; done < batch.count;) {
    open_transaction();
    awaited_ |= batch.awaited != 0;
    const std::uint32_t from = done;
    if (event.given_up) {
      Status status = chain_.give_up(event.condemned, batch, slice.records, batch.shard, event.producer);
      if (!status.ok()) return status;
      done = 1;
    } else if (condemned_ && condemned_->requeued == 0 && condemned_->stream == batch.stream &&
               condemned_->shard == batch.shard && condemned_->offset == batch.offset && batch.count == 1) {
      if (Status status = chain_.give_up(*condemned_, batch, slice.records, batch.shard); !status.ok()) return status;
      condemned_.reset();
      done = 1;
    } else if (Status status = chain_.process(batch, slice.records, batch.shard, from, done, event.producer);
               !status.ok()) {
      return status;
    }
    now = clock_.monotonic();
    if (event.last_values) {
      // Whoever published them counted them for those who were there.
    } else if (event.producer != Incarnation()) {
      chain_.transaction().take(batch.stream, event.producer, done - from, 0);
    } else {
      chain_.transaction().consume(batch.stream, batch.shard, batch.offset + from, batch.offset + done);
    }
    bytes_uncommitted_ += slice.records.size() * (done - from) / batch.count;
    if (late != nullptr) count_late(*late, done - from, lanes_[batch.shard].watermark);
    if (chain_.full() || engine_.closes(opened_, now) || done < batch.count) {
      if (Status status = close(); !status.ok()) return status;
    }
  }
  slice_size_.learn(batch.count, now - start);
  add_to_bucket(measured_.process_buckets, (now - start).count() / batch.count, 1);
  measured_.process_seconds += static_cast<double>((now - start).count()) / 1e6 / batch.count;
  return {};
}

void Runner::count_late(wire::BatchReader& reader, std::uint32_t records, Timestamp watermark) {
  std::uint64_t late = 0;
  for (std::uint32_t i = 0; i < records; ++i) {
    const auto record = reader.next();
    if (record && record->timestamp <= watermark) ++late;
  }
  if (late != 0) chain_.transaction().counted(chain_.head().stage()).late += late;
}

void Runner::open_transaction() {
  if (open_) return;
  open_ = true;
  opened_ = clock_.monotonic();
}

Status Runner::raise_watermark(std::uint32_t lane_index, std::uint32_t stream, Timestamp watermark) {
  if (watermark == INT64_MIN || topology_.streams[stream].loop) return {};  // a back edge holds nothing back
  Lane& lane = lanes_[lane_index];
  Timestamp& known = lane.watermarks[stream];
  if (watermark <= known) return {};
  known = watermark;
  Timestamp least = INT64_MAX;
  for (const auto& [input, said] : lane.watermarks) least = std::min(least, said);
  if (least <= lane.watermark || least == INT64_MAX) return {};
  lane.watermark = least;
  return chain_.wants_watermarks() ? advance(lane_index, least) : Status();
}

Status Runner::advance(std::uint32_t lane_index, Timestamp least) {
  for (bool more = true; more;) {
    open_transaction();
    chain_.transaction().take_origin(clock_.wall_us());
    if (Status status = chain_.on_watermark(lane_index, least, more); !status.ok()) return status;
    if (!more) {
      chain_.transaction().advance(lane_index, least);
      return {};
    }
    if (Status status = close(); !status.ok()) return status;
    if (engine_.beat_due()) beat();
    if (engine_.urgent()) return {};
  }
  return {};
}

Status Runner::grant(const std::vector<wire::Lease>& leases) {
  std::vector<wire::LocalState> lie_here;
  for (const wire::Lease& lease : leases) {
    switch (lease.kind) {
      case wire::LeaseKind::kShard: {
        sharded_ = true;
        Lane& lane = lanes_[lease.shard];
        lane = {};
        lane.watermark = lease.watermark;
        if (lease.state_follows) {
          auto lies_here = states_.expect(lease.shard);
          if (!lies_here.ok()) return lies_here.error();
          if (*lies_here) lie_here.push_back(std::move(**lies_here));
        }
        for (const PortBinding& input : chain_.head().spec().inputs) {
          const Stream& stream = topology_.streams[input.stream];
          if (lease.shard < stream.shards && !stream.loop) lane.watermarks[input.stream] = INT64_MIN;
        }
        break;
      }
      case wire::LeaseKind::kSplit:
        splits_.grant(lease);
        read_pace_.hurry();
        break;
      case wire::LeaseKind::kEnumerate:
        splits_.enumerates(true);
        read_pace_.hurry();
        break;
      case wire::LeaseKind::kRanges:
        break;
      case wire::LeaseKind::kAhead:
        states_.expect_ahead(lease.shard, lease.epoch);
        break;
    }
  }
  if (!lie_here.empty()) engine_.say_local(lie_here);
  return {};
}

Status Runner::restore(const wire::StatePart& part) {
  const Result<LaneStates::Taken> taken = states_.take(part);
  if (!taken.ok()) return taken.error();
  return taken->whole ? targets_.open(part.shard, taken->position, [this] { beat(); }) : Status();
}

Status Runner::revoke(const std::vector<wire::Lease>& leases) {
  if (Status status = close(); !status.ok()) return status;
  for (const wire::Lease& lease : leases) {
    if (lease.kind == wire::LeaseKind::kSplit) splits_.ask_back(lease);
    if (lease.kind == wire::LeaseKind::kEnumerate) splits_.enumerates(false);
    if (lease.kind == wire::LeaseKind::kAhead) states_.drop_ahead(lease.shard);
    if (lease.kind != wire::LeaseKind::kShard) continue;
    lanes_.erase(lease.shard);
    targets_.let_go(lease.shard, lanes_.empty());
    states_.ask_back(lease.shard);
  }
  std::vector<wire::Lease> let_go;
  std::copy_if(leases.begin(), leases.end(), std::back_inserter(let_go), [](const wire::Lease& lease) {
    return lease.kind != wire::LeaseKind::kAhead && lease.kind != wire::LeaseKind::kSplit;
  });
  // The next holder does not wait until what lies in memory here is taken apart.
  if (!let_go.empty()) engine_.release(let_go);
  for (const wire::Lease& lease : let_go) {
    if (lease.kind == wire::LeaseKind::kShard) states_.let_go(lease.shard);
  }
  splits_.let_go();
  return {};
}

Status Runner::finish(const std::vector<std::uint32_t>& lanes) {
  if (Status status = close(); !status.ok()) return status;
  beat();  // what was measured is told before the end that the commit below may be
  for (const std::uint32_t lane : lanes) {
    chain_.set_watermark(lanes_[lane].watermark);
    for (bool more = true; more;) {
      open_ = true;
      opened_ = clock_.monotonic();
      chain_.transaction().take_origin(clock_.wall_us());
      if (Status status = chain_.finish(lane, more); !status.ok()) return status;
      if (!more) chain_.transaction().finish(lane);
      if (more || chain_.full()) {
        if (Status status = close(); !status.ok()) return status;
      }
      if (engine_.beat_due()) beat();
      // The next worker goes on with what is left of the state.
      if (engine_.urgent()) return close();
    }
  }
  return close();
}

Status Runner::read_splits(bool& any) {
  if (Status status = splits_.enumerate(clock_.monotonic()); !status.ok()) return status;
  // Others may wait for splits that were found.
  while (splits_.hand_over()) {
    open_transaction();
    if (Status status = close(); !status.ok()) return status;
  }
  // Every split in its turn, one call each, so that an endless one starves nobody.
  for (std::uint32_t i = 0; i < splits_.count(); ++i) {
    SourceSplit& split = splits_.in_turn(i);
    if (!split.reads_on()) continue;
    bool read_some = false;
    if (Status status = read(split, read_some); !status.ok()) return status;
    if (!read_some) continue;
    any = true;
    splits_.found(i);
    return {};
  }
  return {};
}

Status Runner::read(SourceSplit& split, bool& read_some) {
  Instance& source = chain_.head();
  source.context()->shard = split.lane;
  source.come_to(0);
  source.mark();
  source.take_refused();
  if (!open_) {
    chain_.bound_outputs(engine_.publish_at_once());
    opened_ = clock_.monotonic();
    chain_.transaction().begin(clock_.wall_us());
  }
  const std::uint64_t bytes_before = source.bytes();
  source.set_origins(static_cast<std::uint64_t>(chain_.transaction().origin_us()), nullptr);
  split.split.moved = false;
  std::optional<AtWork::Turn> turn(std::in_place, chain_.at_work(), wire::Doing::kRead);
  chain_.at_work().enter(source.stage(), nullptr);
  const int answer = source.plugin().read(source.self(), source.context(), reinterpret_cast<weir_split*>(&split.split));
  if (answer != WEIR_MORE && answer != WEIR_EMPTY && answer != WEIR_END && answer != WEIR_OK) {
    return {Code::kRefused, "stage \"" + source.spec().name + "\": " + source.take_failure()};
  }
  if (source.take_refused()) return source.ignored_refusal();
  read_some = answer != WEIR_EMPTY || source.bytes() != bytes_before;
  const Timestamp said = source.take_watermark();
  if (Status status = chain_.flush_fused(split.lane); !status.ok()) return status;
  turn.reset();
  if (answer == WEIR_END) split.ended = true;
  if (source.bytes() != bytes_before || split.split.moved || split.ended) {
    open_ = true;
    chain_.transaction().move_split(split.lane, split.split.position, split.ended);
    if (source.plugin().on_durable != nullptr) split.settles_with(engine_.committed() + 1);
  }
  if (said > split.watermark) {
    split.watermark = said;
    if (Status status = advance(split.lane, said); !status.ok()) return status;
  }
  source.context()->stop = 0;
  if (open_ && chain_.full()) return close();
  return {};
}

Status Runner::close() {
  if (!open_) return {};
  open_ = awaited_ = false;
  bytes_uncommitted_ = 0;
  auto commit = chain_.close(engine_.committed() + 1, engine_);
  if (!commit.ok()) return commit.error();
  if (!commit->empty()) {
    engine_.commit_direct(chain_.take_direct());
    engine_.commit(std::move(*commit));
  }
  if (chain_.local() != nullptr) chain_.evict();
  bound_memory();
  return {};
}

Status Runner::store_durable() {
  const Engine::Durable durable = engine_.durable();
  if (durable.transaction == stored_) return {};
  stored_ = durable.transaction;
  return chain_.local()->on_durable(durable.transaction, durable.through);
}

void Runner::bound_memory() {
  if (memory_ == nullptr || states_.arrives()) return;
  // Counting a large state takes its time: what the last beat counted will do, but for a state that has just come.
  if (memory_->lifted()) state_bytes_ = chain_.state_bytes();
  memory_->renew(clock_.monotonic(), state_bytes_);
}

void Runner::beat() {
  const Monotonic now = clock_.monotonic();
  const auto elapsed = static_cast<float>(std::max<std::int64_t>((now - measured_since_).count(), 1));
  if (busy_since_) busy_ += now - *std::exchange(busy_since_, now);
  measured_.busy_ratio = static_cast<float>(busy_.count()) / elapsed;
  measured_.blocked_ratio = static_cast<float>(blocked_.count()) / elapsed;
  state_bytes_ = chain_.state_bytes();
  measured_.hot_keys = chain_.hot_keys();
  measured_.state_bytes = chain_.local() != nullptr ? chain_.local()->bytes() : state_bytes_;
  engine_.beat(measured_);
  measured_ = {};
  measured_since_ = now;
  busy_ = blocked_ = Monotonic{0};
}

}  // namespace weir::host
