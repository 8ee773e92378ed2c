// SPDX-License-Identifier: Apache-2.0
#include "stages/host/state_store.h"

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
  if (!change.value) {
    lanes_[lane].erase(at);
    return;
  }
  bytes_ += at.size() + change.value->size();
  lanes_[lane][at] = {std::string(as_text(change.name)), std::string(as_text(change.key)),
                      Bytes(change.value->begin(), change.value->end()), false};
}

Result<StateStore::Entry*> StateStore::held(std::uint32_t lane, const std::string& at, BytesView name, BytesView key) {
  Lane& entries = lanes_[lane];
  const auto entry = entries.find(at);
  if (entry != entries.end()) return &entry->second;
  if (local_ == nullptr || lane == WEIR_SHARD_PARTIAL) return static_cast<Entry*>(nullptr);
  const auto found = local_->find(lane, stage_, name, key);
  if (!found.ok()) return found.error();
  if (!*found) return static_cast<Entry*>(nullptr);
  bytes_ += at.size() + (*found)->size();
  Entry& loaded = entries[at];
  loaded = {std::string(as_text(name)), std::string(as_text(key)), Bytes((*found)->begin(), (*found)->end()), false};
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
  for (auto& [lane, entries] : lanes_) std::erase_if(entries, [](const auto& entry) { return !entry.second.dirty; });
  bytes_ = 0;
}

Status StateStore::put(std::uint32_t lane, BytesView name, BytesView key, std::optional<BytesView> value) {
  std::string at = slot(name, key);
  if (local_ != nullptr) {
    // What it was before is what an undo goes back to.
    if (const auto before = held(lane, at, name, key); !before.ok()) return before.error();
  }
  Entry& entry = lanes_[lane][at];
  if (local_ != nullptr && value) bytes_ += at.size() + value->size();
  if (!entry.dirty) dirty_[lane].push_back(at);
  log_.push_back({lane, std::move(at), entry.value, entry.dirty});
  entry.name = as_text(name);
  entry.key = as_text(key);
  if (value) {
    entry.value.emplace(value->begin(), value->end());
  } else {
    entry.value.reset();
  }
  entry.dirty = true;
  return {};
}

void StateStore::undo() {
  for (; !log_.empty(); log_.pop_back()) {
    Undo& last = log_.back();
    Entry& entry = lanes_[last.lane][last.slot];
    entry.value = std::move(last.value);
    entry.dirty = last.dirty;
  }
}

void StateStore::take_changes(std::uint32_t lane, Bytes& out) {
  const auto dirty = dirty_.find(lane);
  if (dirty == dirty_.end()) return;
  Lane& entries = lanes_[lane];
  for (const std::string& at : dirty->second) {
    const auto entry = entries.find(at);
    if (entry == entries.end()) continue;
    Entry& it = entry->second;
    if (it.dirty) {
      wire::Change change{wire::Space::kState, as_bytes(it.name), as_bytes(it.key), std::nullopt};
      if (it.value) change.value = BytesView(*it.value);
      wire::append_change(out, change);
      it.dirty = false;
    }
    if (!it.value) entries.erase(entry);
  }
  dirty_.erase(dirty);
}

}  // namespace weir::host
