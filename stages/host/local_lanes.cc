// SPDX-License-Identifier: Apache-2.0
#include "stages/host/local_lanes.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir::host {
namespace {

constexpr std::size_t kPrefixBytes = sizeof(std::uint32_t) + sizeof(wire::Space) + sizeof(std::uint16_t);

/// Big endian, so that what belongs together lies together, and by name.
std::string prefix_of(std::uint32_t stage, wire::Space space) {
  std::string prefix(sizeof(stage) + 1, '\0');
  const std::uint32_t rising = __builtin_bswap32(stage);
  std::memcpy(prefix.data(), &rising, sizeof(rising));
  prefix.back() = static_cast<char>(space);
  return prefix;
}

/// The first text behind all that begin with `prefix`. REQUIRES: it has a byte below 0xff.
std::string behind(std::string prefix) {
  while (prefix.back() == '\xff') prefix.pop_back();
  ++prefix.back();
  return prefix;
}

}  // namespace

std::string LocalLanes::key_of(std::uint32_t stage, wire::Space space, BytesView name, BytesView key) {
  std::string at = prefix_of(stage, space);
  const std::uint16_t rising = __builtin_bswap16(static_cast<std::uint16_t>(name.size()));
  at.append(reinterpret_cast<const char*>(&rising), sizeof(rising));
  at += as_text(name);
  at += as_text(key);
  return at;
}

Result<LocalLanes::Lane*> LocalLanes::lane_of(std::uint32_t lane) {
  const auto found = lanes_.find(lane);
  if (found == lanes_.end() || !found->second.store)
    return {Code::kInvalid, fmt::format("state of shard {} is asked for, which this worker does not hold", lane)};
  return &found->second;
}

void LocalLanes::drop(std::uint32_t lane) {
  const auto found = lanes_.find(lane);
  if (found == lanes_.end()) return;
  for (const Pending& pending : found->second.pending) pending_bytes_ -= pending.changes.size();
  // Should this fail, the store is as far as it was: the next one to open it is told the rest.
  if (found->second.store) (void)move_on(found->second, durable_);
  lanes_.erase(found);
}

Status LocalLanes::move_on(Lane& lane, LocalPosition through) {
  // What was opened is as far as it was until the broker has sent what has come since.
  if (!lane.complete || !lane.pending.empty()) return {};
  const LocalPosition at = lane.store->position();
  if (at == LocalPosition{} || through.reign < at.reign || through.through <= at.through) return {};
  return lane.store->write({}, through);
}

Result<wire::LocalState> LocalLanes::open(std::uint32_t lane) {
  drop(lane);  // before the same folder is opened again
  auto store = open_(lane);
  if (!store.ok()) return store.error();
  Lane& opened = lanes_[lane];
  opened.store = std::move(*store);
  const LocalPosition at = opened.store->position();
  return wire::LocalState{lane, at.reign, at.through};
}

Status LocalLanes::add(const wire::StatePart& part, std::uint32_t reign) {
  const auto found = lane_of(part.shard);
  if (!found.ok()) return found.error();
  Lane& lane = **found;
  if (!lane.arriving && !part.on_top) {
    if (Status cleared = lane.store->clear(); !cleared.ok()) return cleared;
  }
  lane.arriving = true;
  std::vector<LocalStore::Change> changes;
  wire::ChangesReader reader(part.changes);
  while (const auto change = reader.next())
    changes.emplace_back(key_of(part.stage, change->space, change->name, change->key), change->value);
  if (!reader.ok()) return {Code::kInvalid, "malformed state from the broker"};
  if (part.last) lane.arriving = false;
  lane.complete = part.last;
  if (changes.empty() && !part.last) return {};
  // Whoever dies before the last part is told the same again: on top of the same position, or of none.
  return lane.store->write(changes, part.last ? LocalPosition{reign, part.through} : lane.store->position());
}

Result<std::optional<BytesView>> LocalLanes::find(std::uint32_t lane, std::uint32_t stage, BytesView name,
                                                  BytesView key) {
  using Found = Result<std::optional<BytesView>>;
  const auto at = lane_of(lane);
  if (!at.ok()) return at.error();
  key_ = key_of(stage, wire::Space::kState, name, key);
  const auto newest = (*at)->newest.find(key_);
  if (newest != (*at)->newest.end()) return Found(newest->second.value);
  const auto found = (*at)->store->get(key_, value_);
  if (!found.ok()) return found.error();
  return Found(*found ? std::optional<BytesView>(as_bytes(value_)) : std::nullopt);
}

