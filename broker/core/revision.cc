// SPDX-License-Identifier: Apache-2.0
#include "broker/core/revision.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "sdk/topology/revise.h"

namespace weir::core {
namespace {

constexpr std::string_view kOtherwise = "use another data directory, or --fresh to start over";
constexpr std::size_t kShardsNamed = 8;

Status refused(const std::string& why) { return {Code::kRefused, fmt::format("{}; {}", why, kOtherwise)}; }

bool has(const std::vector<std::uint32_t>& list, std::uint32_t number) {
  return std::find(list.begin(), list.end(), number) != list.end();
}

/// One topology change under examination. Lives for one call of plan_revision.
class Planner {
 public:
  Planner(const Ledger& ledger, Topology next) : ledger_(ledger), old_(ledger.topology()), next_(std::move(next)) {}

  Status examine() {
    for (std::uint32_t stage = 0; stage < next_.stages.size(); ++stage) {
      if (next_.stages[stage].resting) continue;
      if (Status status = examine_ends(stage); !status.ok()) return status;
      if (stage >= old_.stages.size()) continue;
      if (Status status = examine_stage(stage); !status.ok()) return status;
    }
    return {};
  }

  Revision tell() && {
    for (std::uint32_t stage = 0; stage < next_.stages.size(); ++stage) tell_stage(stage);
    for (std::uint32_t stream = 0; stream < old_.streams.size(); ++stream) {
      if (next_.streams[stream].resting && !old_.streams[stream].resting)
        sentences_.push_back(fmt::format("stream \"{}\" is not in the topology any more: what waits in it stays there",
                                         next_.streams[stream].name));
    }
    return {std::move(next_), std::move(sentences_)};
  }

 private:
  /// The unit that `stage` heads, if it has ever committed anything.
  [[nodiscard]] const UnitState* begun(std::uint32_t stage) const {
    if (stage >= old_.stages.size() || old_.stages[stage].host != stage) return nullptr;
    const UnitState& unit = ledger_.units()[ledger_.unit_of(stage)];
    return unit.begun ? &unit : nullptr;
  }

  /// Who read a stream to its end was told so: nothing can come behind it.
  Status examine_ends(std::uint32_t stage) const {
    if (next_.stages[stage].host != stage) return {};
    const UnitState* before = begun(stage);
    if (before != nullptr && before->finished) return {};
    const UnitState after(next_, stage);
    for (const std::uint32_t stream : after.outputs()) {
      if (stream < old_.streams.size() && ledger_.stream(stream).ended)
        return refused(fmt::format("stream \"{}\" has ended, so that stage \"{}\" cannot write to it any more",
                                   next_.streams[stream].name, next_.stages[stage].name));
    }
    return {};
  }

  Status examine_stage(std::uint32_t stage) const {
    const StageSpec& before = old_.stages[stage];
    const StageSpec& after = next_.stages[stage];
    const bool other_plugin = before.plugin != after.plugin;
    if (other_plugin || !same_config(before.config, after.config)) {
      if (const std::string what = kept_by(stage); !what.empty()) {
        return refused(fmt::format(
            "{} of stage \"{}\" {} by {}, and {}; give the stage another name (it then starts anew, and "
            "what this one has rests)",
            what, after.name, what == "state" ? "was made" : "were made",
            other_plugin ? fmt::format("plugin \"{}\"", before.plugin) : "another configuration",
            other_plugin ? fmt::format("the plugin is \"{}\" now", after.plugin)
                         : fmt::format("\"config\" differs now{}", config_difference(before.config, after.config))));
      }
    }
    const UnitState* unit = begun(stage);
    return unit == nullptr ? Status() : examine_unit(*unit, UnitState(next_, stage));
  }

