// SPDX-License-Identifier: Apache-2.0
#include "stages/host/chain.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>

#include "sdk/base/log.h"
#include "sdk/topology/hot_keys.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/changes.h"
#include "stages/host/engine.h"

namespace weir::host {
namespace {

/// A transaction closes at this size, to keep latency and memory low; larger ones bring no more throughput.
constexpr std::uint64_t kTransactionBytes = 1 << 20;
/// Where little comes of its input, it takes so many times transaction_bytes_max of that: what is done again after a
/// death is little still, and whoever wants it to be less says so by commit_after.
constexpr std::uint64_t kInputTimes = 16;
/// In front of a store on disk each key that is asked for is held until the transaction closes, changed or not.
constexpr std::uint64_t kInputTimesCached = 2;

std::uint64_t outputs_bound(const Topology& topology) {
  return std::min(topology.broker.transaction_bytes_max / 4, kTransactionBytes);
}

int call_process(Instance& instance, const weir_batch& batch, bool merges, std::uint32_t first, std::uint32_t* done) {
  const weir_descriptor& plugin = instance.plugin();
  const auto call = plugin.kind == WEIR_KIND_SINK ? plugin.write : merges ? plugin.merge : plugin.process;
  return call(instance.self(), instance.context(), &batch, first, done);
}

}  // namespace

Chain::Chain(const Topology& topology, std::uint32_t head, std::uint32_t worker)
    : topology_(topology),
      head_(head),
      worker_(worker),
      builders_(topology.streams.size()),
      outputs_max_(outputs_bound(topology)) {}

Status Chain::create(const std::function<Result<const weir_descriptor*>(const StageSpec&)>& find_plugin,
                     const std::function<Result<std::string>(const StageSpec&, const weir_descriptor&)>& config) {
  // In the order of the flow: a fused stream has one producer and one consumer.
  std::vector<std::uint32_t> stages = {head_};
  for (std::size_t i = 0; i < stages.size(); ++i) {
    for (const PortBinding& output : topology_.stages[stages[i]].outputs) {
      if (topology_.streams[output.stream].transport != Transport::kFused) continue;
      for (std::uint32_t next = 0; next < topology_.stages.size(); ++next) {
        const auto& inputs = topology_.stages[next].inputs;
        const auto reads = [&](const PortBinding& input) { return input.stream == output.stream; };
        if (std::any_of(inputs.begin(), inputs.end(), reads)) stages.push_back(next);
      }
    }
  }
  const std::uint64_t bytes_max = topology_.broker.transaction_bytes_max;
  for (const std::uint32_t stage : stages) {
    const StageSpec& spec = topology_.stages[stage];
    const auto plugin = find_plugin(spec);
    if (!plugin.ok()) return plugin.error();
    auto instance = std::make_unique<Instance>(**plugin, topology_, stage, worker_, transaction_);
    if (instances_.empty()) {
      static_assert(sizeof(HostContext) <= wire::WorkPage::kContextBytes);
      instance->place_context(at_work_.page().head_context);
    }
    instance->set_bounds(bytes_max / 2, outputs_max_);
    static const char* const kOut[] = {"out", nullptr};
    static const char* const kNone[] = {nullptr};
    const char* const* ports = (*plugin)->outputs != nullptr       ? (*plugin)->outputs
                               : (*plugin)->kind == WEIR_KIND_SINK ? kNone
                                                                   : kOut;
    for (; *ports != nullptr; ++ports) {
      const auto bound = std::find_if(spec.outputs.begin(), spec.outputs.end(),
                                      [&](const PortBinding& port) { return port.port == *ports; });
      if (bound == spec.outputs.end()) {
        return {Code::kRefused, fmt::format("stage \"{}\": its output port \"{}\" leads nowhere", spec.name, *ports)};
      }
      const Stream& stream = topology_.streams[bound->stream];
      const auto shared = shared_part(topology_, stream);
      instance->add_output(std::make_unique<Output>(stream, bound->stream, builder_of(bound->stream),
                                                    shared ? builder_of(*shared) : nullptr));
    }
    if (stage == head_) {
      if (Status status = join_partials(**plugin); !status.ok()) return status;
    }
    const auto text = config(spec, **plugin);
    if (!text.ok()) return text.error();
    {
      const auto turn = at_work_.call(wire::Doing::kCreate, stage);
      if (Status status = instance->create(*text); !status.ok()) return status;
    }
    typed_state_ |= instance->typed_state();
    instances_.push_back(std::move(instance));
  }
  return {};
}

FrameBuilder* Chain::builder_of(std::uint32_t index) {
  const Stream& stream = topology_.streams[index];
  auto& builder = builders_[index];
  if (stream.transport != Transport::kFused && !builder)
    builder = std::make_unique<FrameBuilder>(index, stream.shards, stream.compression);
  return builder.get();
}

void Chain::destroy() {
  for (; !instances_.empty(); instances_.pop_back()) {
    const auto turn = at_work_.call(wire::Doing::kDestroy, instances_.back()->stage());
    instances_.back().reset();
  }
}

Instance* Chain::find(std::uint32_t stage) {
  for (const auto& instance : instances_) {
    if (instance->stage() == stage) return instance.get();
  }
  return nullptr;
}

Instance* Chain::sink() {
  for (const auto& instance : instances_) {
    if (instance->plugin().kind == WEIR_KIND_SINK) return instance.get();
  }
  return nullptr;
}

Chain::Joint Chain::joint(std::uint32_t stream) {
  if (stream < joints_.size() && joints_[stream].consumer != nullptr) return joints_[stream];
  joints_.resize(topology_.streams.size());
  for (const auto& instance : instances_) {
    for (const PortBinding& input : instance->spec().inputs) {
      if (input.stream != stream) continue;
      std::uint32_t port = 0;
      if (const char* const* names = instance->plugin().inputs) {
        while (names[port] != nullptr && input.port != names[port]) ++port;
      }
      if (stream < joints_.size()) joints_[stream] = {instance.get(), port};
      return {instance.get(), port};
    }
  }
  return {};
}

Status Chain::fatal(Instance& instance, const char* what) {
  const std::string why = instance.take_failure();
  return {Code::kRefused, fmt::format("stage \"{}\": {} failed: {}", instance.spec().name, what,
                                      why.empty() ? std::string("the plugin gives no reason") : why)};
}

Result<Chain::Work> Chain::delivered(const wire::DeliveryHeader& header, BytesView records, std::uint32_t lane) {
  const Joint at = joint(header.stream);
  if (at.consumer == nullptr) {
    return {Code::kInvalid, "the broker delivers a stream that stage \"" + head().spec().name + "\" does not read"};
  }
  Work item;
  item.instance = at.consumer;
  item.lane = lane;
  item.hot_keys = topology_.streams[header.stream].hot_keys;
  item.batch = {sizeof(weir_batch),
                header.count,
                at.port,
                header.shard,
                header.offset,
                {reinterpret_cast<const std::uint8_t*>(records.data()), records.size()},
                topology_.streams[header.stream].name.c_str()};
  transaction_.take_origin(header.origin_us);
  return item;
}

Status Chain::process(const wire::DeliveryHeader& header, BytesView records, std::uint32_t lane, std::uint32_t first,
                      std::uint32_t& done, Incarnation producer) {
  auto item = delivered(header, records, lane);
  if (!item.ok()) return item.error();
  item->producer = producer;
  const auto turn = at_work_.process(header, producer);
  const std::uint32_t start = first;
  Status status = work(*item, first, done);
  count_input(std::uint64_t{header.bytes} * (done - start) / std::max(header.count, 1U));
  return status;
}

Status Chain::give_up(const wire::Condemned& condemned, const wire::DeliveryHeader& header, BytesView records,
                      std::uint32_t lane, Incarnation producer) {
  auto item = delivered(header, records, lane);
  if (!item.ok()) return item.error();
  item->producer = producer;
  transaction_.count(item->instance->stage(), false, "death", 1);
  if (item->hot_keys != HotKeys::kPartials) ++transaction_.counted(item->instance->stage()).records_in;
  return lose(*item, 0, {condemned.reason, "death", condemned.attempts});
}

Result<Chain::Work> Chain::requeued(const wire::Requeued& requeued, const wire::DeadLetter& letter, Bytes& record) {
  Work item;
  item.instance = find(requeued.stage);
  const Stream* stream = topology_.find_stream(letter.stream);
  if (item.instance == nullptr || stream == nullptr)
    return {Code::kInvalid, "the broker requeues a record of a stage that does not run here"};
  const Joint at = joint(static_cast<std::uint32_t>(stream - topology_.streams.data()));
  if (at.consumer != item.instance)
    return {Code::kInvalid, "the broker requeues a record that its stage does not read"};
  wire::append_record(record, {letter.timestamp, letter.key_bytes, letter.value_bytes, letter.headers});
  item.lane = requeued.shard;
  item.hot_keys = stream->hot_keys;
  item.requeued = true;
  item.batch = {sizeof(weir_batch),
                1,
                at.port,
                letter.shard.value(),
                letter.offset.value(),
                {reinterpret_cast<const std::uint8_t*>(record.data()), record.size()},
                stream->name.c_str()};
  again_ = Again{requeued.number, Bytes(requeued.key.begin(), requeued.key.end()), letter.attempts};
  return item;
}

Status Chain::process_requeued(const wire::Requeued& requeued, const wire::DeadLetter& letter) {
  Bytes record;
  const auto item = this->requeued(requeued, letter, record);
  if (!item.ok()) return item.error();
  const auto turn = at_work_.requeued(requeued.number);
  std::uint32_t done = 0;
  if (Status status = work(*item, 0, done); !status.ok()) return status;
  count_input(record.size());
  close_requeued(requeued);
  return {};
}

Status Chain::give_up(const wire::Condemned& condemned, const wire::Requeued& requeued,
                      const wire::DeadLetter& letter) {
  Bytes record;
  const auto item = this->requeued(requeued, letter, record);
  if (!item.ok()) return item.error();
  transaction_.count(requeued.stage, false, "death", 1);
  if (Status status = lose(*item, 0, {condemned.reason, "death", condemned.attempts}); !status.ok()) return status;
  close_requeued(requeued);
  return {};
}

void Chain::close_requeued(const wire::Requeued& requeued) {
  again_.reset();
  const Bytes key = wire::requeued_key(requeued.number);
  wire::append_change(transaction_.changes(requeued.stage, requeued.shard),
                      {wire::Space::kRequeued, {}, key, std::nullopt});
}

Status Chain::work(const Work& item, std::uint32_t first, std::uint32_t& done) {
  const bool parks = item.instance->spec().then == OnErrorThen::kParkKey || item.instance->parked().any(item.lane);
  return parks ? work_around_parked(item, first, done) : work_run(item, first, done);
}

Status Chain::work_run(const Work& item, std::uint32_t first, std::uint32_t& done) {
  Instance& instance = *item.instance;
  weir_context* context = instance.context();
  const bool merges = item.hot_keys == HotKeys::kPartials;
  const bool partial = item.hot_keys == HotKeys::kShared;
  context->shard = partial ? WEIR_SHARD_PARTIAL : item.lane;
  if (instance.plugin().kind == WEIR_KIND_SINK) {
    context->shard = target_of(instance, item.lane);
    written_.emplace(context->shard, item.lane);
  }
  transaction_.touch(item.lane);
  PartialWalk walk{
      wire::BatchReader({reinterpret_cast<const std::byte*>(item.batch.records.data), item.batch.records.size})};
  std::uint32_t attempts = 0;
  const std::uint32_t start = first;
  done = first;
  while (first < item.batch.count) {
    instance.come_to(first);
    instance.mark();
    instance.take_refused();
    instance.set_origins(item.batch.offset, item.origins);
    parked_ = false;
    std::uint32_t reached = first;
    at_work_.enter(instance.stage(), context);
    const int answer = call_process(instance, item.batch, merges, first, &reached);
    if (answer == WEIR_FATAL) return fatal(instance, "a record");
    if (reached > item.batch.count || reached < first) {
      return {Code::kRefused, fmt::format("stage \"{}\": the plugin says that it has come to record {} of {}",
                                          instance.spec().name, reached, item.batch.count)};
    }
    if (reached > first) attempts = 0;
    if (partial) note_partials(instance, walk, first, reached);
    first = reached;
    if (instance.take_refused() && answer != WEIR_ERROR) return instance.ignored_refusal();
    if (answer == WEIR_ERROR) {
      instance.undo();
      if (Status status = judge_failure(item, reached, attempts, first); !status.ok()) return status;
    } else if (answer != WEIR_OK) {
      return {Code::kRefused, fmt::format("stage \"{}\": the plugin answers {} where WEIR_OK or WEIR_ERROR is due",
                                          instance.spec().name, answer)};
    } else if (first < item.batch.count && context->stop == 0) {
      return {Code::kRefused,
              fmt::format("stage \"{}\": the plugin returned before the end of its batch", instance.spec().name)};
    }
    done = first;
    const bool parked = parked_;  // the next stage of the chain may park records of its own
    if (Status status = run_fused(instance, item.lane, item.producer); !status.ok()) return status;
    parked_ = parked;
    if (parked) break;
    if (&instance == instances_.front().get() && full()) break;
    context->stop = 0;
  }
  // A requeued record was counted when it came the first time, and so were those in a partial result.
  if (!item.requeued && !merges) transaction_.counted(instance.stage()).records_in += done - start;
  return {};
}

Status Chain::judge_failure(const Work& item, std::uint32_t record, std::uint32_t& attempts, std::uint32_t& next) {
  Instance& instance = *item.instance;
  const StageSpec& spec = instance.spec();
  const char* cause = instance.failure_cause();
  std::string reason = instance.take_failure();
  if (reason.empty()) reason = "the plugin gives no reason";
  if (reason == "std::bad_alloc") {
    reason +=
        ": it takes more memory than one record may (the worker's `memory` and room for its transaction and state)";
    malloc_trim(0);  // what it had taken is not counted as held by the worker
  }
  ++attempts;
  if (attempts <= spec.retries) return {};
  transaction_.count(instance.stage(), false, cause, 1);
  next = record + 1;
  return lose(item, record, {reason, cause, std::exchange(attempts, 0)});
}

Status Chain::lose(const Work& item, std::uint32_t record, const Failure& failure) {
  Instance& instance = *item.instance;
  const StageSpec& spec = instance.spec();
  if (spec.then == OnErrorThen::kSkip) {
    transaction_.count(instance.stage(), true, "skipped", 1);
    return {};
  }
  wire::BatchReader reader({reinterpret_cast<const std::byte*>(item.batch.records.data), item.batch.records.size});
  std::optional<wire::RecordRef> found;
  for (std::uint32_t i = 0; i <= record; ++i) found = reader.next();
  if (!found) return {Code::kCorrupt, "a batch holds fewer records than its directory says"};
  if (spec.then == OnErrorThen::kFail) {
    return {Code::kRefused,
            fmt::format("stage \"{}\" fails at a record of \"{}\", shard {}, offset {}: {}", spec.name,
                        item.batch.stream, item.batch.shard, item.batch.offset + record, failure.reason)};
  }
  wire::DeadLetter letter = letter_of(item, record, *found);
  letter.attempts = failure.attempts + (item.requeued ? again_->attempts : 0);
  letter.reason = failure.reason;
  if (spec.then == OnErrorThen::kParkKey) {
    park(item, letter);
  } else {
    add_dead_letter(item, letter);
  }
  return {};
}

wire::DeadLetter Chain::letter_of(const Work& item, std::uint32_t record, const wire::RecordRef& found) {
  wire::DeadLetter letter;
  letter.stream = item.batch.stream;
  letter.shard = Shard(item.batch.shard);
  letter.offset = Offset(item.origins != nullptr ? item.origins[record] : item.batch.offset + record);
  letter.timestamp = found.timestamp;
  letter.key_bytes = found.key;
  letter.value_bytes = found.value;
  letter.headers = found.headers;
  return letter;
}

Bytes Chain::place_of(const Work& item, const wire::DeadLetter& letter) {
  Bytes key = wire::dead_letter_key(letter);
  if (item.requeued) {
    key = again_->key;
  } else if (again_) {
    // What a requeued record has become may come from the same place as letters that are there already.
    ByteWriter(key).put(__builtin_bswap64(again_->number));
  }
  // Each producer counts from 0.
  if (item.producer != Incarnation()) ByteWriter(key).put(__builtin_bswap64(item.producer.value()));
  // Of what is published each worker has a record of its own.
  const auto& inputs = head().spec().inputs;
  const auto is_published = [&](const PortBinding& input) {
    return topology_.streams[input.stream].transport == Transport::kPubSub;
  };
  if (item.producer != Incarnation() && std::any_of(inputs.begin(), inputs.end(), is_published))
    ByteWriter(key).put(__builtin_bswap32(worker_));
  // Several fused records may come from one record of the input: all of them in one transaction, always.
  if (item.origins != nullptr) {
    const std::uint32_t before = letters_[key]++;
    if (before != 0) ByteWriter(key).put(__builtin_bswap32(before));
  }
  return key;
}

void Chain::add_dead_letter(const Work& item, const wire::DeadLetter& letter) {
  Instance& instance = *item.instance;
  const Bytes key = place_of(item, letter);
  const Bytes value = wire::encode(letter);
  wire::append_change(transaction_.changes(instance.stage(), item.lane),
                      {wire::Space::kDeadLetter, {}, key, BytesView(value)});
  instance.add_bytes(key.size() + value.size());
  ++transaction_.counted(instance.stage()).dead_letters;
  log::warning("dead letter: {} of \"{}\", shard {}, offset {}: {}", instance.spec().name, letter.stream,
               letter.shard.value(), letter.offset.value(), letter.reason);
}

Status Chain::run_fused(Instance& instance, std::uint32_t lane, Incarnation producer) {
  for (const auto& output : instance.outputs()) {
    if (!output->fused() || output->fused_batch().count == 0) continue;
    const Joint next = joint(output->stream());
    WEIR_CHECK(next.consumer != nullptr, "a fused stream has a stage that reads it");
    // Taken out whole: what the next stage emits goes elsewhere.
    FrameBuilder::ShardBatch batch;
    std::swap(batch, output->fused_batch());
    output->mark();
    Work item;
    item.instance = next.consumer;
    item.lane = lane;
    item.producer = producer;
    item.origins = batch.origins.data();
    item.batch = {sizeof(weir_batch),
                  batch.count,
                  next.port,
                  lane,
                  batch.origins.front(),
                  {reinterpret_cast<const std::uint8_t*>(batch.records.bytes().data()), batch.records.size()},
                  topology_.streams[output->stream()].name.c_str()};
    std::uint32_t done = 0;
    if (Status status = work(item, 0, done); !status.ok()) return status;
    batch.records.clear();
    batch.origins.clear();
    batch.count = 0;
    if (output->fused_batch().records.capacity() == 0) std::swap(batch, output->fused_batch());
  }
  return {};
}

Status Chain::portion(std::uint32_t lane, bool& more, int (*weir_descriptor::*call)(void*, weir_context*),
                      const char* name) {
  transaction_.touch(lane);
  more = false;
  for (; portion_next_ < instances_.size(); ++portion_next_) {
    Instance& instance = *instances_[portion_next_];
    const auto function = instance.plugin().*call;
    if (function == nullptr || instance.plugin().kind != WEIR_KIND_STAGE) continue;
    while (true) {
      instance.context()->shard = lane;
      instance.come_to(0);
      instance.mark();
      instance.take_refused();
      instance.set_origins(static_cast<std::uint64_t>(transaction_.origin_us()), nullptr);
      at_work_.enter(instance.stage(), nullptr);
      const int answer = function(instance.self(), instance.context());
      if (answer != WEIR_OK && answer != WEIR_MORE) return fatal(instance, name);
      if (instance.take_refused()) return instance.ignored_refusal();
      if (Status status = run_fused(instance, lane); !status.ok()) return status;
      if (answer == WEIR_OK) break;
      // Stopped only so that the next stage gets its records: the same transaction goes on.
      const bool goes_on = instance.context()->stop != 0 && !full();
      instance.context()->stop = 0;
      if (goes_on) continue;
      more = true;
      return {};
    }
  }
  portion_next_ = 0;
  return {};
}

void Chain::set_watermark(Timestamp watermark) {
  for (const auto& instance : instances_) instance->context()->watermark = watermark;
}

Status Chain::on_watermark(std::uint32_t lane, Timestamp watermark, bool& more) {
  const auto turn = at_work_.begin(wire::Doing::kWatermark);
  set_watermark(watermark);
  return portion(lane, more, &weir_descriptor::on_watermark, "on_watermark");
}

Status Chain::finish(std::uint32_t lane, bool& more) {
  const auto turn = at_work_.begin(wire::Doing::kFinish);
  return portion(lane, more, &weir_descriptor::finish, "finish");
}

bool Chain::wants_watermarks() const {
  return std::any_of(instances_.begin(), instances_.end(), [](const auto& instance) {
    return !instance->outputs().empty() || instance->plugin().on_watermark != nullptr;
  });
}

void Chain::count_input(std::uint64_t bytes) {
  if (!typed_state_) return;
  input_bytes_ += bytes;
  pending_state_ = 0;
  for (const auto& instance : instances_) {
    const std::uint64_t more = instance->pending_state();
    if (more == UINT64_MAX) {
      // As much as came in, until the flush tells.
      pending_state_.reset();
      return;
    }
    *pending_state_ += more;
  }
}

void Chain::bound_outputs(std::uint64_t bytes) {
  bytes = std::min(bytes, outputs_bound(topology_));
  if (bytes == outputs_max_) return;
  outputs_max_ = bytes;
  for (const auto& instance : instances_) instance->set_stop(bytes);
}

bool Chain::full() const {
  const std::uint64_t bytes_max = topology_.broker.transaction_bytes_max;
  const std::uint64_t most = outputs_max_;
  std::uint64_t bytes = 0;
  for (const auto& instance : instances_) bytes += instance->bytes();
  if (!pending_state_) return bytes + input_bytes_ >= most;
  // The more records of a key there are in a transaction, the fewer changes have to be written, and nobody waits for
  // these; as somebody does for what was emitted.
  const std::uint64_t state_most = std::min(bytes_max / 2, std::max(most, topology_.stages[head_].memory_bytes / 8));
  const std::uint64_t input_times = local_ == nullptr ? kInputTimes : kInputTimesCached;
  return bytes >= most || *pending_state_ >= state_most || input_bytes_ >= input_times * bytes_max;
}

bool Chain::may_wait() const {
  const auto emitted = [](const std::unique_ptr<FrameBuilder>& builder) { return builder && !builder->empty(); };
  const auto writes = [](const std::unique_ptr<Instance>& instance) {
    return instance->plugin().kind != WEIR_KIND_STAGE || !instance->partials().empty();
  };
  return transaction_.may_wait() && std::none_of(instances_.begin(), instances_.end(), writes) &&
         std::none_of(builders_.begin(), builders_.end(), emitted);
}

Result<Bytes> Chain::close(std::uint64_t number, const Engine& engine) {
  if (partials_ != nullptr) {
    if (Status status = hand_over_partials(); !status.ok()) return status.error();
  }
  for (const auto& instance : instances_) {
    weir_context* context = instance->context();
    if (instance->plugin().state_flush != nullptr) {
      instance->set_flushing(true);
      for (const std::uint32_t lane : transaction_.touched()) {
        context->shard = lane;
        const auto turn = at_work_.call(wire::Doing::kFlush, instance->stage());
        if (instance->plugin().state_flush(instance->self(), context) != WEIR_OK)
          return fatal(*instance, "state_flush").error();
      }
      instance->set_flushing(false);
    } else if (instance->plugin().kind == WEIR_KIND_STAGE) {
      for (const std::uint32_t lane : transaction_.touched()) {
        Bytes changes;
        instance->store().take_changes(lane, changes);
        if (!changes.empty()) {
          Bytes& to = transaction_.changes(instance->stage(), lane);
          to.insert(to.end(), changes.begin(), changes.end());
        }
      }
    }
    if (instance->plugin().kind == WEIR_KIND_SINK) {
      if (Status status = flush_sink(*instance); !status.ok()) return status.error();
    }
    instance->close_transaction();
  }
  std::vector<FrameBuilder*> filled;
  direct_ = {};
  for (std::uint32_t stream = 0; stream < builders_.size(); ++stream) {
    FrameBuilder* const builder = builders_[stream].get();
    if (builder == nullptr || builder->empty()) continue;
    if (!is_direct(topology_.streams[stream].transport)) {
      filled.push_back(builder);
      continue;
    }
    DirectOutput output = builder->direct(transaction_.origin_us());
    transaction_.emit_directly({stream, output.count, output.records.size()});
    if (topology_.streams[stream].transport == Transport::kPubSub)
      transaction_.publish({stream, engine.readers(stream)});
    direct_.outputs.push_back(std::move(output));
    builder->clear();
  }
  direct_.taken = transaction_.taken();
  Bytes message;
  if (!transaction_.empty() || !filled.empty()) message = transaction_.encode(number, filled);
  for (FrameBuilder* builder : filled) builder->clear();
  if (local_ != nullptr) {
    for (auto& [where, bytes] : transaction_.all_changes())
      if (!bytes.empty()) local_->pend(number, where.first, where.second, std::move(bytes));
  }
  transaction_.clear();
  letters_.clear();
  input_bytes_ = 0;
  pending_state_.reset();
  return message;
}

Status Chain::flush_sink(Instance& sink) {
  for (const auto& [target, lane] : written_) {
    sink.context()->shard = target;
    weir_bytes position{};
    const auto turn = at_work_.call(wire::Doing::kFlush, sink.stage());
    if (sink.plugin().flush(sink.self(), sink.context(), &position) != WEIR_OK) return fatal(sink, "flush");
    if (position.size == 0 && !positions_said_.contains(target)) continue;
    positions_said_.insert(target);
    const BytesView bytes(reinterpret_cast<const std::byte*>(position.data), position.size);
    // A target that many workers share has no lane of its own: what is said of it is kept with one that it was written
    // for.
    const std::uint32_t kept = sink.spec().sharing == Sharing::kAny ? lane : target;
    wire::append_change(transaction_.changes(sink.stage(), kept), {wire::Space::kPosition, {}, {}, bytes});
  }
  written_.clear();
  return {};
}

Status Chain::keep_local(LocalLanes& local, std::uint64_t cache_bytes) {
  local_ = &local;
  std::uint64_t stages = 0;
  for (const auto& instance : instances_) {
    if (instance->spec().store != Store::kRocksDb) continue;
    if (Status status = instance->keep_local(local); !status.ok()) return status;
    ++stages;
  }
  cache_bytes_ = cache_bytes / std::max<std::uint64_t>(stages, 1);
  return {};
}

void Chain::evict() {
  for (const auto& instance : instances_) {
    if (instance->local() != nullptr) instance->evict(cache_bytes_);
  }
}

std::uint64_t Chain::state_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& instance : instances_) {
    bytes += instance->plugin().state_bytes != nullptr ? instance->plugin().state_bytes(instance->self())
                                                       : instance->store().bytes();
    bytes += instance->parked().bytes();
  }
  return bytes;
}

}  // namespace weir::host
