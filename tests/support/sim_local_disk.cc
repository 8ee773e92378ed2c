// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sim_local_disk.h"

namespace weir::test {

namespace {

constexpr std::size_t kUnsyncedMax = 12;  ///< older ones have come to files, and are synced

}  // namespace

class SimLocalDisk::Store final : public host::LocalStore {
 public:
  Store(SimLocalDisk& disk, std::shared_ptr<Folder> folder, std::function<bool()> alive)
      : disk_(disk), folder_(std::move(folder)), alive_(std::move(alive)) {}
  ~Store() override {
    if (alive_()) folder_->alive = nullptr;  // a clean end
  }
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  [[nodiscard]] host::LocalPosition position() const override { return folder_->now.position; }
  Result<bool> get(std::string_view key, std::string& value) override {
    const auto found = folder_->now.entries.find(key);
    if (found == folder_->now.entries.end()) return false;
    value = as_text(found->second);
    return true;
  }
  Result<bool> seek(std::string_view from, std::string_view end, std::string& key, std::string& value) override {
    const auto found = folder_->now.entries.lower_bound(from);
    if (found == folder_->now.entries.end() || found->first >= end) return false;
    value = as_text(found->second);
    key = found->first;
    return true;
  }
  Status write(const std::vector<Change>& changes, host::LocalPosition position) override {
    Batch batch;
    batch.position = position;
    for (const auto& [key, value] : changes) {
      batch.changes.emplace_back(key, value ? std::optional(Bytes(value->begin(), value->end())) : std::nullopt);
    }
    add(std::move(batch));
    return {};
  }
  Status clear() override {
    Batch batch;
    batch.clears = !disk_.keeps_cleared_;
    add(std::move(batch));
    return {};
  }
  [[nodiscard]] std::uint64_t bytes() const override {
    std::uint64_t sum = 0;
    for (const auto& [key, value] : folder_->now.entries) sum += key.size() + value.size();
    return sum;
  }

 private:
  void add(Batch batch) {
    if (!alive_()) return;
    apply(batch, folder_->now);
    folder_->unsynced.push_back(std::move(batch));
    while (folder_->unsynced.size() > kUnsyncedMax) {
      apply(folder_->unsynced.front(), folder_->synced);
      folder_->unsynced.pop_front();
    }
  }

  SimLocalDisk& disk_;
  std::shared_ptr<Folder> folder_;
  std::function<bool()> alive_;
};

void SimLocalDisk::apply(const Batch& batch, Contents& to) {
  if (batch.clears) to.entries.clear();
  for (const auto& [key, value] : batch.changes) {
    if (value) {
      to.entries.insert_or_assign(key, *value);
    } else {
      to.entries.erase(key);
    }
  }
  to.position = batch.position;
}

Result<std::unique_ptr<host::LocalStore>> SimLocalDisk::open(const std::string& name, std::function<bool()> alive,
                                                             const std::function<std::size_t(std::size_t)>& lost) {
  std::vector<std::shared_ptr<Folder>>& folders = folders_[name];
  std::vector<std::shared_ptr<Folder>> kept;
  std::shared_ptr<Folder> opened;
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) {
    if ((*folder)->alive && (*folder)->alive()) {
      kept.insert(kept.begin(), *folder);
    } else if (!opened) {
      opened = *folder;
    }
  }
  if (!opened) opened = std::make_shared<Folder>();
  if (opened->alive) {
    // Its holder has died, and maybe its machine.
    for (std::size_t left = lost(opened->unsynced.size()); left != 0; --left, ++batches_lost_)
      opened->unsynced.pop_back();
    opened->now = opened->synced;
    for (const Batch& batch : opened->unsynced) apply(batch, opened->now);
  }
  opened->alive = alive;
  kept.push_back(opened);
  folders = std::move(kept);
  return std::unique_ptr<host::LocalStore>(std::make_unique<Store>(*this, std::move(opened), std::move(alive)));
}

}  // namespace weir::test
