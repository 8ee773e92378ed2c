// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sdk/topology/names.h"
#include "sdk/topology/rules.h"

namespace weir {
namespace {

class Warnings {
 public:
  Warnings(const Draft& draft, Report& report)
      : draft_(draft), streams_(draft.topology.streams), stages_(draft.topology.stages), report_(report) {}

  void check() {
    for (std::uint32_t i = 0; i < stages_.size(); ++i) {
      if (stages_[i].kind == PluginKind::kSink) check_durability(i);
      if (stages_[i].host == i && stages_[i].kind != PluginKind::kSource) check_idle_workers(i);
      if (draft_.stages[i].order_sensitive) check_order(i);
      if (draft_.stages[i].final) check_end(i);
      check_watermarks(i);
      check_priority(i);
    }
  }

 private:
  [[nodiscard]] bool is_keyed(const Joint& joint) const {
    return streams_[joint.stream].partition != PartitionBy::kNone;
  }

  /// A sink may have passed on what a power cut then takes from the journal.
  void check_durability(std::uint32_t index) {
    for (const Joint& joint : draft_.stages[stages_[index].host].inputs) {
      const Stream& stream = streams_[joint.stream];
      if (stream.transport == Transport::kFused || stream.durability != Durability::kNone) continue;
      const std::string own = pointer_to(draft_.streams[joint.stream].pointer, "durability");
      report_.warning(follow(report_.root(), own) != nullptr ? own : "/broker/durability",
                      fmt::format("sink {} reads stream {} under durability \"none\": after a power cut it may have "
                                  "written what the journal has lost, and writes it again",
                                  in_quotes(stages_[index].name), in_quotes(stream.name)));
    }
  }

  /// Keyed stages and sinks take whole shards, so that there can be fewer of them than workers.
  void check_idle_workers(std::uint32_t index) {
    const StageDraft& stage = draft_.stages[index];
    const bool has_sink = std::ranges::any_of(
        stages_, [&](const StageSpec& other) { return other.host == index && other.kind == PluginKind::kSink; });
    const bool keyed = std::ranges::any_of(stage.inputs, [&](const Joint& joint) { return is_keyed(joint); });
    if (stage.inputs.empty() || (!has_sink && !keyed)) return;
    std::uint64_t shards = 0;
    for (const Joint& joint : stage.inputs)
      shards = keyed ? streams_[joint.stream].shards : shards + streams_[joint.stream].shards;
    const std::uint32_t workers = std::max(stages_[index].workers, stages_[index].workers_max);
    if (workers <= shards) return;
    report_.warning(pointer_to(stage.pointer, "workers"),
                    fmt::format("{} workers share {} shard{} of the input, so {} would idle", workers, shards,
                                shards == 1 ? "" : "s", workers - shards));
  }

  /// All stages from which records come to `index`, nearest first.
  [[nodiscard]] std::vector<std::uint32_t> upstream(std::uint32_t index) const {
    std::vector<bool> seen(stages_.size(), false);
    std::vector<std::uint32_t> found = {index};
    for (std::size_t next = 0; next < found.size(); ++next) {
      for (const Joint& joint : draft_.stages[found[next]].inputs) {
        for (const std::uint32_t writer : draft_.streams[joint.stream].writers) {
          if (!seen[writer]) found.push_back(writer);
          seen[writer] = true;
        }
      }
    }
    found.erase(found.begin());
    return found;
  }

  /// Several workers on an unkeyed stream pass records on in whatever order they finish.
  void check_order(std::uint32_t index) {
    for (const std::uint32_t stage : upstream(index)) {
      const std::vector<Joint>& inputs = draft_.stages[stages_[stage].host].inputs;
      const bool unkeyed = std::ranges::any_of(inputs, [&](const Joint& joint) { return !is_keyed(joint); });
      const std::uint32_t workers = std::max(stages_[stage].workers, stages_[stage].workers_max);
      if (workers == 1 || !unkeyed) continue;
      report_.warning(draft_.stages[index].pointer,
                      fmt::format("the result depends on the order of records, which the {} workers of stage {} do not "
                                  "keep",
                                  workers, in_quotes(stages_[stage].name)));
      return;
    }
  }

  void check_end(std::uint32_t index) {
    for (const std::uint32_t stage : upstream(index)) {
      if (!draft_.stages[stage].endless) continue;
      report_.warning(pointer_to(draft_.stages[index].pointer, "config"),
                      fmt::format("final on an input that cannot end: source {} never ends, so stage {} emits nothing",
                                  in_quotes(stages_[stage].name), in_quotes(stages_[index].name)));
      return;
    }
  }

  /// Ranges of an unkeyed stream go to any worker, and none of them knows how far event time has come.
  void check_watermarks(std::uint32_t index) {
    const StageDraft& stage = draft_.stages[index];
    if (stage.plugin == nullptr || !stage.plugin->on_watermark) return;
    for (const Joint& joint : stage.inputs) {
      if (is_keyed(joint) || streams_[joint.stream].transport == Transport::kFused) continue;
      report_.warning(
          joint.pointer,
          fmt::format("plugin {} has on_watermark, which is called only behind keyed streams, and stream {} "
                      "is not; give it \"partition\": {{\"by\": \"hash\"}}",
                      in_quotes(stages_[index].plugin), in_quotes(streams_[joint.stream].name)));
    }
  }

  /// Who takes whole shards takes each record as it comes.
  void check_priority(std::uint32_t index) {
    if (stages_[index].kind != PluginKind::kSink) return;
    for (const Joint& joint : draft_.stages[stages_[index].host].inputs) {
      if (streams_[joint.stream].dispatch != Dispatch::kPriority) continue;
      report_.warning(joint.pointer,
                      fmt::format("sink {} takes the records of stream {} as they come, so that \"priority\" has no "
                                  "effect; put a stage between them",
                                  in_quotes(stages_[index].name), in_quotes(streams_[joint.stream].name)));
    }
  }

  const Draft& draft_;
  const std::vector<Stream>& streams_;
  const std::vector<StageSpec>& stages_;
  Report& report_;
};

}  // namespace

void check_warnings(const Draft& draft, Report& report) { Warnings(draft, report).check(); }

}  // namespace weir
