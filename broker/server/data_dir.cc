// SPDX-License-Identifier: Apache-2.0
#include "broker/server/data_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "sdk/base/file_lock.h"
#include "sdk/topology/resolved_file.h"
#include "sdk/topology/revise.h"
#include "sdk/topology/weir_dir.h"

namespace weir::server {
namespace {

using nlohmann::json;
/// 1: the journal held the topology's name only.
constexpr int kFormat = 2;
/// A journal that is being deleted.
constexpr const char* kCleared = "journal.cleared";

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return {Code::kNotFound, fmt::format("{}: {}", path, std::strerror(errno))};
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Error damaged(const std::string& path, const std::string& how) {
  return {Code::kCorrupt,
          fmt::format("{}/weir.json is damaged{}. Move it away: `weir run` says then how another one is "
                      "had, and nothing else is touched meanwhile",
                      path, how)};
}

/// Whole and durable, or not at all.
Status write_text(const std::string& path, const std::string& text) {
  const std::string beside = path + ".new";
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const auto failed = [&] {
    if (errno == ENOSPC || errno == EDQUOT) {
      return Status(Code::kDiskFull,
                    fmt::format("cannot write {}: {}; free some space there", path, std::strerror(errno)));
    }
    return Status(Code::kIo, fmt::format("cannot write {}: {}; give --data a directory that you may write to", path,
                                         std::strerror(errno)));
  };
  if (file < 0) return failed();
  const ssize_t wrote = ::write(file, text.data(), text.size());
  // The rest of a short write is what there was no room for.
  if (wrote >= 0 && wrote < static_cast<ssize_t>(text.size())) errno = ENOSPC;
  const bool written = wrote == static_cast<ssize_t>(text.size()) && ::fdatasync(file) == 0;
  const int number = errno;
  ::close(file);
  errno = number;
  if (!written || std::rename(beside.c_str(), path.c_str()) != 0) return failed();
  return {};
}

Status sync_folder(const std::string& path) {
  const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = folder >= 0 && ::fsync(folder) == 0;
  const int number = errno;
  if (folder >= 0) ::close(folder);
  if (!synced) return {Code::kIo, fmt::format("cannot sync {}: {}", path, std::strerror(number))};
  return {};
}

}  // namespace

Error DataDir::no_room(const std::string& path) {
  // Lock, weir.json, and the first step of the journal's growth (broker/journal/growth.h).
  return {Code::kDiskFull,
          fmt::format("there is no room to write {}: a start does not wait for it, and a first one needs 128 KiB and a "
                      "64th of \"segment_size\" (1.2 MiB by default). Free some space there and start again, or give "
                      "--data a directory on another disk",
                      path)};
}

Error DataDir::served_and_gone(const std::string& path) {
  return {Code::kRefused, fmt::format("{} held this topology's journal when it was started, and does not any more: was "
                                      "it moved, or a file system unmounted? Bring it back and run again",
                                      path)};
}

std::optional<std::uint64_t> DataDir::parse_seed(std::string_view digits) {
  std::uint64_t number = 0;
  const auto [end, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  if (digits.size() != 16 || wrong != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

Result<DataDir> DataDir::open(const Options& options, const Topology& topology) {
  std::error_code error;
  const std::string path = std::filesystem::absolute(options.path, error).lexically_normal().string();
  DataDir directory(path);
  if (options.served) {
    const auto owner = read_owner(path);
    const bool other = owner.ok() && owner->journal && *owner->journal != *options.served;
    if (other || (!owner.ok() && owner.error().code == Code::kNotFound)) return served_and_gone(path);
  }
  std::filesystem::create_directories(path, error);
  if (error) {
    return {Code::kIo,
            fmt::format("cannot create the data directory {}: {}; give --data a directory that you may write to", path,
                        error.message())};
  }
  const bool owned = std::filesystem::exists(path + "/weir.json", error);
  if (!owned) {
    const std::string foreign = foreign_entry(path);
    if (foreign == "journal") {
      return {
          Code::kRefused,
          fmt::format("{} has lost its weir.json, which says what it is; nothing else is missing. Put it back: that of "
                      "a run of the same topology in another directory does as well (`weir run --data ELSEWHERE`, "
                      "Ctrl-C, and copy ELSEWHERE/weir.json without its line \"journal\", which names another journal)",
                      path)};
    }
    if (!foreign.empty()) {
      return {
          Code::kRefused,
          fmt::format("{} holds \"{}\" and no weir.json: it is not a data directory of Weir; give --data another one",
                      path, foreign)};
    }
  }
  if (owned && options.fresh && !is_weirs(path)) {
    return {Code::kRefused,
            fmt::format("{0}/weir.json is damaged, or not Weir's: --fresh deletes only in a data directory of Weir, "
                        "and has touched nothing. If {0} is one, delete it yourself, or run without --fresh, which "
                        "says how weir.json is mended; else give --data another one",
                        path)};
  }
  if (Status status = directory.take_lock(options.patience); !status.ok()) return status.error();
  // What a killed broker left there must lead nobody to it while this one starts.
  (void)::unlink((path + "/endpoint.json").c_str());
  const Status cleared = options.fresh ? directory.clear() : directory.finish_clearing();
  if (!cleared.ok()) return cleared.error();
  if (owned && !options.fresh) {
    const auto before = read_owner(path);
    if (!before.ok()) return before.error();
    if (Status status = same_directory(before->topology, topology); !status.ok()) {
      return {Code::kRefused, fmt::format("{} was written by another topology: {}", path, status.error().message)};
    }
    return directory;
  }
  if (Status status = write_owner(path, topology, std::nullopt); !status.ok()) return status.error();
  return directory;
}

Result<DataDir::Owner> DataDir::read_owner(const std::string& path) {
  const auto text = read_text(path + "/weir.json");
  if (!text.ok()) return {Code::kNotFound, fmt::format("{} is no data directory of Weir (it has no weir.json)", path)};
  const json owner = json::parse(*text, nullptr, false);
  if (!owner.is_object() || !owner.contains("format") || !owner["format"].is_number_integer()) {
    return damaged(path, "");
  }
  const auto format = owner["format"].get<std::int64_t>();
  if (format < 1 || format > kFormat) {
    return {
        Code::kRefused,
        fmt::format("{} has format {}, this Weir reads formats 1 to {}: run the version of Weir that wrote it, or use "
                    "another data directory",
                    path, format, kFormat)};
  }
  if (!owner.contains("topology") || !owner["topology"].is_object()) {
    return damaged(path, "");
  }
  auto topology = decode_resolved(owner["topology"].dump());
  if (!topology.ok()) return {topology.error().code, fmt::format("{}/weir.json: {}", path, topology.error().message)};
  Owner known{*topology, *topology, format > 1, {}};
  if (const auto seed = owner.find("journal"); seed != owner.end()) {
    known.journal = parse_seed(seed->is_string() ? seed->get<std::string>() : "");
    if (!known.journal) {
      return damaged(path, ": \"journal\" is not the 16 hex digits of a journal's seed");
    }
  }
  if (const auto begins = owner.find("begins_with"); begins != owner.end()) {
    auto before = decode_resolved(begins->dump());
    if (!before.ok()) return {before.error().code, fmt::format("{}/weir.json: {}", path, before.error().message)};
    known.begins_with = std::move(*before);
    known.journal_says_topology = false;
  }
  return known;
}

Status DataDir::write_owner(const std::string& path, const Topology& topology, std::optional<std::uint64_t> journal) {
  json owner;
  owner["format"] = kFormat;
  owner["name"] = topology.name;
  owner["topology"] = json::parse(encode_resolved(topology));
  if (journal) owner["journal"] = fmt::format("{:016x}", *journal);
  if (const auto before = read_owner(path); before.ok() && !before->journal_says_topology)
    owner["begins_with"] = json::parse(encode_resolved(before->begins_with));
  const std::string text = owner.dump(2) + "\n";
  // A start on a full disk must not fail for want of what is there.
  if (const auto before = read_text(path + "/weir.json"); before.ok() && *before == text) return {};
  if (Status written = write_text(path + "/weir.json", text); !written.ok()) {
    return written.error().code == Code::kDiskFull ? Status(no_room(path + "/weir.json")) : written;
  }
  return sync_folder(path);
}

bool DataDir::half_cleared(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path + "/" + kCleared, error) && !std::filesystem::exists(path + "/journal", error);
}

Status DataDir::take_lock(std::chrono::milliseconds patience) {
  const std::string file = path_ + "/lock";
  lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  const auto failed = [&] {
    if (errno == ENOSPC || errno == EDQUOT) return Status(no_room(file));
    return Status(Code::kIo, fmt::format("cannot write to {}: {}; give --data a directory that you may write to", path_,
                                         std::strerror(errno)));
  };
  if (lock_ < 0) return failed();
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!weir::take_lock(lock_, FileLock::kExclusive)) {
    const FileLock held = held_by_others(lock_);
    char text[64] = {};
    (void)!::pread(lock_, text, sizeof(text) - 1, 0);
    long holder = 0;
    long launcher = 0;
    const bool known = std::sscanf(text, "%ld %ld", &holder, &launcher) == 2;
    // A holder without its launcher is about to end, and so is who only looks; anyone else is there to stay.
    const bool staying = held == FileLock::kExclusive && known &&
                         (launcher <= 1 || ::kill(static_cast<pid_t>(launcher), 0) == 0 || errno != ESRCH);
    if (staying || std::chrono::steady_clock::now() >= deadline) {
      return {Code::kInUse, fmt::format("{} is in use by process {}", path_, holder)};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const std::string text = fmt::format("{} {}\n", ::getpid(), ::getppid());
  // Over what is there, and cut behind it: emptied first, the file would give up the block that a full disk has not.
  if (::pwrite(lock_, text.data(), text.size(), 0) < 0 || ::ftruncate(lock_, static_cast<off_t>(text.size())) != 0) {
    return failed();
  }
  return {};
}

Status DataDir::clear() {
  if (!half_cleared(path_)) {
    if (Status status = remove_cleared(); !status.ok()) return status;
  }
  // All at once or not at all: of a journal that is half deleted, a start would go on with the other half.
  if (::rename(journal_path().c_str(), (path_ + "/" + kCleared).c_str()) != 0 && errno != ENOENT) {
    return {Code::kIo, fmt::format("cannot delete the journal in {}: {}", path_, std::strerror(errno))};
  }
  if (Status status = sync_folder(path_); !status.ok()) return status;
  if (Status status = empty_cleared(); !status.ok()) return status;
  std::error_code error;
  std::filesystem::remove(path_ + "/endpoint.json", error);
  // The owner goes behind all else: a deletion cut short leaves a directory that is still known as Weir's. The folder
  // that was the journal's goes behind the owner, who would say otherwise that a journal is missing.
  if (!error) std::filesystem::remove_all(state_path(), error);
  if (!error) std::filesystem::remove(path_ + "/weir.json", error);
  if (error) return {Code::kIo, fmt::format("cannot delete what is in {}: {}", path_, error.message())};
  if (Status status = sync_folder(path_); !status.ok()) return status;
  return remove_cleared();
}

Status DataDir::empty_cleared() const {
  std::error_code error;
  const std::string cleared = path_ + "/" + kCleared;
  if (!std::filesystem::exists(cleared, error)) return {};
  for (std::filesystem::directory_iterator at(cleared, error), end; !error && at != end; at.increment(error)) {
    std::filesystem::remove_all(at->path(), error);
    if (error) break;
  }
  if (error) return {Code::kIo, fmt::format("cannot delete what is in {}: {}", cleared, error.message())};
  return {};
}

Status DataDir::remove_cleared() const {
  std::error_code error;
  std::filesystem::remove_all(path_ + "/" + kCleared, error);
  if (error) return {Code::kIo, fmt::format("cannot delete {}/{}: {}", path_, kCleared, error.message())};
  return {};
}

Status DataDir::finish_clearing() const {
  if (half_cleared(path_)) {
    if (Status status = empty_cleared(); !status.ok()) return status;
    std::error_code error;
    const bool owned = std::filesystem::exists(path_ + "/weir.json", error);
    const auto owner = read_owner(path_);
    if (owned && !owner.ok())
      return {};  // which is refused, and the journal is still to be known as one that had to go
    if (owned) {
      if (Status status = write_owner(path_, owner->topology, std::nullopt); !status.ok()) return status;
    }
  }
  return remove_cleared();
}

Status DataDir::announce(const std::string& broker, const std::string& http, const std::string& topology) {
  json endpoint;
  endpoint["pid"] = ::getpid();
  endpoint["broker"] = broker;
  endpoint["http"] = http.empty() ? json(nullptr) : json(http);
  endpoint["topology"] = topology;
  announced_ = true;
  return write_text(path_ + "/endpoint.json", endpoint.dump() + "\n");
}

DataDir::~DataDir() {
  if (announced_) (void)::unlink((path_ + "/endpoint.json").c_str());
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace weir::server
