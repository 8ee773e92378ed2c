// SPDX-License-Identifier: Apache-2.0
#include "broker/core/direct_accounts.h"

#include "sdk/base/check.h"

namespace weir::core {

void DirectAccounts::emit(Incarnation producer, std::uint32_t stream, std::uint64_t records) {
  producers_[producer].streams[stream].emitted += records;
}

std::string DirectAccounts::judge(Incarnation producer, std::uint32_t stream, std::uint64_t records,
                                  std::uint64_t lost) const {
  const auto from = producers_.find(producer);
  if (from == producers_.end()) return "it takes records of a worker that sends none";
  const auto outflow = from->second.streams.find(stream);
  if (outflow == from->second.streams.end()) return "it takes records of a stream that their worker does not write";
  const std::uint64_t left = outflow->second.emitted - outflow->second.settled;
  if (records > left || lost > left - records) return "it takes records that were never sent";
  return "";
}

std::string DirectAccounts::take(Incarnation consumer, Incarnation producer, std::uint32_t stream,
                                 std::uint64_t records, std::uint64_t lost) {
  if (std::string wrong = judge(producer, stream, records, lost); !wrong.empty()) return wrong;
  Outflow& outflow = producers_.at(producer).streams.at(stream);
  outflow.settled += records + lost;
  outflow.links[consumer].taken += records + lost;
  return "";
}

void DirectAccounts::producer_gone(Incarnation producer, const std::set<Incarnation>& consumers) {
  const auto from = producers_.find(producer);
  if (from == producers_.end()) return;
  from->second.gone = true;
  from->second.known_to = consumers;
  if (consumers.empty() || on_the_way(producer) == 0) close(from);
}

void DirectAccounts::through(Incarnation consumer, const std::set<Incarnation>& producers) {
  for (const Incarnation producer : producers) {
    const auto from = producers_.find(producer);
    if (from == producers_.end() || !from->second.gone) continue;
    from->second.known_to.erase(consumer);
    if (from->second.known_to.empty()) close(from);
  }
}

void DirectAccounts::consumer_gone(Incarnation consumer) {
  for (auto from = producers_.begin(); from != producers_.end();) {
    const auto next = std::next(from);
    Producer& producer = from->second;
    if (producer.gone) {
      producer.known_to.erase(consumer);
      if (producer.known_to.empty()) close(from);
    } else {
      for (auto& [stream, outflow] : producer.streams) {
        const auto link = outflow.links.find(consumer);
        if (link != outflow.links.end() && link->second.sent) close_link(stream, outflow, consumer);
      }
    }
    from = next;
  }
}

std::string DirectAccounts::withdrawn(Incarnation producer, Incarnation consumer, bool gone, std::uint32_t stream,
                                      std::uint64_t sent) {
  Outflow& outflow = producers_[producer].streams[stream];
  Link& link = outflow.links[consumer];
  if (sent < link.taken) return "it says that it sent less than was taken";
  if (sent - link.taken > outflow.emitted - outflow.settled) return "it says that it sent more than it has emitted";
  link.sent = sent;
  if (gone) close_link(stream, outflow, consumer);
  return "";
}

std::uint64_t DirectAccounts::on_the_way(Incarnation producer) const {
  const auto from = producers_.find(producer);
  if (from == producers_.end()) return 0;
  std::uint64_t records = 0;
  for (const auto& [stream, outflow] : from->second.streams) records += outflow.emitted - outflow.settled;
  return records;
}

bool DirectAccounts::quiet(Incarnation consumer) const {
  for (const auto& [incarnation, producer] : producers_) {
    if (producer.gone && producer.known_to.contains(consumer)) return false;
    for (const auto& [stream, outflow] : producer.streams) {
      const auto link = outflow.links.find(consumer);
      if (link != outflow.links.end() && link->second.sent && link->second.taken != *link->second.sent) return false;
    }
  }
  return true;
}

std::vector<Lost> DirectAccounts::collect() {
  std::vector<Lost> lost;
  for (const auto& [stream, records] : lost_) lost.push_back({stream, records});
  lost_.clear();
  return lost;
}

void DirectAccounts::lose(std::uint32_t stream, Outflow& outflow, std::uint64_t records) {
  if (records == 0) return;
  WEIR_CHECK(records <= outflow.emitted - outflow.settled, "what is lost was on its way");
  outflow.settled += records;
  lost_[stream] += records;
}

void DirectAccounts::close(std::map<Incarnation, Producer>::iterator producer) {
  for (auto& [stream, outflow] : producer->second.streams) lose(stream, outflow, outflow.emitted - outflow.settled);
  producers_.erase(producer);
}

void DirectAccounts::close_link(std::uint32_t stream, Outflow& outflow, Incarnation consumer) {
  const auto link = outflow.links.find(consumer);
  lose(stream, outflow, *link->second.sent - link->second.taken);
  outflow.links.erase(link);
}

}  // namespace weir::core
