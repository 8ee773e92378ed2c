// SPDX-License-Identifier: Apache-2.0
#include "stages/host/rocks_store.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "sdk/base/log.h"

namespace weir::host {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kFormat = 1;
constexpr std::string_view kPositionKey = "p";
constexpr char kStateMark = 's';
constexpr int kOpenFilesMax = 64;  ///< of one store
constexpr int kBloomBits = 10;
constexpr std::uint64_t kWriteBufferMin = 64 << 10;

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }

Error failed(const std::string& path, const rocksdb::Status& status) {
  const Code code = status.IsNoSpace() ? Code::kDiskFull : status.IsCorruption() ? Code::kCorrupt : Code::kIo;
  return {code, fmt::format("the local store of state {}: {}", path, status.ToString())};
}

class RocksStore final : public LocalStore {
 public:
  RocksStore(std::unique_ptr<rocksdb::DB> db, std::string path, std::string journal)
      : db_(std::move(db)), path_(std::move(path)), journal_(std::move(journal)) {}

  /// Reads the position. Void where it is of another journal or format.
  Status begin() {
    std::string text;
    const rocksdb::Status status = db_->Get({}, slice(kPositionKey), &text);
    if (status.IsNotFound()) return {};
    if (!status.ok()) return failed(path_, status);
    ByteReader reader(as_bytes(text));
    if (reader.get<std::uint32_t>() != kFormat) return {};
    LocalPosition at;
    at.reign = reader.get<std::uint32_t>();
    at.through = reader.get<std::uint64_t>();
    if (reader.text() == journal_ && reader.ok() && reader.at_end()) position_ = at;
    return {};
  }

  [[nodiscard]] LocalPosition position() const override { return position_; }

  Result<bool> get(std::string_view key, std::string& value) override {
    const rocksdb::Status status = db_->Get({}, slice(marked(key)), &value);
    if (status.IsNotFound()) return false;
    if (!status.ok()) return failed(path_, status);
    return true;
  }

  Result<bool> seek(std::string_view from, std::string_view end, std::string& key, std::string& value) override {
    const std::string at = marked(from);
    // A walk asks for what lies right behind what it was given last: the iterator stands there already.
    const bool goes_on = walk_ && walk_->Valid() && at.size() == last_.size() + 1 && at.starts_with(last_);
    if (goes_on) {
      walk_->Next();
    } else {
      walk_.reset(db_->NewIterator({}));
      walk_->Seek(slice(at));
    }
    if (!walk_->status().ok()) return failed(path_, walk_->status());
    if (!walk_->Valid()) return false;
    const std::string_view found = walk_->key().ToStringView();
    last_ = found;
    if (found.front() != kStateMark || found.substr(1) >= end) return false;
    key = found.substr(1);
    value = walk_->value().ToStringView();
    return true;
  }

  Status write(const std::vector<Change>& changes, LocalPosition position) override {
    walk_.reset();  // it sees the store as it was
    rocksdb::WriteBatch batch;
    for (const auto& [key, value] : changes) {
      const rocksdb::Status status =
          value ? batch.Put(slice(marked(key)), slice(as_text(*value))) : batch.Delete(slice(marked(key)));
      if (!status.ok()) return failed(path_, status);
    }
    Bytes text;
    ByteWriter writer(text);
    writer.put(kFormat);
    writer.put(position.reign);
    writer.put(position.through);
    writer.text(journal_);
    rocksdb::Status status = batch.Put(slice(kPositionKey), slice(as_text(text)));
    if (status.ok()) status = db_->Write({}, &batch);
    if (!status.ok()) return failed(path_, status);
    position_ = position;
    return {};
  }

  Status clear() override {
    if (Status status = write({}, {}); !status.ok()) return status;  // void before anything of it goes
    const std::string first(1, kStateMark);
    const std::string end(1, kStateMark + 1);
    const rocksdb::Status status = db_->DeleteRange({}, db_->DefaultColumnFamily(), slice(first), slice(end));
    return status.ok() ? Status() : Status(failed(path_, status));
  }

