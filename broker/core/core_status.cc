// SPDX-License-Identifier: Apache-2.0
// What a person sees of the core.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "broker/core/core.h"
#include "sdk/topology/choices.h"
#include "weir/json.h"

namespace weir::core {

using nlohmann::ordered_json;

namespace {

constexpr std::string_view kDiskFull =
    "the disk is full: sources and producers wait until there is room; nothing is lost";

ordered_json watermark_json(Timestamp watermark) {
  if (watermark == INT64_MIN || watermark == INT64_MAX) return nullptr;
  return watermark;
}

/// As records are printed; null where the key is too long to be told.
ordered_json key_json(BytesView key) {
  std::string text;
  if (key.empty() || !JsonWriter(text).value(key)) return nullptr;
  return ordered_json::parse(text, nullptr, false);
}

std::string_view name_of(Transport transport) { return word_of(kTransports, transport); }

std::string_view name_of(PartitionBy partition) {
  switch (partition) {
    case PartitionBy::kHash:
      return "hash";
    case PartitionBy::kModulo:
      return "modulo";
    case PartitionBy::kRange:
      return "range";
    case PartitionBy::kNone:
      break;
  }
  return "none";
}

std::string_view name_of(Worker::State state) {
  switch (state) {
    case Worker::State::kConnecting:
      return "starting";
    case Worker::State::kReady:
      return "running";
    case Worker::State::kTrying:
      return "trying";
    case Worker::State::kDraining:
    case Worker::State::kDrained:
      return "draining";
    case Worker::State::kStopping:
      return "finished";
  }
  return "unknown";
}

ordered_json version_json(const LibraryVersion& version) {
  return {{"hash", version.hash}, {"name", version.name}, {"origin", version.origin}};
}

void tell(const LibraryInForce& library, ordered_json& stage) {
  if (library.version) stage["library"] = version_json(*library.version);
  if (library.chosen == nullptr) return;
  using By = StageLibrary::By;
  const StageLibrary& chosen = *library.chosen;
  stage["upgrade"] = {{"state", library.moving   ? "moving"
                                : chosen.settled ? "settled"
                                                 : "moved"},
                      {"by", chosen.by == By::kItself ? "itself"
                             : chosen.by == By::kBack ? "a person, back"
                                                      : "a person"},
                      {"workers_outdated", library.workers_outdated}};
  if (!chosen.why.empty()) stage["upgrade"]["why"] = chosen.why;
  if (!chosen.before.hash.empty()) stage["upgrade"]["before"] = version_json(chosen.before);
}

}  // namespace

std::string Core::state_name() const {
  if (failed_) return "failed";
  const bool durable = finished_before_ || settled_ == ledger_.next_sequence();
  if (finished_told_ || (ledger_.finished() && durable)) return "finished";
  if (draining_) return "draining";
  const bool ready = std::any_of(workers_.begin(), workers_.end(),
                                 [](const auto& entry) { return entry.second.state == Worker::State::kReady; });
  return ready ? "running" : "starting";
}

Bytes Core::status_message() const {
  wire::MapWriter message("status");
  message.put("json", status_text());
  return std::move(message).finish();
}

std::string Core::status_text() const {
  ordered_json status;
  status["topology"] = topology_.name;
  status["state"] = state_name();
  status["since"] = started_us_;
  if (low_on_space()) status["problem"] = kDiskFull;
  for (std::uint32_t unit = 0; unit < leases_.size() && !status.contains("problem"); ++unit) {
    if (const std::string far = unreachable_split(unit); !far.empty()) status["problem"] = far;
  }
  status["stages"] = ordered_json::array();
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    const StageSpec& spec = topology_.stages[stage];
    const std::uint32_t index = ledger_.unit_of(stage);
    const UnitState& unit = ledger_.units()[index];
    std::uint64_t errors = 0;
    for (const auto& [who, probe] : stage_probes_) {
      if (who.first != stage) continue;
      for (const auto& [cause, count] : probe.errors) errors += count;
    }
    const auto ready = std::count_if(workers_.begin(), workers_.end(), [&](const auto& entry) {
      return entry.second.unit == index && entry.second.state == Worker::State::kReady;
    });
    const Timestamp watermark = unit.advanced_min();
    const char* state = spec.resting           ? "resting"
                        : stage_failed_[stage] ? "failed"
                        : unit.finished        ? "finished"
                        : ready > 0            ? "running"
                                               : "starting";
    status["stages"].push_back(
        {{"name", spec.name},
         {"plugin", spec.plugin},
         {"state", state},
         {"workers", ready},
         {"records_in", ledger_.totals(stage).records_in},
         {"records_out", ledger_.totals(stage).records_out},
         {"errors", errors},
         {"dead_letters", ledger_.totals(stage).dead_letters},
         {"restarts", restarts_[spec.host]},
         {"backlog_records", (spec.host == stage ? unit.records_backlog : 0) + ledger_.requeued(stage).size()},
         {"watermark", watermark_json(watermark)}});
    if (spec.resting) continue;
    status["stages"].back()["workers_wanted"] = ledger_.workers(spec.host);
    if (spec.workers_max != 0) {
      status["stages"].back()["workers_min"] = spec.workers;
      status["stages"].back()["workers_max"] = spec.workers_max;
    }
    if (index < leases_.size() && leases_[index].follower && !leases_[index].follower->why().empty())
      status["stages"].back()["workers_why"] = leases_[index].follower->why();
    tell(library_of(stage), status["stages"].back());
    status["stages"].back()["shards_moving"] = spec.host == stage && index < leases_.size() ? shards_moving(index) : 0;
  }
  status["streams"] = ordered_json::array();
  for (std::uint32_t stream = 0; stream < topology_.streams.size(); ++stream) {
    const Stream& spec = topology_.streams[stream];
    const StreamState& state = ledger_.stream(stream);
    std::uint64_t backlog = 0;
    for (const UnitState& unit : ledger_.units()) {
      std::uint64_t waiting = 0;
      for (std::uint32_t shard = 0; shard < state.shards(); ++shard) {
        const auto at = unit.find(stream, shard);
        if (at && !unit.rests(unit.cursor(*at).input)) waiting += state.next_offset(shard) - unit.cursor(*at).offset;
      }
      backlog = std::max(backlog, waiting);
    }
    ordered_json groups = ordered_json::array();
    for (const auto& [name, group] : ledger_.groups(stream)) {
      if (!spec.resting) backlog = std::max(backlog, group.records_backlog);
      if (name == kUnclaimed) continue;
      const auto lease = group_leases_.find({stream, name});
      const std::size_t consumers = lease == group_leases_.end() ? 0 : lease->second.members.size();
      groups.push_back({{"name", name}, {"backlog_records", group.records_backlog}, {"consumers", consumers}});
    }
    status["streams"].push_back({{"name", spec.name},
                                 {"transport", name_of(spec.transport)},
                                 {"partition", name_of(spec.partition)},
                                 {"shards", spec.shards},
                                 {"records", state.records_total()},
                                 {"bytes", state.bytes_total()},
                                 {"backlog_records", backlog},
                                 {"watermark", watermark_json(state.watermark())}});
    // Each record of a `pub_sub` stream counts for each worker that it was sent to.
    if (is_published(stream)) status["streams"].back()["deliveries"] = state.next_offset(0);
    if (counts_arrivals(stream)) status["streams"].back()["lost_records"] = state.lost;
    if (spec.learns_boundaries) {
      ordered_json boundaries = ordered_json::array();
      for (const Boundary& boundary : state.boundaries)
        std::visit([&](const auto& value) { boundaries.push_back(value); }, boundary);
      status["streams"].back()["boundaries"] = std::move(boundaries);
      status["streams"].back()["boundary_moves"] = state.boundary_moves;
      ordered_json records = ordered_json::array();
      for (std::uint32_t shard = 0; shard < state.shards(); ++shard) records.push_back(state.next_offset(shard));
      status["streams"].back()["shard_records"] = std::move(records);
    }
    if (spec.external_out) status["streams"].back()["groups"] = std::move(groups);
    if (const auto hot = hot_keys(stream)) {
      ordered_json keys = ordered_json::array();
      for (const auto& [key, share] : hot->keys)
        keys.push_back({{"key", key_json(key)}, {"share", std::round(share * 1e4) / 1e4}});
      status["streams"].back()["hot_keys"] = {{"ratio", hot->ratio}, {"keys", std::move(keys)}};
    }
    if (spec.resting) status["streams"].back()["resting"] = true;
  }
  status["workers"] = ordered_json::array();
  for (const auto& [incarnation, worker] : workers_) {
    if (worker.trial) continue;
    ordered_json lanes = ordered_json::array();
    const auto& leases = leases_[worker.unit].lanes;
    for (std::uint32_t lane = 0; lane < leases.size(); ++lane) {
      if (leases[lane].holder == incarnation) lanes.push_back(lane);
    }
    status["workers"].push_back({{"stage", topology_.stages[ledger_.units()[worker.unit].stage()].name},
                                 {"worker", worker.index},
                                 {"pid", worker.pid},
                                 {"incarnation", incarnation.value()},
                                 {"state", name_of(worker.state)},
                                 {"shards", std::move(lanes)}});
    if (!worker.libraries.empty()) status["workers"].back()["libraries"] = worker.libraries;
    if (!runs_what_is_wanted(worker)) status["workers"].back()["outdated"] = true;
  }
  return status.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::uint64_t Core::records_in() const {
  std::uint64_t total = ledger_.external_total();
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    if (topology_.stages[stage].kind == PluginKind::kSource) total += ledger_.totals(stage).records_out;
  }
  return total;
}

