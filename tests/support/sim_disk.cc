// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sim_disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace weir::test {
namespace {

constexpr std::uint64_t kBlock = 4096;
constexpr std::uint64_t kSector = 512;

Status dead() { return {Code::kIo, "sim: the process is dead"}; }

Bytes block_of(const Bytes& content, std::uint64_t block) {
  Bytes bytes(kBlock);
  if (block * kBlock < content.size()) {
    const std::size_t size = std::min<std::size_t>(kBlock, content.size() - block * kBlock);
    std::memcpy(bytes.data(), content.data() + block * kBlock, size);
  }
  return bytes;
}

/// Grows `content` only as far as `size_max`.
void put_block(Bytes& content, std::uint64_t block, const Bytes& bytes, std::uint64_t size_max) {
  const std::uint64_t end = std::min(size_max, (block + 1) * kBlock);
  if (end <= block * kBlock) return;
  if (content.size() < end) content.resize(end);
  std::memcpy(content.data() + block * kBlock, bytes.data(), end - block * kBlock);
}

}  // namespace

class SimFile final : public journal::File {
 public:
  SimFile(SimDisk& disk, std::shared_ptr<SimDisk::Inode> inode, std::uint64_t life)
      : disk_(disk), inode_(std::move(inode)), life_(life) {}
  Status write(std::uint64_t offset, std::span<const BytesView> parts) override {
    return disk_.write(*inode_, life_, offset, parts);
  }
  Status write_past_cache(std::uint64_t offset, std::span<const BytesView> parts) override {
    {
      const std::scoped_lock lock(disk_.mutex_);
      ++disk_.counters_.writes_past_cache;
    }
    return write(offset, parts);
  }
  Status sync() override { return disk_.sync(*inode_, life_); }
  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) override {
    return disk_.read(*inode_, life_, offset, into);
  }
  [[nodiscard]] std::uint64_t size() const override {
    const std::scoped_lock lock(disk_.mutex_);
    return inode_->cache.size();
  }

 private:
  SimDisk& disk_;
  std::shared_ptr<SimDisk::Inode> inode_;
  const std::uint64_t life_;
};

bool SimDisk::dies() {
  if (operations_left_ == 0) return false;
  crashed_ = --operations_left_ == 0;
  return crashed_;
}

void SimDisk::put(Inode& inode, std::uint64_t offset, BytesView bytes) {
  for (std::uint64_t done = 0; done < bytes.size();) {
    const std::uint64_t at = offset + done;
    const std::uint64_t size = std::min<std::uint64_t>(bytes.size() - done, kBlock - at % kBlock);
    auto& [versions, changed] = inode.unsynced[at / kBlock];
    changed.push_back(++blocks_written_);
    versions.push_back(block_of(inode.cache, at / kBlock));
    if (versions.size() > 3) {
      versions.erase(versions.begin());
      changed.erase(changed.begin());
    }
    if (inode.cache.size() < at + size) {
      counters_.bytes_grown += at + size - inode.cache.size();
      inode.cache.resize(at + size);
    }
    std::memcpy(inode.cache.data() + at, bytes.data() + done, size);
    done += size;
  }
}

void SimDisk::settle(Inode& inode, std::uint64_t through) {
  if (through >= blocks_written_) {
    inode.disk = inode.cache;
    inode.unsynced.clear();
    return;
  }
  inode.disk.resize(std::max(inode.disk.size(), inode.cache.size()));
  for (auto at = inode.unsynced.begin(); at != inode.unsynced.end();) {
    auto& [versions, changed] = at->second;
    const auto next = std::upper_bound(changed.begin(), changed.end(), through) - changed.begin();
    const bool whole = next == std::ssize(changed);
    if (next != 0) {
      const Bytes covered = whole ? block_of(inode.cache, at->first) : versions[static_cast<std::size_t>(next)];
      put_block(inode.disk, at->first, covered, inode.cache.size());
    }
    versions.erase(versions.begin(), versions.begin() + next);
    changed.erase(changed.begin(), changed.begin() + next);
    at = whole ? inode.unsynced.erase(at) : std::next(at);
  }
}