  Status examine_unit(const UnitState& before, const UnitState& after) const {
    const std::string& name = next_.stages[before.stage()].name;
    if (before.intake() != after.intake()) {
      return refused(
          fmt::format("stage \"{}\" took its input {} and would take it {} now; give the stage another name "
                      "(it then starts anew, and what this one has rests)",
                      name, describe(before.intake()), describe(after.intake())));
    }
    for (const std::uint32_t stream : after.inputs()) {
      if (after.inputs().size() == 1 || !next_.streams[stream].learns_boundaries) continue;
      return refused(
          fmt::format("stage \"{}\" has read \"{}\", and what it keeps of that lies in other shards than it "
                      "would behind \"{}\", whose boundaries are \"auto\"; give the stage another name",
                      name, next_.streams[after.inputs().front()].name, next_.streams[stream].name));
    }
    const bool ended =
        std::any_of(before.lanes.begin(), before.lanes.end(), [](const Lane& lane) { return lane.finished; });
    for (const std::uint32_t member : after.stages()) {
      if (ended && !before.has(member))
        return refused(
            fmt::format("stage \"{}\" has seen the end of its input, so that stage \"{}\" fused into it would "
                        "get nothing",
                        name, next_.stages[member].name));
    }
    for (std::uint32_t input = 0; input < after.inputs().size(); ++input) {
      const std::uint32_t stream = after.inputs()[input];
      if (after.rests(input)) continue;
      const bool known = input < before.inputs().size();
      if (known && !before.rests(input)) continue;
      if (ended && !(known && ledger_.stream(stream).ended)) {
        return refused(fmt::format("stage \"{}\" has seen the end of its input: stream \"{}\" cannot be added to it",
                                   name, next_.streams[stream].name));
      }
      if (!known) continue;
      if (Status status = examine_return(before, input); !status.ok()) return status;
    }
    return {};
  }

  /// A group is back at a stream: what it had not read must have been kept for others.
  Status examine_return(const UnitState& unit, std::uint32_t input) const {
    const std::uint32_t stream = unit.inputs()[input];
    if (next_.streams[stream].transport == Transport::kPubSub) return {};  // who is not there misses it
    std::uint64_t gone = 0;
    std::string first;
    for (std::uint32_t shard = 0; shard < ledger_.stream(stream).shards(); ++shard) {
      const auto at = unit.find(stream, shard);
      if (!at) continue;
      const Cursor& cursor = unit.cursor(*at);
      const std::uint64_t kept = ledger_.kept_from(stream, shard);
      if (cursor.offset >= kept) continue;
      gone += kept - cursor.offset;
      for (const auto& [from, to] : cursor.ahead) gone -= std::min(to, kept) - std::min(from, kept);
      if (first.empty())
        first = fmt::format("shard {} is at offset {}, the oldest record kept there is {}", shard, cursor.offset, kept);
    }
    if (gone == 0) return {};
    return {
        Code::kRefused,
        fmt::format("stage \"{}\" is back, but {} records of stream \"{}\" that it had not read when it left are gone "
                    "({}); give the stage another name to start at the oldest record that is kept (what it had stays "
                    "where it is), leave it out, {}",
                    next_.stages[unit.stage()].name, gone, next_.streams[stream].name, first, kOtherwise)};
  }

  /// What the journal keeps of a stage that only its plugin and configuration can read: "" for nothing.
  [[nodiscard]] std::string kept_by(std::uint32_t stage) const {
    const StageSpec& spec = old_.stages[stage];
    const UnitState& unit = ledger_.units()[ledger_.unit_of(stage)];
    if (spec.kind == PluginKind::kSource) return unit.begun ? "the splits and positions" : "";
    const bool positions =
        std::any_of(unit.lanes.begin(), unit.lanes.end(), [](const Lane& lane) { return !lane.position.empty(); });
    if (spec.kind == PluginKind::kSink && positions) return "the positions";
    // Dead letters lie there too, and mean the same to any plugin.
    const Changelog& changelog = ledger_.changelog(stage);
    return spec.keyed && (changelog.newest() || !changelog.tail().empty()) ? "state" : "";
  }

