// SPDX-License-Identifier: Apache-2.0
#include "broker/server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <map>

namespace weir::server {
namespace {

using Labels = std::map<std::string, std::string>;

prometheus::Histogram::BucketBoundaries bounds() {
  prometheus::Histogram::BucketBoundaries seconds;
  for (const std::uint64_t us : wire::kBucketsUs) seconds.push_back(static_cast<double>(us) / 1e6);
  return seconds;
}

/// Builds families on demand in a registry of one scrape: the probes are the only place where numbers live.
class Page {
 public:
  explicit Page(const std::string& topology) : common_{{"topology", topology}} {}

  void counter(const char* name, const char* help, const Labels& labels, std::uint64_t value) {
    auto& family = prometheus::BuildCounter().Name(name).Help(help).Labels(common_).Register(registry_);
    family.Add(labels).Increment(static_cast<double>(value));
  }
  void gauge(const char* name, const char* help, const Labels& labels, double value) {
    auto& family = prometheus::BuildGauge().Name(name).Help(help).Labels(common_).Register(registry_);
    family.Add(labels).Set(value);
  }
  void histogram(const char* name, const char* help, const Labels& labels, const std::vector<std::uint64_t>& buckets,
                 double sum) {
    auto& family = prometheus::BuildHistogram().Name(name).Help(help).Labels(common_).Register(registry_);
    std::vector<double> increments(wire::kBucketCount);
    for (std::size_t i = 0; i < std::min(increments.size(), buckets.size()); ++i)
      increments[i] = static_cast<double>(buckets[i]);
    family.Add(labels, bounds()).ObserveMultiple(increments, sum);
  }
  std::string text() { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

 private:
  Labels common_;
  prometheus::Registry registry_{prometheus::Registry::InsertBehavior::Merge};
};

}  // namespace

void SecondsProbe::add(double seconds) {
  buckets.resize(wire::kBucketCount);
  const auto* end = std::end(wire::kBucketsUs);
  const auto* bucket = std::lower_bound(std::begin(wire::kBucketsUs), end, static_cast<std::uint64_t>(seconds * 1e6));
  ++buckets[static_cast<std::size_t>(bucket - std::begin(wire::kBucketsUs))];
  sum += seconds;
}

std::string render_metrics(const core::Core& core, const ServerProbe& server, const journal::JournalProbe& journal) {
  const Topology& topology = core.ledger().topology();
  Page page(topology.name);
  for (const auto& [who, probe] : core.stage_probes()) {
    const StageSpec& spec = topology.stages[who.first];
    const Labels labels = {{"stage", spec.name}, {"worker", std::to_string(who.second)}};
    page.counter("weir_stage_records_in_total", "Records consumed, committed", labels, probe.records_in);
    page.counter("weir_stage_records_out_total", "Records emitted, committed", labels, probe.records_out);
    page.counter("weir_stage_dead_letters_total", "Records kept as dead letters", labels, probe.dead_letters);
    page.counter("weir_stage_late_records_total", "Records behind the watermark", labels, probe.late);
    for (const auto& [cause, count] : probe.errors) {
      Labels with_cause = labels;
      with_cause["cause"] = cause;
      page.counter("weir_stage_errors_total", "Errors of records, by cause", with_cause, count);
    }
    page.gauge("weir_stage_busy_ratio", "Share of time spent on records", labels, probe.busy_ratio);
    page.gauge("weir_stage_blocked_ratio", "Share of time spent waiting for credit", labels, probe.blocked_ratio);
    page.gauge("weir_stage_state_bytes", "Bytes of state in memory", labels, static_cast<double>(probe.state_bytes));
    page.histogram("weir_stage_process_seconds", "Time per record, sampled", labels, probe.process_buckets,
                   probe.process_seconds);
  }
  for (std::uint32_t stage = 0; stage < topology.stages.size(); ++stage) {
    const StageSpec& spec = topology.stages[stage];
    if (spec.resting) continue;
    page.counter("weir_stage_restarts_total", "Workers that died", {{"stage", spec.name}}, core.restarts(spec.host));
    if (const core::LibraryInForce library = core.library_of(stage); library.chosen != nullptr) {
      page.gauge("weir_stage_upgrading", "1 while workers or shards are still to come to the library that was chosen",
                 {{"stage", spec.name}}, library.moving ? 1 : 0);
    }
    if (spec.kind != PluginKind::kSink) continue;
    std::vector<std::uint64_t> buckets(wire::kBucketCount);
    double sum = 0;
    for (const auto& [who, probe] : core.stage_probes()) {
      if (who.first != stage) continue;
      for (std::size_t i = 0; i < probe.end_to_end_buckets.size(); ++i) buckets[i] += probe.end_to_end_buckets[i];
      sum += probe.end_to_end_seconds;
    }
    page.histogram("weir_end_to_end_seconds", "Wall clock from the source's first record of a batch to the sink",
                   {{"stage", spec.name}}, buckets, sum);
  }
  for (std::uint32_t index = 0; index < topology.streams.size(); ++index) {
    const Stream& spec = topology.streams[index];
    if (spec.transport == Transport::kFused || spec.resting) continue;
    const core::StreamState& state = core.ledger().stream(index);
    const core::StreamProbe& probe = core.stream_probes()[index];
    const Labels labels = {{"stream", spec.name}};
    page.counter("weir_stream_records_total", "Records appended", labels, probe.records);
    page.counter("weir_stream_bytes_total", "Bytes appended", labels, probe.bytes);
    if (state.watermark() != INT64_MIN && state.watermark() != INT64_MAX) {
      page.gauge("weir_stream_watermark_seconds", "Event time of the stream, Unix seconds", labels,
                 static_cast<double>(state.watermark()) / 1e6);
    }
    for (const core::UnitState& unit : core.ledger().units()) {
      std::uint64_t waiting = 0;
      bool reads = false;
      for (std::uint32_t shard = 0; shard < state.shards(); ++shard) {
        const auto at = unit.find(index, shard);
        if (at && !unit.rests(unit.cursor(*at).input)) {
          reads = true;
          waiting += state.next_offset(shard) - unit.cursor(*at).offset;
        }
      }
      if (!reads) continue;
      page.gauge("weir_stream_backlog_records", "Records not yet committed by a group",
                 {{"stream", spec.name}, {"group", topology.stages[unit.stage()].name}}, static_cast<double>(waiting));
    }
    for (const auto& [name, group] : core.ledger().groups(index)) {
      // What waits for a first group has none yet: its label is empty.
      page.gauge("weir_stream_backlog_records", "Records not yet committed by a group",
                 {{"stream", spec.name}, {"group", name}}, static_cast<double>(group.records_backlog));
    }
    if (const auto hot = core.hot_keys(index)) {
      page.gauge("weir_stream_hot_key_ratio", "Share of the records whose keys were hot and split", labels, hot->ratio);
    }
    if (spec.learns_boundaries) {
      page.counter("weir_stream_boundary_moves_total", "How often boundaries of the stream were learned or moved",
                   labels, state.boundary_moves);
    }
    if (spec.transport == Transport::kPubSub) {
      page.counter("weir_stream_deliveries_total", "Records of a pub_sub stream times the workers each was sent to",
                   labels, probe.deliveries);
    }
    if (counts_arrivals(spec.transport)) {
      page.counter("weir_stream_lost_records_total", "Records that went from worker to worker and did not arrive",
                   labels, probe.lost);
    }
    if (spec.retains()) {
      page.counter("weir_stream_retained_less_records_total",
                   "Consumed records that went before their retention was over, for want of broker.memory", labels,
                   state.retained_less);
    }
    for (const auto& [cause, count] : probe.dropped) {
      page.counter("weir_dropped_records_total", "Records dropped, by cause", {{"stream", spec.name}, {"cause", cause}},
                   count);
    }
  }
  page.histogram("weir_broker_commit_seconds", "From judging a transaction until it is settled", {},
                 server.commit_seconds.buckets, server.commit_seconds.sum);
  page.histogram("weir_broker_fsync_seconds",
                 "Syncs of the journal, with what was written past the page cache for them", {},
                 server.fsync_seconds.buckets, server.fsync_seconds.sum);
  page.gauge("weir_broker_journal_bytes", "Bytes of the journal's segments on disk", {},
             static_cast<double>(journal.bytes_on_disk));
  page.gauge("weir_broker_disk_full", "1 while sources and producers wait for room on the disk", {},
             core.low_on_space() ? 1 : 0);
  page.gauge("weir_broker_recovery_seconds", "How long the last start took to recover", {}, server.recovery_seconds);
  return page.text();
}

}  // namespace weir::server