Status SimDisk::write(Inode& inode, std::uint64_t life, std::uint64_t offset, std::span<const BytesView> parts) {
  const std::scoped_lock lock(mutex_);
  if (crashed_ || life != life_) return dead();
  ++counters_.writes;
  Bytes all;
  for (const BytesView part : parts) all.insert(all.end(), part.begin(), part.end());
  if (dies()) {
    put(inode, offset, BytesView(all).first(below(all.size() + 1)));
    return dead();
  }
  if (write_fails_in_ != 0 && --write_fails_in_ == 0) {
    put(inode, offset, BytesView(all).first(below(all.size() + 1)));
    ++counters_.failed_writes;
    return {Code::kIo, "sim: the write fails"};
  }
  const std::uint64_t grown = std::max<std::uint64_t>(inode.cache.size(), offset + all.size()) - inode.cache.size();
  const std::uint64_t used = bytes_locked();
  if (grown != 0 && used + grown > bytes_max_) {
    const std::uint64_t room = bytes_max_ > used ? bytes_max_ - used : 0;
    const std::uint64_t end = std::min(inode.cache.size() + room, offset + all.size());
    if (end > offset) put(inode, offset, BytesView(all).first(end - offset));
    return {Code::kDiskFull, "sim: the disk is full"};
  }
  put(inode, offset, all);
  return {};
}

Status SimDisk::sync(Inode& inode, std::uint64_t life) {
  if (before_syncs_) before_syncs_();
  const std::scoped_lock lock(mutex_);
  const std::uint64_t covers = std::exchange(sync_covers_, std::numeric_limits<std::uint64_t>::max());
  if (crashed_ || life != life_) return dead();
  ++counters_.syncs;
  if (dies()) return dead();
  if (syncs_lie_) return {};
  if (sync_fails_in_ != 0 && --sync_fails_in_ == 0) {
    for (const auto& [block, unsynced] : inode.unsynced) {
      if (below(2) == 0) put_block(inode.disk, block, block_of(inode.cache, block), inode.cache.size());
    }
    inode.unsynced.clear();
    if (sync_fails_with_ == Pages::kEvicted) inode.cache = inode.disk;
    ++counters_.failed_syncs;
    return {Code::kIo, "sim: the sync fails"};
  }
  settle(inode, covers);
  return {};
}

Result<std::size_t> SimDisk::read(const Inode& inode, std::uint64_t life, std::uint64_t offset,
                                  std::span<std::byte> into) {
  const std::scoped_lock lock(mutex_);
  if (crashed_ || life != life_) return dead().error();
  if (offset >= inode.cache.size() || into.empty()) return std::size_t{0};
  const std::size_t size = std::min<std::size_t>(into.size(), inode.cache.size() - offset);
  std::memcpy(into.data(), inode.cache.data() + offset, size);
  counters_.bytes_read += size;
  return size;
}

Result<std::unique_ptr<journal::File>> SimDisk::open(std::string_view name) {
  const std::scoped_lock lock(mutex_);
  if (crashed_) return dead().error();
  const auto found = directory_.find(name);
  if (found == directory_.end()) return {Code::kNotFound, fmt::format("sim/{}: no such file", name)};
  return std::unique_ptr<journal::File>(new SimFile(*this, found->second, life_));
}

Result<std::unique_ptr<journal::File>> SimDisk::create(std::string_view name, std::uint64_t bytes) {
  const std::scoped_lock lock(mutex_);
  if (crashed_) return dead().error();
  const bool dying = dies();
  if (!dying && bytes_locked() + bytes > bytes_max_) return {Code::kDiskFull, "sim: the disk is full"};
  ++counters_.creates;
  directory_unsynced_.push_back(directory_);
  auto inode = std::make_shared<Inode>();
  inode->cache.resize(dying ? below(bytes + 1) : bytes);
  counters_.bytes_grown += inode->cache.size();
  if (!dying) settle(*inode, std::numeric_limits<std::uint64_t>::max());
  directory_[std::string(name)] = inode;
  if (dying) return dead().error();
  return std::unique_ptr<journal::File>(new SimFile(*this, inode, life_));
}

