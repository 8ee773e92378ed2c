// SPDX-License-Identifier: Apache-2.0
#include "stages/host/state_store.h"

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

const Bytes* StateStore::get(std::uint32_t lane, BytesView name, BytesView key) const {
  const auto found = lanes_.find(lane);
  if (found == lanes_.end()) return nullptr;
  const auto entry = found->second.find(slot(name, key));
  return entry == found->second.end() || !entry->second.value ? nullptr : &*entry->second.value;
}

void StateStore::put(std::uint32_t lane, BytesView name, BytesView key, std::optional<BytesView> value) {
  std::string at = slot(name, key);
  Entry& entry = lanes_[lane][at];
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
