// SPDX-License-Identifier: Apache-2.0
#include "broker/core/published_accounts.h"

#include <algorithm>

namespace weir::core {

void PublishedAccounts::emit(Incarnation producer, std::uint32_t stream, std::uint64_t records,
                             const std::vector<Incarnation>& readers) {
  for (const Incarnation reader : readers) links_[{producer, reader, stream}].meant += records;
}

std::string PublishedAccounts::judge(Incarnation reader, Incarnation producer, std::uint32_t stream,
                                     std::uint64_t records, std::uint64_t lost) const {
  const auto link = links_.find({producer, reader, stream});
  if (link == links_.end()) return "it takes records of a worker that sends it none";
  const std::uint64_t left = link->second.meant - link->second.settled;
  if (records > left || lost > left - records) return "it takes records that were never sent";
  return "";
}

std::string PublishedAccounts::take(Incarnation reader, Incarnation producer, std::uint32_t stream,
                                    std::uint64_t records, std::uint64_t lost) {
  if (std::string wrong = judge(reader, producer, stream, records, lost); !wrong.empty()) return wrong;
  links_.at({producer, reader, stream}).settled += records + lost;
  return "";
}

void PublishedAccounts::producer_gone(Incarnation producer, const std::set<Incarnation>& readers) {
  for (auto link = links_.lower_bound({producer, Incarnation(), 0});
       link != links_.end() && link->first.producer == producer;) {
    if (readers.contains(link->first.reader)) {
      gone_.insert(producer);
      ++link;
    } else {
      link = close(link);
    }
  }
}

void PublishedAccounts::through(Incarnation reader, const std::set<Incarnation>& producers) {
  for (const Incarnation producer : producers) {
    if (!gone_.contains(producer)) continue;
    for (auto link = links_.lower_bound({producer, reader, 0});
         link != links_.end() && link->first.producer == producer && link->first.reader == reader;)
      link = close(link);
    const auto other = links_.lower_bound({producer, Incarnation(), 0});
    if (other == links_.end() || other->first.producer != producer) gone_.erase(producer);
  }
}

void PublishedAccounts::reader_gone(Incarnation reader) {
  for (auto link = links_.begin(); link != links_.end();) link = link->first.reader == reader ? close(link) : ++link;
}

std::string PublishedAccounts::withdrawn(Incarnation producer, Incarnation reader, std::uint32_t stream,
                                         std::uint64_t sent) {
  const auto link = links_.find({producer, reader, stream});
  if (link == links_.end()) return "";  // the reader is gone, or was never meant
  if (sent > link->second.meant) return "it says that it sent more than it has emitted";
  if (sent < link->second.settled) return "it says that it sent less than was taken";
  lose(stream, link->second.meant - sent);
  link->second.meant = sent;
  link->second.withdrawn = true;
  return "";
}

std::uint64_t PublishedAccounts::on_the_way(Incarnation producer) const {
  std::uint64_t records = 0;
  for (auto link = links_.lower_bound({producer, Incarnation(), 0});
       link != links_.end() && link->first.producer == producer; ++link)
    records += link->second.meant - link->second.settled;
  return records;
}

bool PublishedAccounts::quiet(Incarnation reader) const {
  return std::all_of(links_.begin(), links_.end(), [&](const auto& entry) {
    const auto& [name, link] = entry;
    if (name.reader != reader) return true;
    return !gone_.contains(name.producer) && (!link.withdrawn || link.meant == link.settled);
  });
}

std::vector<Lost> PublishedAccounts::collect() {
  std::vector<Lost> lost;
  for (const auto& [stream, records] : lost_) lost.push_back({stream, records});
  lost_.clear();
  return lost;
}

void PublishedAccounts::lose(std::uint32_t stream, std::uint64_t records) {
  if (records != 0) lost_[stream] += records;
}

PublishedAccounts::Links::iterator PublishedAccounts::close(Links::iterator link) {
  lose(link->first.stream, link->second.meant - link->second.settled);
  return links_.erase(link);
}

}  // namespace weir::core