Status SimDisk::remove(std::string_view name) {
  const std::scoped_lock lock(mutex_);
  if (crashed_ || dies()) return dead();
  const auto found = directory_.find(name);
  if (found == directory_.end()) return {Code::kNotFound, fmt::format("sim/{}: no such file", name)};
  directory_unsynced_.push_back(directory_);
  directory_.erase(found);
  return {};
}

Status SimDisk::rename(std::string_view from, std::string_view to) {
  const std::scoped_lock lock(mutex_);
  if (crashed_ || dies()) return dead();
  const auto found = directory_.find(from);
  if (found == directory_.end()) return {Code::kNotFound, fmt::format("sim/{}: no such file", from)};
  directory_unsynced_.push_back(directory_);
  auto inode = found->second;
  directory_.erase(found);
  directory_[std::string(to)] = std::move(inode);
  return {};
}

Result<std::vector<std::string>> SimDisk::list() {
  const std::scoped_lock lock(mutex_);
  if (crashed_) return dead().error();
  std::vector<std::string> all;
  for (const auto& [each, inode] : directory_) all.push_back(each);
  return all;
}

Status SimDisk::sync_directory() {
  const std::scoped_lock lock(mutex_);
  if (crashed_ || dies()) return dead();
  directory_unsynced_.clear();
  return {};
}

std::uint64_t SimDisk::free_bytes() {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t used = bytes_locked();
  return used > bytes_max_ ? 0 : bytes_max_ - used;
}

void SimDisk::crash_after(std::uint64_t operations) {
  const std::scoped_lock lock(mutex_);
  operations_left_ = operations;
}

bool SimDisk::crashed() const {
  const std::scoped_lock lock(mutex_);
  return crashed_;
}

void SimDisk::kill() {
  const std::scoped_lock lock(mutex_);
  ++life_;
  crashed_ = false;
  operations_left_ = sync_fails_in_ = write_fails_in_ = 0;
}

void SimDisk::power_cut() {
  kill();
  const std::scoped_lock lock(mutex_);
  std::uint64_t lost_first = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t kept_last = 0;
  for (auto& [each, inode] : directory_) {
    for (const auto& [block, unsynced] : inode->unsynced) {
      const Bytes before = block_of(inode->disk, block);
      const Bytes fresh = block_of(inode->cache, block);
      Bytes now = before;
      const std::uint64_t becomes = below(4);
      switch (becomes) {
        case 0:  // not even as long as it was made
          break;
        case 1:
          now = fresh;
          break;
        case 2:
          now = unsynced.contents[below(unsynced.contents.size())];
          break;
        default:
          for (std::uint64_t at = 0; at < kBlock; at += kSector) {
            if (below(2) == 0) std::memcpy(now.data() + at, fresh.data() + at, kSector);
          }
      }
      if (now == fresh) {
        if (fresh != before) kept_last = std::max(kept_last, unsynced.written());
      } else {
        lost_first = std::min(lost_first, unsynced.written());
        ++(becomes == 3 && now != before ? counters_.blocks_torn : counters_.blocks_lost);
      }
      if (becomes != 0) put_block(inode->disk, block, now, inode->cache.size());
    }
    inode->unsynced.clear();
    inode->cache = inode->disk;
  }
  counters_.cuts_reordered += lost_first < kept_last ? 1 : 0;
  if (!directory_unsynced_.empty()) {
    const std::uint64_t reached = below(directory_unsynced_.size() + 1);
    counters_.folders_undone += reached < directory_unsynced_.size() ? 1 : 0;
    if (reached < directory_unsynced_.size()) directory_ = directory_unsynced_[reached];
    directory_unsynced_.clear();
    for (auto& [each, inode] : directory_) {  // also those that were removed or replaced before the cut
      inode->unsynced.clear();
      inode->cache = inode->disk;
    }
  }
}

