// SPDX-License-Identifier: Apache-2.0
#include "stages/host/runner.h"

#include <algorithm>

#include "sdk/base/log.h"
#include "sdk/wire/changes.h"

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

Runner::Runner(const Topology& topology, Chain& chain, Engine& engine, RunnerClock clock)
    : topology_(topology),
      chain_(chain),
      engine_(engine),
      clock_(std::move(clock)),
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
  tell_durable();
  const bool reads = !draining_ && (enumerating_ || std::any_of(splits_.begin(), splits_.end(),
                                                                [](const auto& entry) { return !entry.second.ended; }));
  const bool may_read = reads && engine_.may_publish() && engine_.has_window();
  // How long nothing but an event can happen.
  std::chrono::milliseconds wait = kIdleWait;
  if (reads && !may_read) wait = kBlockedWait;
  if (may_read)
    wait = idle_turns_ == 0 ? 0ms
                            : std::min<std::chrono::milliseconds>(
                                  std::chrono::milliseconds(1 << std::min(idle_turns_ / 8, 4U)), 20ms);
  if (open_) wait = 0ms;
  const Monotonic before = clock_.monotonic();
  Event event = engine_.next(wait);
  if (reads && !may_read && wait != 0ms) blocked_ += clock_.monotonic() - before;
  if (event.kind != Event::Kind::kNone) {
    const Monotonic start = clock_.monotonic();
    auto exit = handle(std::move(event));
    busy_ += clock_.monotonic() - start;
    return exit;
  }
  bool read = false;
  if (may_read) {
    const Monotonic start = clock_.monotonic();
    if (const Status status = read_splits(read); !status.ok()) return give_up(status);
    idle_turns_ = read ? 0 : idle_turns_ + 1;
    if (read) busy_ += clock_.monotonic() - start;
  }
  // Nothing more is there at the moment: what is begun is committed at once.
  if (open_ && (!read || engine_.closes(opened_, clock_.monotonic()))) {
    if (const Status status = close(); !status.ok()) return give_up(status);
  }
  return std::nullopt;
}