Result<std::optional<LocalLanes::Entry>> LocalLanes::next(std::uint32_t lane, std::uint32_t stage, BytesView name,
                                                          std::optional<BytesView> after) {
  using Next = Result<std::optional<Entry>>;
  const auto at = lane_of(lane);
  if (!at.ok()) return at.error();
  const std::string prefix = key_of(stage, wire::Space::kState, name, {});
  const std::string end = behind(prefix);
  std::string from = prefix;
  if (after) (from += as_text(*after)) += '\0';
  while (true) {
    const auto stored = (*at)->store->seek(from, end, key_, value_);
    if (!stored.ok()) return stored.error();
    const auto newest = (*at)->newest.lower_bound(from);
    const bool pending = newest != (*at)->newest.end() && newest->first < end;
    if (!*stored && !pending) return Next(std::nullopt);
    if (pending && (!*stored || newest->first <= key_)) {
      key_ = newest->first;
      if (newest->second.value) return Next(Entry{as_bytes(key_).subspan(prefix.size()), *newest->second.value});
      from = key_ + '\0';  // erased, and the store does not know yet
      continue;
    }
    return Next(Entry{as_bytes(key_).subspan(prefix.size()), as_bytes(value_)});
  }
}

Status LocalLanes::visit(std::uint32_t lane, std::uint32_t stage, wire::Space space,
                         const std::function<Status(const wire::Change&)>& visit) {
  const auto at = lane_of(lane);
  if (!at.ok()) return at.error();
  const std::string prefix = prefix_of(stage, space);
  const std::string end = behind(prefix);
  for (std::string from = prefix;; from = key_ + '\0') {
    const auto stored = (*at)->store->seek(from, end, key_, value_);
    if (!stored.ok()) return stored.error();
    if (!*stored) return {};
    if (key_.size() < kPrefixBytes) return {Code::kCorrupt, "the local store of state holds a key that is cut short"};
    std::uint16_t name_size = 0;
    std::memcpy(&name_size, key_.data() + prefix.size(), sizeof(name_size));
    name_size = __builtin_bswap16(name_size);
    const BytesView rest = as_bytes(key_).subspan(kPrefixBytes);
    if (rest.size() < name_size) return {Code::kCorrupt, "the local store of state holds a key that is cut short"};
    const wire::Change change{space, rest.first(name_size), rest.subspan(name_size), as_bytes(value_)};
    if (Status status = visit(change); !status.ok()) return status;
  }
}

void LocalLanes::pend(std::uint64_t number, std::uint32_t stage, std::uint32_t lane, Bytes changes) {
  const auto found = lanes_.find(lane);
  if (found == lanes_.end()) return;
  Lane& at = found->second;
  pending_bytes_ += changes.size();
  const Pending& pending = at.pending.emplace_back(Pending{number, stage, std::move(changes)});
  wire::ChangesReader reader(pending.changes);
  while (const auto change = reader.next()) {
    if (change->space != wire::Space::kState) continue;  // nobody asks for those
    at.newest.insert_or_assign(key_of(stage, change->space, change->name, change->key), Newest{number, change->value});
  }
}

Status LocalLanes::on_durable(std::uint64_t number, LocalPosition through) {
  for (auto& [lane, at] : lanes_) {
    std::vector<LocalStore::Change> changes;
    std::size_t done = 0;
    for (; done < at.pending.size() && at.pending[done].number <= number; ++done) {
      const Pending& pending = at.pending[done];
      wire::ChangesReader reader(pending.changes);
      while (const auto change = reader.next()) {
        const bool kept = change->space == wire::Space::kState || change->space == wire::Space::kParked;
        if (kept) changes.emplace_back(key_of(pending.stage, change->space, change->name, change->key), change->value);
      }
    }
    // A lane in which nothing happened stays where it is: what has changed since is nothing.
    if (done == 0) continue;
    if (Status written = at.store->write(changes, through); !written.ok()) return written;
    for (const auto& [key, value] : changes) {
      const auto newest = at.newest.find(key);
      if (newest != at.newest.end() && newest->second.number <= number) at.newest.erase(newest);
    }
    for (; done != 0; --done) {
      pending_bytes_ -= at.pending.front().changes.size();
      at.pending.pop_front();
    }
  }
  durable_ = through;
  auto idle = lanes_.lower_bound(idle_next_);
  if (idle == lanes_.end()) idle = lanes_.begin();
  if (idle == lanes_.end()) return {};
  idle_next_ = idle->first + 1;
  return move_on(idle->second, through);
}

std::uint64_t LocalLanes::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [lane, at] : lanes_) sum += at.store ? at.store->bytes() : 0;
  return sum;
}

}  // namespace weir::host