void SimDisk::next_sync_covers(std::uint64_t blocks_written) {
  const std::scoped_lock lock(mutex_);
  sync_covers_ = blocks_written;
}

std::uint64_t SimDisk::blocks_written() const {
  const std::scoped_lock lock(mutex_);
  return blocks_written_;
}

void SimDisk::lie_about_syncs(bool on) {
  const std::scoped_lock lock(mutex_);
  syncs_lie_ = on;
}

void SimDisk::fail_sync(std::uint64_t nth, Pages pages) {
  const std::scoped_lock lock(mutex_);
  sync_fails_in_ = nth;
  sync_fails_with_ = pages;
}

void SimDisk::fail_write(std::uint64_t nth) {
  const std::scoped_lock lock(mutex_);
  write_fails_in_ = nth;
}

void SimDisk::limit_bytes(std::uint64_t bytes_max) {
  const std::scoped_lock lock(mutex_);
  bytes_max_ = bytes_max;
}

void SimDisk::overwrite(std::string_view name, std::uint64_t offset, BytesView bytes) {
  const std::scoped_lock lock(mutex_);
  const auto found = directory_.find(name);
  WEIR_CHECK(found != directory_.end(), "damage to a file that exists");
  for (Bytes* content : {&found->second->cache, &found->second->disk}) {
    if (offset + bytes.size() > content->size()) continue;
    std::memcpy(content->data() + offset, bytes.data(), bytes.size());
  }
}

void SimDisk::truncate(std::string_view name, std::uint64_t bytes) {
  const std::scoped_lock lock(mutex_);
  const auto found = directory_.find(name);
  WEIR_CHECK(found != directory_.end() && bytes <= found->second->cache.size(), "a file is cut, not made longer");
  for (Bytes* content : {&found->second->cache, &found->second->disk}) {
    content->resize(std::min<std::size_t>(content->size(), bytes));
  }
  found->second->unsynced.erase(found->second->unsynced.lower_bound((bytes + kBlock - 1) / kBlock),
                                found->second->unsynced.end());
}

void SimDisk::flip_bit(std::string_view name, std::uint64_t offset, int bit) {
  const Bytes before = content(name);
  WEIR_CHECK(offset < before.size(), "damage inside the file");
  const std::byte damaged = before[offset] ^ std::byte{static_cast<unsigned char>(1U << bit)};
  overwrite(name, offset, std::span(&damaged, 1));
}

std::unique_ptr<SimDisk> SimDisk::clone(std::uint64_t seed) const {
  const std::scoped_lock lock(mutex_);
  auto twin = std::make_unique<SimDisk>(seed);
  std::map<const Inode*, std::shared_ptr<Inode>> copies;
  const auto copy = [&](const Directory& from) {
    Directory to;
    for (const auto& [each, inode] : from) {
      auto& slot = copies[inode.get()];
      if (slot == nullptr) slot = std::make_shared<Inode>(*inode);
      to[each] = slot;
    }
    return to;
  };
  twin->directory_ = copy(directory_);
  for (const Directory& each : directory_unsynced_) twin->directory_unsynced_.push_back(copy(each));
  twin->bytes_max_ = bytes_max_;
  return twin;
}

Bytes SimDisk::content(std::string_view name) const {
  const std::scoped_lock lock(mutex_);
  const auto found = directory_.find(name);
  return found == directory_.end() ? Bytes() : found->second->cache;
}

std::vector<std::string> SimDisk::names() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> all;
  for (const auto& [each, inode] : directory_) all.push_back(each);
  return all;
}

std::uint64_t SimDisk::bytes_locked() const {
  std::uint64_t sum = 0;
  for (const auto& [each, inode] : directory_) sum += inode->cache.size();
  return sum;
}

std::uint64_t SimDisk::bytes() const {
  const std::scoped_lock lock(mutex_);
  return bytes_locked();
}

SimDisk::Counters SimDisk::counters() const {
  const std::scoped_lock lock(mutex_);
  return counters_;
}

}  // namespace weir::test
