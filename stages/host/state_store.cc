// SPDX-License-Identifier: Apache-2.0
#include "stages/host/state_store.h"

#include <utility>

#include "weir/abi.h"

namespace weir::host {

std::string StateStore::slot(BytesView name, BytesView key) {
  std::string slot(as_text(name));
  slot += '\0';
  slot += as_text(key);
  return slot;
}

void StateStore::load(std::uint32_t lane, const wire::Change& change) {
  const std::string at = slot(change.name, change.key);
  Lane& loaded = lanes_[lane];
  if (change.value) {
    Entry& entry = entry_at(loaded, at, change.name, change.key);
    set(loaded, entry, Bytes(change.value->begin(), change.value->end()));
    entry.dirty = false;
  } else if (const auto gone = loaded.entries.find(at); gone != loaded.entries.end()) {
    count(loaded, 0, at.size() + size_of(gone->second.value));
    loaded.entries.erase(gone);
  }
}

void StateStore::drop(std::uint32_t lane) {
  const auto dropped = lanes_.find(lane);
  if (dropped == lanes_.end()) return;
  bytes_ -= dropped->second.bytes;
  lanes_.erase(dropped);
}

StateStore::Entry& StateStore::entry_at(Lane& lane, const std::string& at, BytesView name, BytesView key) {
  const auto [entry, is_new] = lane.entries.try_emplace(at);
  if (is_new) {
    entry->second.name = as_text(name);
    entry->second.key = as_text(key);
    count(lane, at.size(), 0);
  }
  return entry->second;
}

void StateStore::set(Lane& lane, Entry& entry, std::optional<Bytes> value) {
  count(lane, size_of(value), size_of(entry.value));
  entry.value = std::move(value);
}

void StateStore::count(Lane& lane, std::uint64_t more, std::uint64_t less) {
  lane.bytes += more - less;
  bytes_ += more - less;
}

Result<StateStore::Entry*> StateStore::held(std::uint32_t lane, const std::string& at, BytesView name, BytesView key) {
  Lane& holding = lanes_[lane];
  const auto entry = holding.entries.find(at);
  if (entry != holding.entries.end()) return &entry->second;
  if (local_ == nullptr || lane == WEIR_SHARD_PARTIAL) return static_cast<Entry*>(nullptr);
  const auto found = local_->find(lane, stage_, name, key);
  if (!found.ok()) return found.error();
  if (!*found) return static_cast<Entry*>(nullptr);
  Entry& loaded = entry_at(holding, at, name, key);
  set(holding, loaded, Bytes((*found)->begin(), (*found)->end()));
  return &loaded;
}

Result<std::optional<BytesView>> StateStore::get(std::uint32_t lane, BytesView name, BytesView key) {
  using Found = Result<std::optional<BytesView>>;
  const auto entry = held(lane, slot(name, key), name, key);
  if (!entry.ok()) return entry.error();
  if (*entry == nullptr || !(*entry)->value) return Found(std::nullopt);
  return Found(BytesView(*(*entry)->value));
}

void StateStore::forget_clean() {
  for (auto& [number, lane] : lanes_) {
    std::erase_if(lane.entries, [&](const auto& entry) {
      if (entry.second.dirty) return false;
      count(lane, 0, entry.first.size() + size_of(entry.second.value));
      return true;
    });
  }
}

Status StateStore::put(std::uint32_t lane, BytesView name, BytesView key, std::optional<BytesView> value) {
  std::string at = slot(name, key);
  if (local_ != nullptr) {
    // What it was before is what an undo goes back to.
    if (const auto before = held(lane, at, name, key); !before.ok()) return before.error();
  }
  Lane& changed = lanes_[lane];
  Entry& entry = entry_at(changed, at, name, key);
  if (!entry.dirty) dirty_[lane].push_back(at);
  log_.push_back({lane, std::move(at), entry.value, entry.dirty});
  set(changed, entry, value ? std::optional<Bytes>(std::in_place, value->begin(), value->end()) : std::nullopt);
  entry.dirty = true;
  return {};
}

void StateStore::undo() {
  for (; !log_.empty(); log_.pop_back()) {
    Undo& last = log_.back();
    Lane& lane = lanes_[last.lane];
    const auto entry = lane.entries.find(last.slot);
    if (entry == lane.entries.end()) continue;  // its lane was dropped since
    set(lane, entry->second, std::move(last.value));
    entry->second.dirty = last.dirty;
  }
}

void StateStore::take_changes(std::uint32_t lane, Bytes& out) {
  const auto dirty = dirty_.find(lane);
  if (dirty == dirty_.end()) return;
  Lane& changed = lanes_[lane];
  for (const std::string& at : dirty->second) {
    const auto entry = changed.entries.find(at);
    if (entry == changed.entries.end()) continue;
    Entry& it = entry->second;
    if (it.dirty) {
      wire::Change change{wire::Space::kState, as_bytes(it.name), as_bytes(it.key), std::nullopt};
      if (it.value) change.value = BytesView(*it.value);
      wire::append_change(out, change);
      it.dirty = false;
    }
    if (it.value) continue;
    count(changed, 0, at.size());
    changed.entries.erase(entry);
  }
  dirty_.erase(dirty);
}

}  // namespace weir::host
