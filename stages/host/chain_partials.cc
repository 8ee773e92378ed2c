// SPDX-License-Identifier: Apache-2.0
// Hot keys that are split: records of theirs are processed where they lie, into state that ends with the transaction
// and goes, with it, to the key's own shard. So what is committed never holds a part of a key's state in a shard that
// is not its own, and a crash, a move of the shard or the end of the input finds nothing to be gathered.
#include <fmt/format.h>

#include <algorithm>

#include "sdk/base/log.h"
#include "sdk/topology/hot_keys.h"
#include "sdk/wire/changes.h"
#include "stages/host/chain.h"

namespace weir::host {

Status Chain::join_partials(const weir_descriptor& plugin) {
  const StageSpec& spec = topology_.stages[head_];
  const auto stream = partials_of(topology_, spec);
  if (!stream) return {};
  if (plugin.merge == nullptr) {
    return {Code::kRefused,
            fmt::format("stage \"{}\" ({}) reads a stream whose hot keys are split, and its library has no merge() for "
                        "partial results; build it again, or leave \"hot_keys\" out",
                        spec.name, spec.plugin)};
  }
  partials_ = std::make_unique<Output>(topology_.streams[*stream], *stream, builder_of(*stream));
  return {};
}

void Chain::note_partials(Instance& instance, PartialWalk& walk, std::uint32_t first, std::uint32_t end) {
  for (; walk.at < end; ++walk.at) {
    const auto record = walk.reader.next();
    if (record && walk.at >= first) instance.partials().note(record->key, record->timestamp);
  }
}

Status Chain::hand_over_partials() {
  Instance& instance = head();
  if (instance.partials().empty()) return {};
  weir_context* context = instance.context();
  context->shard = WEIR_SHARD_PARTIAL;
  const auto turn = at_work_.call(wire::Doing::kFlush, instance.stage());
  if (instance.typed_state()) {
    instance.set_flushing(true);
    const int answer = instance.plugin().state_flush(instance.self(), context);
    instance.set_flushing(false);
    if (answer != WEIR_OK) return fatal(instance, "state_flush");
    if (instance.plugin().state_drop != nullptr) instance.plugin().state_drop(instance.self(), WEIR_SHARD_PARTIAL);
  } else {
    Bytes changes;
    instance.store().take_changes(WEIR_SHARD_PARTIAL, changes);
    wire::ChangesReader reader(changes);
    while (const auto change = reader.next()) {
      if (change->value) instance.partials().put(change->name, change->key, *change->value);
    }
    instance.store().drop(WEIR_SHARD_PARTIAL);
  }
  const std::uint64_t bytes_max = topology_.broker.transaction_bytes_max / 2;
  Status status;
  partials_->mark();
  instance.partials().drain([&](wire::RecordRef& record) {
    if (!status.ok()) return;
    status = partials_->add(record, 0);
    if (!status.ok() || wire::record_bytes(record) <= bytes_max) return;
    status = {
        Code::kRefused,
        fmt::format("stage \"{}\": its state of a hot key takes {} bytes, and a partial result must fit into half "
                    "of transaction_bytes_max; raise that, or leave \"hot_keys\" out",
                    instance.spec().name, wire::record_bytes(record))};
  });
  return status;
}

std::vector<wire::HotKeysSeen> Chain::hot_keys() const {
  std::vector<wire::HotKeysSeen> all;
  for (const auto& instance : instances_) {
    for (const auto& output : instance->outputs()) {
      if (output->hot_keys() == nullptr) continue;
      all.push_back(output->hot_keys()->seen());
      all.back().stream = output->stream();
    }
  }
  return all;
}

}  // namespace weir::host