std::optional<Exit> Runner::handle(Event event) {
  Status status;
  switch (event.kind) {
    case Event::Kind::kNone:
      break;
    case Event::Kind::kGrant:
      status = grant(event.leases);
      break;
    case Event::Kind::kState:
      status = load_state(event.state);
      break;
    case Event::Kind::kDeliver:
      if (!draining_) status = deliver(event);
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
      if (status.ok()) engine_.drained();
      break;
    case Event::Kind::kStop:
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
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;
  for (std::size_t i = 0; i < event.delivery.batches.size(); ++i) {
    const wire::DeliveryHeader& batch = event.delivery.batches[i];
    if (sharded_) {
      if (Status status = raise_watermark(batch.shard, batch.stream, batch.watermark); !status.ok()) return status;
    }
    std::uint32_t done = 0;
    while (done < batch.count) {
      if (!open_) {
        open_ = true;
        opened_ = clock_.monotonic();
      }
      const std::uint32_t from = done;
      const Monotonic start = clock_.monotonic();
      if (Status status = chain_.process(batch, event.delivery.records[i], batch.shard, from, done); !status.ok())
        return status;
      const Monotonic now = clock_.monotonic();
      chain_.transaction().consume(batch.stream, batch.shard, batch.offset + from, batch.offset + done);
      if (done > from) {
        const std::int64_t each = (now - start).count() / (done - from);
        add_to_bucket(measured_.process_buckets, each, 1);
        measured_.process_seconds += static_cast<double>((now - start).count()) / 1e6 / (done - from);
      }
      if (chain_.full() || engine_.closes(opened_, now) || done < batch.count) {
        if (Status status = close(); !status.ok()) return status;
      }
      if (engine_.beat_due()) beat();
    }
    if (chain_.sink() != nullptr && batch.count != 0 && batch.origin_us != 0) {
      const std::int64_t late = clock_.wall_us() - batch.origin_us;
      add_to_bucket(measured_.end_to_end_buckets, late, batch.count);
      measured_.end_to_end_seconds += static_cast<double>(late) / 1e6 * batch.count;
    }
    bytes += batch.bytes;
    records += batch.count;
  }
  engine_.worked_off(bytes, records);
  return {};
}

Status Runner::raise_watermark(std::uint32_t lane_index, std::uint32_t stream, Timestamp watermark) {
  if (watermark == INT64_MIN) return {};
  Lane& lane = lanes_[lane_index];
  Timestamp& known = lane.watermarks[stream];
  if (watermark <= known) return {};
  known = watermark;
  Timestamp least = INT64_MAX;
  for (const auto& [input, said] : lane.watermarks) least = std::min(least, said);
  if (least <= lane.watermark || least == INT64_MAX) return {};
  lane.watermark = least;
  for (bool more = true; more;) {
    if (!open_) {
      open_ = true;
      opened_ = clock_.monotonic();
    }
    if (Status status = chain_.on_watermark(lane_index, least, more); !status.ok()) return status;
    if (!more) chain_.transaction().advance(lane_index, least);
    if (more) {
      if (Status status = close(); !status.ok()) return status;
    }
  }
  return {};
}

Status Runner::grant(const std::vector<wire::Lease>& leases) {
  for (const wire::Lease& lease : leases) {
    switch (lease.kind) {
      case wire::LeaseKind::kShard: {
        sharded_ = true;
        Lane& lane = lanes_[lease.shard];
        lane = {};
        lane.watermark = lease.watermark;
        for (const PortBinding& input : chain_.head().spec().inputs) {
          if (lease.shard < topology_.streams[input.stream].shards) lane.watermarks[input.stream] = INT64_MIN;
        }
        break;
      }
      case wire::LeaseKind::kSplit: {
        ReadSplit& split = splits_[lease.shard];
        split = {};
        split.split.id = lease.split;
        split.split.position.assign(lease.position.begin(), lease.position.end());
        split.watermark = lease.watermark;
        idle_turns_ = 0;
        break;
      }
      case wire::LeaseKind::kEnumerate:
        enumerating_ = true;
        idle_turns_ = 0;
        break;
      case wire::LeaseKind::kRanges:
        break;
    }
  }
  return {};
}

Status Runner::load_state(const wire::StatePart& part) {
  Instance* instance = chain_.find(part.stage);
  if (instance == nullptr) return {Code::kInvalid, "state of a stage that this worker does not run"};
  weir_context* context = instance->context();
  context->shard = part.shard;
  Instance* sink = chain_.sink();
  wire::ChangesReader reader(part.changes);
  const auto lend = [](BytesView bytes) {
    return weir_bytes{reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
  };
  BytesView position;
  while (const auto change = reader.next()) {
    if (change->space == wire::Space::kPosition) {
      position = change->value.value_or(BytesView());
    } else if (change->space == wire::Space::kState && instance->typed_state()) {
      const weir_bytes value = change->value ? lend(*change->value) : weir_bytes{};
      const int answer =
          instance->plugin().state_load(instance->self(), context, lend(change->name), lend(change->key), value);
      if (answer != WEIR_OK)
        return {Code::kRefused,
                "stage \"" + instance->spec().name + "\" cannot read its state: " + instance->take_failure()};
    } else if (change->space == wire::Space::kState) {
      instance->store().load(part.shard, *change);
    }
  }
  if (!reader.ok()) return {Code::kInvalid, "malformed state from the broker"};
  // A sink's position comes alone; its target is opened with it, one for all shards unless it is shared by shard.
  if (sink == instance && (sink->spec().sharing == Sharing::kShard || part.shard == 0)) {
    const int answer = sink->plugin().open(sink->self(), context, lend(position));
    if (answer != WEIR_OK) return {Code::kRefused, "stage \"" + sink->spec().name + "\": " + sink->take_failure()};
  }
  return {};
}

Status Runner::revoke(const std::vector<wire::Lease>& leases) {
  if (Status status = close(); !status.ok()) return status;
  for (const wire::Lease& lease : leases) {
    lanes_.erase(lease.shard);
    for (const auto& instance : chain_.instances()) {
      instance->context()->shard = lease.shard;
      if (instance->plugin().kind == WEIR_KIND_SINK) {
        if (instance->plugin().close != nullptr && instance->spec().sharing == Sharing::kShard)
          instance->plugin().close(instance->self(), instance->context());
      } else if (instance->plugin().state_drop != nullptr) {
        instance->plugin().state_drop(instance->self(), lease.shard);
      } else {
        instance->store().drop(lease.shard);
      }
    }
  }
  engine_.release(leases);
  return {};
}

Status Runner::finish(const std::vector<std::uint32_t>& lanes) {
  if (Status status = close(); !status.ok()) return status;
  for (const std::uint32_t lane : lanes) {
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
    }
  }
  return close();
}

Status Runner::enumerate() {
  SplitList list{&chain_.transaction()};
  Instance& source = chain_.head();
  source.mark();
  const int answer =
      source.plugin().enumerate(source.self(), source.context(), reinterpret_cast<weir_split_list*>(&list));
  if (answer != WEIR_END && answer != WEIR_MORE && answer != WEIR_OK) {
    return {Code::kRefused, "stage \"" + source.spec().name + "\": " + source.take_failure()};
  }
  if (answer == WEIR_END) {
    chain_.transaction().end_enumeration();
    enumerating_ = false;
  }
  if (!chain_.transaction().empty()) {
    open_ = true;
    opened_ = clock_.monotonic();
    return close();
  }
  return {};
}

Status Runner::read_splits(bool& any) {
  if (enumerating_) {
    if (Status status = enumerate(); !status.ok()) return status;
  }
  // Every split in its turn, one call each, so that an endless one starves nobody.
  const auto count = static_cast<std::uint32_t>(splits_.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    auto it = splits_.begin();
    std::advance(it, (split_next_ + i) % count);
    if (it->second.ended) continue;
    bool read_some = false;
    if (Status status = read(it->first, it->second, read_some); !status.ok()) return status;
    if (!read_some) continue;
    any = true;
    // Files are read one after the other: the same split goes on until it is empty or has ended.
    split_next_ = it->second.ended ? (split_next_ + i + 1) % count : (split_next_ + i) % count;
    return {};
  }
  return {};
}

Status Runner::read(std::uint32_t lane, ReadSplit& split, bool& read_some) {
  Instance& source = chain_.head();
  source.context()->shard = lane;
  source.context()->record = 0;
  source.mark();
  if (!open_) opened_ = clock_.monotonic();
  const std::uint64_t bytes_before = source.bytes();
  chain_.transaction().take_origin(clock_.wall_us());
  split.split.moved = false;
  const int answer = source.plugin().read(source.self(), source.context(), reinterpret_cast<weir_split*>(&split.split));
  if (answer != WEIR_MORE && answer != WEIR_EMPTY && answer != WEIR_END && answer != WEIR_OK) {
    return {Code::kRefused, "stage \"" + source.spec().name + "\": " + source.take_failure()};
  }
  read_some = answer != WEIR_EMPTY || source.bytes() != bytes_before;
  const Timestamp said = source.take_watermark();
  if (said > split.watermark) {
    split.watermark = said;
    chain_.transaction().advance(lane, said);
    open_ = true;
  }
  if (Status status = chain_.flush_fused(lane); !status.ok()) return status;
  if (answer == WEIR_END) split.ended = true;
  if (source.bytes() != bytes_before || split.split.moved || split.ended) {
    open_ = true;
    chain_.transaction().move_split(lane, split.split.position, split.ended);
    if (source.plugin().on_durable != nullptr) {
      split.durable_at = engine_.committed() + 1;
      split.durable_position = split.split.position;
    }
  }
  if (open_ && (chain_.full() || source.context()->stop != 0)) return close();
  return {};
}

Status Runner::close() {
  if (!open_) return {};
  open_ = false;
  std::uint64_t published = 0;
  const auto body = chain_.close(engine_.committed() + 1, published);
  if (!body.ok()) return body.error();
  if (!body->empty()) engine_.commit(*body, published);
  return {};
}

void Runner::tell_durable() {
  for (auto& [lane, split] : splits_) {
    if (split.durable_at == 0 || engine_.settled() < split.durable_at) continue;
    split.durable_at = 0;
    Split durable{split.split.id, split.durable_position, false};
    Instance& source = chain_.head();
    source.context()->shard = lane;
    source.plugin().on_durable(source.self(), source.context(), reinterpret_cast<weir_split*>(&durable));
  }
}

void Runner::beat() {
  const Monotonic now = clock_.monotonic();
  const auto elapsed = static_cast<float>(std::max<std::int64_t>((now - measured_since_).count(), 1));
  measured_.busy_ratio = static_cast<float>(busy_.count()) / elapsed;
  measured_.blocked_ratio = static_cast<float>(blocked_.count()) / elapsed;
  measured_.state_bytes = chain_.state_bytes();
  engine_.beat(measured_);
  measured_ = {};
  measured_since_ = now;
  busy_ = blocked_ = Monotonic{0};
}

}  // namespace weir::host
