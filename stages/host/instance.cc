// SPDX-License-Identifier: Apache-2.0
#include "stages/host/instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include "sdk/base/log.h"
#include "sdk/wire/split_id.h"
#include "stages/host/lent_bytes.h"

namespace weir::host {
namespace {

/// A sentence goes into dead letters, the log, and what the broker is told: of a longer one so much.
constexpr std::size_t kSentenceMax = 4096;

/// The next stage of a chain gets its records in batches of about this size: they are still in the cache then.
constexpr std::size_t kFusedBytes = 64 << 10;

Instance& instance_of(weir_context* context) { return *reinterpret_cast<HostContext*>(context)->instance; }

int host_emit(weir_context* context, std::uint32_t port, const weir_record* record) {
  return instance_of(context).emit(port, *record);
}
void host_fail(weir_context* context, const char* text, std::size_t size) {
  instance_of(context).fail(std::string(text, size));
}
void host_log(weir_context* context, int level, const char* text, std::size_t size) {
  instance_of(context).log(level, {text, size});
}
int host_state_get(weir_context* context, weir_bytes name, weir_bytes key, weir_bytes* value) {
  return instance_of(context).get(view(name), view(key), *value);
}
int host_state_next(weir_context* context, weir_bytes name, weir_bytes after, weir_bytes* key, weir_bytes* value) {
  const auto behind = after.data == nullptr ? std::nullopt : std::optional(view(after));
  return instance_of(context).next(view(name), behind, *key, *value);
}
int host_state_put(weir_context* context, weir_bytes name, weir_bytes key, weir_bytes value) {
  return instance_of(context).change_state({wire::Space::kState, view(name), view(key), view(value)});
}
int host_state_erase(weir_context* context, weir_bytes name, weir_bytes key) {
  return instance_of(context).change_state({wire::Space::kState, view(name), view(key), std::nullopt});
}
void host_watermark(weir_context* context, std::int64_t time) { instance_of(context).say_watermark(time); }
int host_split_add(weir_split_list* list, weir_bytes id) {
  auto* splits = reinterpret_cast<SplitList*>(list);
  const std::string_view name = as_text(view(id));
  if (name.find('\0') != std::string_view::npos) return WEIR_ERROR;
  std::string text = wire::SplitId{name, splits->host}.text();
  if (splits->known->insert(text).second) splits->found->push_back(std::move(text));
  return WEIR_OK;
}
weir_bytes host_split_id(const weir_split* split) { return lend(as_bytes(reinterpret_cast<const Split*>(split)->id)); }
weir_bytes host_split_position(const weir_split* split) {
  return lend(reinterpret_cast<const Split*>(split)->position);
}
void host_split_set_position(weir_split* split, weir_bytes position) {
  auto* at = reinterpret_cast<Split*>(split);
  const BytesView bytes = view(position);
  if (std::ranges::equal(bytes, at->position)) return;  // a source with nothing to say makes no transactions
  at->position.assign(bytes.begin(), bytes.end());
  at->moved = true;
}
void host_count(weir_context* context, const char* name, std::uint64_t by) { instance_of(context).count(name, by); }

const weir_host kHost = {
    sizeof(weir_host),       WEIR_ABI_MINOR,   host_emit,       host_fail,      host_log,      host_state_get,
    host_state_put,          host_state_erase, host_watermark,  host_split_add, host_split_id, host_split_position,
    host_split_set_position, host_count,       host_state_next,
};

}  // namespace

Instance::Instance(const weir_descriptor& descriptor, const Topology& topology, std::uint32_t stage,
                   std::uint32_t worker, Transaction& transaction)
    : descriptor_(descriptor), topology_(topology), stage_(stage), transaction_(transaction) {
  context_->instance = this;
  context_->abi.struct_size = sizeof(weir_context);
  context_->abi.host = &kHost;
  context_->abi.watermark = WEIR_TIME_MIN;
  context_->abi.worker = worker;
  context_->abi.workers = topology.stages[stage].workers;
}

Instance::~Instance() {
  if (self_ != nullptr) descriptor_.destroy(self_);
}

void Instance::place_context(void* memory) { context_ = new (memory) HostContext(own_context_); }

Status Instance::create(const std::string& config) {
  self_ = descriptor_.create(&context_->abi, config.data(), config.size());
  if (self_ != nullptr) return {};
  std::string why = take_failure();
  return {Code::kRefused, fmt::format("stage \"{}\" ({}) cannot start: {}", spec().name, spec().plugin,
                                      why.empty() ? std::string("the plugin gives no reason") : why)};
}

std::string Instance::take_failure() {
  std::string sentence;
  sentence.swap(failure_);
  return sentence;
}

void Instance::fail(std::string sentence, const char* cause) {
  if (sentence.size() > kSentenceMax) {
    std::size_t end = kSentenceMax;
    while (end > kSentenceMax - 4 && (sentence[end] & 0xc0) == 0x80) --end;  // between two characters of UTF-8
    sentence.resize(end);
    sentence += " ...";
  }
  failure_ = std::move(sentence);
  failure_cause_ = cause;
}

void Instance::mark() {
  if (!dropped_.empty()) enter_dropped();
  for (const auto& output : outputs_) output->mark();
  store_.mark();
  record_ = context_->abi.record;
  record_bytes_ = 0;
  bytes_before_record_ = bytes_;
  failure_.clear();
  failure_cause_ = "process";
}

void Instance::undo() {
  if (context_->abi.record != record_) {
    // The logs are of an earlier record, which is done; this one did nothing yet.
    for (const auto& output : outputs_) output->mark();
    store_.mark();
    if (!dropped_.empty()) enter_dropped();
    return;
  }
  dropped_.clear();
  std::uint64_t records = 0;
  for (const auto& output : outputs_) records += output->undo();
  store_.undo();
  records_out_ -= records;
  bytes_ = bytes_before_record_;
  record_bytes_ = 0;
}

void Instance::follow_record() {
  if (context_->abi.record != record_) mark();
}

void Instance::enter_dropped() {
  for (const auto& [cause, by] : dropped_) transaction_.count(stage_, true, cause, by);
  dropped_.clear();
}

void Instance::close_transaction() {
  if (!dropped_.empty()) enter_dropped();
  if (records_out_ != 0) transaction_.counted(stage_).records_out += records_out_;
  records_out_ = 0;
  bytes_ = bytes_before_record_ = 0;
  context_->abi.stop = 0;
  for (const auto& output : outputs_) output->next_transaction();
}

Timestamp Instance::take_watermark() {
  const Timestamp said = watermark_;
  watermark_ = WEIR_TIME_MIN;
  return said;
}

int Instance::emit(std::uint32_t port, const weir_record& record) {
  if (descriptor_.kind == WEIR_KIND_STAGE) follow_record();
  if (port >= outputs_.size()) {
    return refuse(fmt::format("the stage emits to port {}, and has {}", port, outputs_.size()), "process");
  }
  if (context_->abi.shard == WEIR_SHARD_PARTIAL) return WEIR_OK;  // whoever merges it emits the result
  wire::RecordRef ref{record.timestamp, view(record.key), view(record.value), view(record.headers)};
  if (ref.key.empty()) ref.key = wire::nil_bytes();
  if (ref.value.empty()) ref.value = wire::nil_bytes();
  const std::size_t size = wire::record_bytes(ref);
  if (record_bytes_ + size > record_bytes_max_) {
    return refuse(
        fmt::format(
            "what one record causes is more than half of transaction_bytes_max ({} bytes); let it cause less, or "
            "make broker.transaction_bytes_max larger",
            record_bytes_max_),
        "size");
  }
  Output& output = *outputs_[port];
  const bool refused = std::exchange(refused_, true);  // left so by what is thrown where there is no memory
  if (const Status status = output.add(ref, output.fused() ? origin() : 0); !status.ok()) {
    return refuse(status.error().message, "key");
  }
  refused_ = refused;
  record_bytes_ += size;
  bytes_ += size;
  ++records_out_;
  if (bytes_ >= stop_bytes_ || (output.fused() && output.fused_batch().records.size() >= kFusedBytes)) {
    context_->abi.stop = 1;
  }
  return WEIR_OK;
}

Status Instance::ignored_refusal() {
  return {Code::kRefused, fmt::format("stage \"{}\": the plugin goes on after a record that it emitted was refused: {}",
                                      spec().name, take_failure())};
}

int Instance::refuse(std::string sentence, const char* cause) {
  refused_ = true;
  fail(std::move(sentence), cause);
  return WEIR_ERROR;
}

Status Instance::keep_local(LocalLanes& local) {
  if (typed_state() && (descriptor_.state_on_demand == nullptr || descriptor_.state_evict == nullptr)) {
    return {Code::kRefused,
            fmt::format("stage \"{}\" ({}) cannot keep its state in RocksDB: its library was built for an older Weir; "
                        "build it again, or leave \"state\" out",
                        spec().name, spec().plugin)};
  }
  local_ = &local;
  if (typed_state()) {
    descriptor_.state_on_demand(self_);
  } else {
    store_.ask(local, stage_);
  }
  return {};
}

void Instance::evict(std::uint64_t bytes_max) {
  if (typed_state()) {
    descriptor_.state_evict(self_, bytes_max);
  } else if (store_.bytes() > bytes_max) {
    store_.forget_clean();
  }
}

std::uint64_t Instance::pending_state() const {
  if (!typed_state()) return 0;
  return descriptor_.state_pending == nullptr ? UINT64_MAX : descriptor_.state_pending(self_);
}

int Instance::get(BytesView name, BytesView key, weir_bytes& value) {
  const bool partial = context_->abi.shard == WEIR_SHARD_PARTIAL;
  if (typed_state() && (local_ == nullptr || partial)) return WEIR_EMPTY;
  const auto found =
      typed_state() ? local_->find(context_->abi.shard, stage_, name, key) : store_.get(context_->abi.shard, name, key);
  if (!found.ok()) {
    log(WEIR_LOG_ERROR, found.error().message);
    return WEIR_FATAL;
  }
  if (!*found) return WEIR_EMPTY;
  value = lend(**found);
  return WEIR_OK;
}

int Instance::next(BytesView name, std::optional<BytesView> after, weir_bytes& key, weir_bytes& value) {
  if (local_ == nullptr || context_->abi.shard == WEIR_SHARD_PARTIAL) return WEIR_EMPTY;
  const auto found = local_->next(context_->abi.shard, stage_, name, after);
  if (!found.ok()) {
    log(WEIR_LOG_ERROR, found.error().message);
    return WEIR_FATAL;
  }
  if (!*found) return WEIR_EMPTY;
  key = lend((*found)->key);
  value = lend((*found)->value);
  return WEIR_OK;
}

int Instance::change_state(const wire::Change& change) {
  if ((descriptor_.flags & WEIR_FLAG_KEYED) == 0) {
    fail("the stage changes state, but its description does not say that it is keyed");
    return WEIR_ERROR;
  }
  if (change.name.size() > wire::kStateNameMax) {
    fail(fmt::format("the name of a state has {} bytes; it may have {}", change.name.size(), wire::kStateNameMax));
    return WEIR_ERROR;
  }
  if (flushing_ && context_->abi.shard == WEIR_SHARD_PARTIAL) {
    if (change.value) partials_.put(change.name, change.key, *change.value);
    return WEIR_OK;
  }
  if (flushing_) {
    if (flushed_ == nullptr || flushed_shard_ != context_->abi.shard) {
      flushed_shard_ = context_->abi.shard;
      flushed_ = &transaction_.changes(stage_, flushed_shard_);
    }
    wire::append_change(*flushed_, change);
    return WEIR_OK;
  }
  if (typed_state()) {
    fail("state is put outside of state_flush by a stage that keeps typed values");
    return WEIR_ERROR;
  }
  follow_record();
  const Status status = store_.put(context_->abi.shard, change.name, change.key, change.value);
  if (!status.ok()) {
    fail(status.error().message);
    return WEIR_FATAL;
  }
  bytes_ += change.key.size() + (change.value ? change.value->size() : 0);
  if (bytes_ >= stop_bytes_) context_->abi.stop = 1;
  return WEIR_OK;
}

void Instance::count(const std::string& cause, std::uint64_t by) {
  follow_record();
  dropped_[cause] += by;
}

void Instance::log(int level, std::string_view text) {
  static constexpr log::Level kLevels[] = {log::Level::kDebug, log::Level::kInfo, log::Level::kWarning,
                                           log::Level::kError};
  weir::log::write(kLevels[level < 0 || level > 3 ? 1 : level], text);
}

}  // namespace weir::host
