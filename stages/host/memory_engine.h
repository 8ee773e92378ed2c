// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "stages/host/engine.h"
#include "stages/host/memory_journal.h"

namespace weir::host {

/// An engine without a broker: leases everything to the one worker there is, delivers what the journal has behind its
/// cursors, and commits into it. For tests, of stages and of the runner. One engine is one incarnation; the journal
/// outlives it.
/// Thread: the runner's. Lifetime: topology and journal must outlive it.
class MemoryEngine final : public Engine {
 public:
  MemoryEngine(const Topology& topology, std::uint32_t head, MemoryJournal& journal);

  /// From now on commits are lost, and the worker with the first of them.
  void crash_at_next_commit() { crashing_ = true; }
  [[nodiscard]] bool crashed() const { return crashed_; }
  /// Records of one delivery at most; the rest follows in further ones.
  void set_delivery_records_max(std::uint32_t records) { delivery_records_max_ = records; }
  /// A source may publish so much more.
  void grant_publishing(std::uint64_t bytes) { publish_granted_ = published_ + bytes; }
  /// Puts an event in front of those that the journal leads to.
  void post(Event event) { events_.push_back(std::move(event)); }
  /// The last next() had nothing.
  [[nodiscard]] bool idle() const { return idle_; }
  /// The sentence with which the stage gave up, or a commit was refused; "" otherwise.
  [[nodiscard]] const std::string& failure() const { return failure_; }
  [[nodiscard]] bool drained_said() const { return drained_; }
  [[nodiscard]] const std::vector<wire::Lease>& released() const { return released_; }
  [[nodiscard]] const wire::Totals& worked() const { return worked_; }

  void set_host(std::string host) { host_ = std::move(host); }

  [[nodiscard]] const std::string& host() const override { return host_; }
  Event next(Monotonic wait) override;
  void commit(Bytes message) override;
  bool urgent() override { return crashed_; }
  [[nodiscard]] std::uint64_t committed() const override { return committed_; }
  [[nodiscard]] std::uint64_t settled() const override { return committed_; }
  [[nodiscard]] bool has_window() const override { return true; }
  [[nodiscard]] bool may_publish() const override { return published_ < publish_granted_; }
  void worked_off(std::uint64_t bytes, std::uint64_t records) override;
  void release(const std::vector<wire::Lease>& leases) override;
  void drained() override { drained_ = true; }
  void failed(const std::string& sentence) override { failure_ = sentence; }
  /// A source's every read is a transaction, so that a round of reading has an end.
  [[nodiscard]] bool closes(Monotonic, Monotonic) const override { return source_; }
  [[nodiscard]] bool beat_due() const override { return false; }
  void beat(const wire::Measured&) override {}

 private:
  std::string host_;
  struct Flow {
    std::uint64_t delivered_to = 0;
    Timestamp watermark_sent = INT64_MIN;
  };

  void lease_all();
  void post_state(std::uint32_t stage, std::uint32_t lane, bool last);
  void lease_splits();
  void deliver();
  void send_finishes();

  const Topology& topology_;
  std::uint32_t head_;
  MemoryJournal& journal_;
  bool source_;
  std::deque<Event> events_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, Flow> flows_;
  std::set<std::uint32_t> finishes_sent_;
  std::size_t splits_leased_ = 0;
  std::uint32_t delivery_records_max_ = UINT32_MAX;
  std::uint64_t committed_ = 0;
  std::uint64_t published_ = 0;
  std::uint64_t publish_granted_ = 0;
  wire::Totals worked_;
  std::vector<wire::Lease> released_;
  std::string failure_;
  bool idle_ = false;
  bool crashing_ = false;
  bool crashed_ = false;
  bool drained_ = false;
};

}  // namespace weir::host