  static std::string_view describe(Intake intake) {
    switch (intake) {
      case Intake::kSplits:
        return "as splits of a source";
      case Intake::kShards:
        return "by whole shards";
      case Intake::kRanges:
        return "by ranges of offsets";
    }
    return "";
  }

  void tell_stage(std::uint32_t stage) {
    const std::string& name = next_.stages[stage].name;
    const bool was_there = stage < old_.stages.size() && !old_.stages[stage].resting;
    if (next_.stages[stage].resting) {
      if (was_there) tell_rest(stage);
      return;
    }
    if (stage < old_.stages.size() && !was_there)
      sentences_.push_back(fmt::format("stage \"{}\" is back in the topology: it goes on with what it had", name));
    if (next_.stages[stage].host != stage) return;
    const UnitState after(next_, stage);
    const UnitState* before = begun(stage);
    for (std::uint32_t input = 0; input < after.inputs().size(); ++input) {
      const bool known = before != nullptr && input < before->inputs().size();
      if (known && after.rests(input) && !before->rests(input)) {
        sentences_.push_back(fmt::format("stage \"{}\" no longer reads stream \"{}\": its cursor there is kept", name,
                                         next_.streams[after.inputs()[input]].name));
      }
      const bool as_before = was_there && begun_or_there(stage, after.inputs()[input]);
      if (!known && !as_before && !after.rests(input)) tell_start(name, after.inputs()[input]);
    }
  }

  /// The group was there already, only that it has not committed anything yet.
  [[nodiscard]] bool begun_or_there(std::uint32_t stage, std::uint32_t stream) const {
    const UnitState& unit = ledger_.units()[ledger_.unit_of(stage)];
    return unit.stage() == stage && has(unit.inputs(), stream);
  }

  void tell_rest(std::uint32_t stage) {
    const UnitState& unit = ledger_.units()[ledger_.unit_of(stage)];
    std::string unread;
    if (unit.stage() == stage && unit.records_backlog != 0) {
      unread = fmt::format("; {} records that it has not read are kept for it no longer than other stages need them",
                           unit.records_backlog);
    }
    sentences_.push_back(fmt::format("stage \"{}\" is not in the topology any more: its cursors and state rest{}",
                                     next_.stages[stage].name, unread));
  }

  void tell_start(const std::string& name, std::uint32_t stream) {
    if (stream >= old_.streams.size() || is_direct(next_.streams[stream].transport)) return;
    const StreamState& state = ledger_.stream(stream);
    std::string shards;
    std::size_t named = 0;
    std::size_t begun_shards = 0;
    std::uint64_t waiting = 0;
    for (std::uint32_t shard = 0; shard < state.shards(); ++shard) {
      if (state.next_offset(shard) == 0) continue;
      ++begun_shards;
      const std::uint64_t from = ledger_.kept_from(stream, shard);
      waiting += state.next_offset(shard) - from;
      if (named++ < kShardsNamed)
        shards += fmt::format("{}shard {} at offset {}", shards.empty() ? "" : ", ", shard, from);
    }
    if (begun_shards == 0) return;
    if (begun_shards > kShardsNamed) shards += fmt::format(" and {} more", begun_shards - kShardsNamed);
    sentences_.push_back(
        fmt::format("stage \"{}\" is new on stream \"{}\", which holds older records: it starts at the oldest that is "
                    "kept ({}; {} records wait for it)",
                    name, next_.streams[stream].name, shards, waiting));
  }

  const Ledger& ledger_;
  const Topology& old_;
  Topology next_;
  std::vector<std::string> sentences_;
};

}  // namespace

Result<Revision> plan_revision(const Ledger& ledger, const Topology& wanted) {
  auto next = revise(ledger.topology(), wanted);
  if (!next.ok()) return next.error();
  Planner planner(ledger, std::move(*next));
  if (Status status = planner.examine(); !status.ok()) return status.error();
  return std::move(planner).tell();
}

}  // namespace weir::core