  [[nodiscard]] std::uint64_t bytes() const override {
    std::uint64_t files = 0;
    std::uint64_t buffered = 0;
    (void)db_->GetIntProperty(rocksdb::DB::Properties::kLiveSstFilesSize, &files);
    (void)db_->GetIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables, &buffered);
    return files + buffered;
  }

 private:
  static std::string marked(std::string_view key) {
    std::string text(1, kStateMark);
    text += key;
    return text;
  }

  std::unique_ptr<rocksdb::DB> db_;
  std::string path_;
  std::string journal_;
  LocalPosition position_;
  std::unique_ptr<rocksdb::Iterator> walk_;
  std::string last_;  ///< where the walk stands
};

/// The folders of a lane, the newest first.
std::vector<std::uint64_t> folders_of(const std::string& directory, std::uint32_t lane) {
  const std::string prefix = fmt::format("{}-", lane);
  std::vector<std::uint64_t> numbers;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    std::uint64_t number = 0;
    const auto [end, wrong] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), number);
    if (wrong == std::errc() && end == name.data() + name.size()) numbers.push_back(number);
  }
  std::sort(numbers.rbegin(), numbers.rend());
  return numbers;
}

}  // namespace

std::string state_dir(const StageSpec& spec, const std::string& brokers, const std::string& topology) {
  if (!spec.state_path.empty()) return fmt::format("{}/{}", spec.state_path, topology);
  if (!brokers.empty()) return brokers;
  return fmt::format(".weir/{}/state", topology);
}

struct RocksStores::Shared {
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> buffers;
  rocksdb::Options options;
};

RocksStores::RocksStores(Options options) : options_(std::move(options)), shared_(std::make_unique<Shared>()) {
  const std::uint64_t half = options_.memory_bytes / 2;
  shared_->cache = rocksdb::NewLRUCache(half);
  shared_->buffers = std::make_shared<rocksdb::WriteBufferManager>(half);
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = shared_->cache;
  table.cache_index_and_filter_blocks = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBits));
  rocksdb::Options& all = shared_->options;
  all.create_if_missing = true;
  all.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  all.write_buffer_manager = shared_->buffers;
  all.write_buffer_size = std::max(kWriteBufferMin, half / std::max(options_.lanes, 1U));
  all.compression = rocksdb::kLZ4Compression;
  all.max_open_files = kOpenFilesMax;
  all.max_file_opening_threads = 1;  // a thread takes 8 MiB of what the worker may grow by
  all.stats_dump_period_sec = 0;
  all.stats_persist_period_sec = 0;
  all.keep_log_file_num = 1;
  all.info_log_level = rocksdb::InfoLogLevel::ERROR_LEVEL;
}

RocksStores::~RocksStores() = default;

Result<std::unique_ptr<LocalStore>> RocksStores::open(std::uint32_t lane) {
  std::error_code error;
  fs::create_directories(options_.directory, error);
  if (error)
    return {Code::kIo, fmt::format("cannot make the folder {} for state: {}", options_.directory, error.message())};
  const std::vector<std::uint64_t> found = folders_of(options_.directory, lane);
  std::unique_ptr<LocalStore> opened;
  for (const std::uint64_t number : found) {
    const std::string path = fmt::format("{}/{}-{}", options_.directory, lane, number);
    if (opened) {
      // Of an earlier holder. What is still held is left to whoever comes next.
      (void)rocksdb::DestroyDB(path, shared_->options);
      continue;
    }
    auto store = open_folder(path);
    if (store.ok()) {
      opened = std::move(*store);
      continue;
    }
    // Held by a process that was taken for dead, or damaged: the broker has a copy either way.
    log::warning("{}; it is passed over", store.error().message);
    if (store.error().code == Code::kCorrupt) (void)rocksdb::DestroyDB(path, shared_->options);
  }
  if (opened) return opened;
  return open_folder(fmt::format("{}/{}-{}", options_.directory, lane, found.empty() ? 1 : found.front() + 1));
}

Result<std::unique_ptr<LocalStore>> RocksStores::open_folder(const std::string& path) {
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(shared_->options, path, &db);
  if (!status.ok()) return failed(path, status);
  auto store = std::make_unique<RocksStore>(std::unique_ptr<rocksdb::DB>(db), path, options_.journal);
  if (Status begun = store->begin(); !begun.ok()) return begun.error();
  return std::unique_ptr<LocalStore>(std::move(store));
}

}  // namespace weir::host