std::uint64_t Core::records_out() const {
  std::uint64_t total = 0;
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    if (topology_.stages[stage].kind == PluginKind::kSink) total += ledger_.totals(stage).records_in;
  }
  return total;
}

std::uint64_t Core::dead_letters() const {
  std::uint64_t total = 0;
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) total += ledger_.totals(stage).dead_letters;
  return total;
}

std::uint64_t Core::waiting() const {
  std::uint64_t total = 0;
  for (const UnitState& unit : ledger_.units()) total += unit.records_backlog;
  for (std::uint32_t stream = 0; stream < topology_.streams.size(); ++stream) {
    if (topology_.streams[stream].resting) continue;
    for (const auto& [name, group] : ledger_.groups(stream)) total += group.records_backlog;
  }
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    if (!topology_.stages[stage].resting) total += ledger_.requeued(stage).size();
  }
  return total;
}

std::string Core::waits_outside() const {
  const bool worked_off = std::all_of(ledger_.units().begin(), ledger_.units().end(),
                                      [](const UnitState& unit) { return unit.finished || unit.resting(); });
  if (!worked_off) return "";
  for (std::uint32_t stream = 0; stream < topology_.streams.size(); ++stream) {
    const Stream& spec = topology_.streams[stream];
    if (spec.resting) continue;
    for (const auto& [name, group] : ledger_.groups(stream)) {
      if (group.records_backlog == 0) continue;
      if (name == kUnclaimed)
        return fmt::format("{} of stream {} wait for a first group: weir consume {} --group NAME",
                           group.records_backlog, spec.name, spec.name);
      return fmt::format("{} of stream {} wait for group {}", group.records_backlog, spec.name, name);
    }
  }
  return "";
}

std::string Core::unhealthy() const {
  for (std::uint32_t index = 0; index < leases_.size(); ++index) {
    const UnitState& unit = ledger_.units()[index];
    if (unit.finished || unit.resting()) continue;
    const bool any = std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
      return entry.second.unit == index && entry.second.state == Worker::State::kReady;
    });
    if (!any) return fmt::format("stage \"{}\" has no worker", topology_.stages[unit.stage()].name);
    if (std::string far = unreachable_split(index); !far.empty()) return far;
  }
  return "";
}

}  // namespace weir::core
