// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/posix_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <limits>
#include <memory>
#include <system_error>
#include <utility>

#include "broker/journal/huge_page.h"

namespace weir::journal {
namespace {

Error failure(std::string_view what, const std::string& path, int number) {
  const Code code = number == ENOSPC || number == EDQUOT ? Code::kDiskFull
                    : number == ENOENT                   ? Code::kNotFound
                                                         : Code::kIo;
  return Error{code, fmt::format("{}: {}: {}", path, what, std::generic_category().message(number))};
}

/// Calls `call` again while a signal interrupts it.
template <typename Call>
auto uninterrupted(Call call) {
  auto answer = call();
  while (answer < 0 && errno == EINTR) answer = call();
  return answer;
}

class PosixFile final : public File {
 public:
  PosixFile(std::string path, int descriptor, std::uint64_t size, DirectWriter& direct)
      : path_(std::move(path)), descriptor_(descriptor), size_(size), direct_(direct) {}
  ~PosixFile() override {
    direct_.forget(descriptor_);
    ::close(descriptor_);
  }
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  Status write(std::uint64_t offset, std::span<const BytesView> parts) override {
    std::vector<iovec> vectors;
    vectors.reserve(parts.size());
    for (const BytesView part : parts) {
      if (!part.empty()) vectors.push_back({const_cast<std::byte*>(part.data()), part.size()});
    }
    std::size_t first = 0;
    while (first < vectors.size()) {
      const auto count = static_cast<int>(std::min<std::size_t>(vectors.size() - first, IOV_MAX));
      const ssize_t wrote = uninterrupted(
          [&] { return ::pwritev(descriptor_, vectors.data() + first, count, static_cast<off_t>(offset)); });
      if (wrote < 0) return failure("cannot write", path_, errno);
      if (wrote == 0) return failure("cannot write", path_, ENOSPC);
      offset += static_cast<std::uint64_t>(wrote);
      is_long(offset);
      auto left = static_cast<std::size_t>(wrote);
      while (left != 0 && left >= vectors[first].iov_len) left -= vectors[first++].iov_len;
      if (left != 0) {
        vectors[first].iov_base = static_cast<std::byte*>(vectors[first].iov_base) + left;
        vectors[first].iov_len -= left;
      }
    }
    return {};
  }

  Status write_past_cache(std::uint64_t offset, std::span<const BytesView> parts) override {
    std::uint64_t bytes = 0;
    for (const BytesView part : parts) bytes += part.size();
    if (offset % DirectWriter::kAlignment != 0 || bytes % DirectWriter::kAlignment != 0) return write(offset, parts);
    const auto outcome = direct_.write(descriptor_, offset, parts);
    if (!outcome) return write(offset, parts);
    is_long(offset + outcome->bytes);
    return outcome->error == 0 ? Status() : Status(failure("cannot write", path_, outcome->error));
  }

  Status sync() override {
    // Never repeated after an error: the kernel has then dropped the pages' dirty state (an interruption included).
    if (::fdatasync(descriptor_) != 0) return Status(Code::kIo, failure("cannot sync", path_, errno).message);
    return {};
  }

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) override {
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t got = uninterrupted([&] {
        return ::pread(descriptor_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
      });
      if (got < 0) return failure("cannot read", path_, errno);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  [[nodiscard]] std::uint64_t size() const override { return size_.load(); }

  /// Writes [0, bytes) full with zeros, in such pieces where it is told any, and syncs it, the size too.
  Status fill(std::uint64_t bytes, const Disk::Pieces& pieces) {
    const bool direct = bytes % DirectWriter::kAlignment == 0 && pass_page_cache(true);
    Status done = fill_in_pieces(bytes, direct, pieces);
    if (direct) {
      (void)pass_page_cache(false);
      // Some file systems take the flag and then no write.
      if (!done.ok() && done.error().code == Code::kIo) done = fill_in_pieces(bytes, false, pieces);
    }
    // The size is metadata that fdatasync need not bring out on every system; fsync does, once per segment.
    if (done.ok() && ::fsync(descriptor_) != 0) done = failure("cannot sync", path_, errno);
    return done;
  }

 private:
  void is_long(std::uint64_t bytes) {
    std::uint64_t seen = size_.load();
    while (seen < bytes && !size_.compare_exchange_weak(seen, bytes)) {
    }
  }

  /// Pages of a file that is only filled would push others out of the cache, and to make them costs thirty times what
  /// the writing does.
  bool pass_page_cache(bool on) {
    const int flags = ::fcntl(descriptor_, F_GETFL);
    return flags >= 0 && ::fcntl(descriptor_, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
  }

  Status fill_in_pieces(std::uint64_t bytes, bool direct, const Disk::Pieces& pieces) {
    const HugePage zeros;
    for (std::uint64_t at = 0; at < bytes;) {
      const std::uint64_t most = pieces ? std::min<std::uint64_t>(pieces(), HugePage::kBytes) : HugePage::kBytes;
      const BytesView part = zeros.bytes().first(std::min(most, bytes - at));
      if (Status wrote = write(at, std::span(&part, 1)); !wrote.ok()) return wrote;
      at += part.size();
      // Piece by piece: a file system that orders its writes would make the next sync of the journal wait for all that
      // is in the cache.
      if (direct) continue;
      if (::fdatasync(descriptor_) != 0) return failure("cannot sync", path_, errno);
    }
    return {};
  }

  const std::string path_;
  const int descriptor_;
  std::atomic<std::uint64_t> size_;
  DirectWriter& direct_;
};

/// Makes `directory` and its parents.
Status make_directory(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0777) == 0 || errno == EEXIST) return {};
  if (errno != ENOENT) return failure("cannot make the directory", directory, errno);
  const std::size_t slash = directory.find_last_of('/');
  if (slash == std::string::npos || slash == 0) return failure("cannot make the directory", directory, ENOENT);
  if (Status made = make_directory(directory.substr(0, slash)); !made.ok()) return made;
  if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST) {
    return failure("cannot make the directory", directory, errno);
  }
  return {};
}

/// An entry's directory must be durable for the entry to be, and so on up: which of them a start made that was cut
/// short nobody knows. Up to the file system's own root, or to where we may not look, and what we may not read we did
/// not make.
Status sync_parents(const std::string& directory) {
  int below = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (below < 0) return failure("cannot open the directory", directory, errno);
  Status done;
  while (done.ok()) {
    const int above = ::openat(below, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat facts_below {};
    struct stat facts_above {};
    const bool known = above >= 0 && ::fstat(below, &facts_below) == 0 && ::fstat(above, &facts_above) == 0;
    ::close(below);
    below = above;
    if (!known || facts_above.st_dev != facts_below.st_dev || facts_above.st_ino == facts_below.st_ino) break;
    if (::fsync(above) != 0 && errno != EINVAL && errno != EROFS)
      done = failure("cannot sync the directories above", directory, errno);
  }
  if (below >= 0) ::close(below);
  return done;
}

}  // namespace

Result<std::unique_ptr<PosixDisk>> PosixDisk::open(const std::string& directory) {
  std::string path = directory;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (Status made = make_directory(path); !made.ok()) return made.error();
  if (Status synced = sync_parents(path); !synced.ok()) return synced.error();
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return failure("cannot open the directory", path, errno);
  return std::unique_ptr<PosixDisk>(new PosixDisk(path, descriptor, false));
}

Result<std::unique_ptr<PosixDisk>> PosixDisk::open_read_only(const std::string& directory) {
  std::string path = directory;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return failure("cannot open the directory", path, errno);
  return std::unique_ptr<PosixDisk>(new PosixDisk(path, descriptor, true));
}

PosixDisk::~PosixDisk() { ::close(descriptor_); }

Result<std::unique_ptr<File>> PosixDisk::open(std::string_view name) {
  const std::string path = fmt::format("{}/{}", directory_, name);
  const int descriptor = uninterrupted(
      [&] { return ::openat(descriptor_, std::string(name).c_str(), (read_only_ ? O_RDONLY : O_RDWR) | O_CLOEXEC); });
  if (descriptor < 0) return failure("cannot open", path, errno);
  struct stat facts {};
  if (::fstat(descriptor, &facts) != 0) {
    const int number = errno;
    ::close(descriptor);
    return failure("cannot look at", path, number);
  }
  return std::unique_ptr<File>(new PosixFile(path, descriptor, static_cast<std::uint64_t>(facts.st_size), direct_));
}

Result<std::unique_ptr<File>> PosixDisk::create(std::string_view name, std::uint64_t bytes) {
  return create_beside(name, bytes, nullptr);
}

Result<std::unique_ptr<File>> PosixDisk::create_beside(std::string_view name, std::uint64_t bytes,
                                                       const Pieces& pieces) {
  WEIR_CHECK(!read_only_, "a directory that is only looked at gets no files");
  const std::string path = fmt::format("{}/{}", directory_, name);
  const int descriptor = uninterrupted(
      [&] { return ::openat(descriptor_, std::string(name).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666); });
  if (descriptor < 0) return failure("cannot create", path, errno);
  auto file = std::make_unique<PosixFile>(path, descriptor, 0, direct_);
  if (bytes != 0) {
    const Status done = file->fill(bytes, pieces);
    if (!done.ok()) {
      ::unlinkat(descriptor_, std::string(name).c_str(), 0);
      return done.error();
    }
  }
  return std::unique_ptr<File>(std::move(file));
}

Status PosixDisk::remove(std::string_view name) {
  if (::unlinkat(descriptor_, std::string(name).c_str(), 0) != 0) {
    return failure("cannot remove", fmt::format("{}/{}", directory_, name), errno);
  }
  return {};
}

Status PosixDisk::rename(std::string_view from, std::string_view to) {
  if (::renameat(descriptor_, std::string(from).c_str(), descriptor_, std::string(to).c_str()) != 0) {
    return failure(fmt::format("cannot rename to {}", to), fmt::format("{}/{}", directory_, from), errno);
  }
  return {};
}

Result<std::vector<std::string>> PosixDisk::list() {
  DIR* directory = ::opendir(directory_.c_str());
  if (directory == nullptr) return failure("cannot list", directory_, errno);
  std::vector<std::string> names;
  int number = 0;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(directory);
    if (entry == nullptr) {
      number = errno;
      break;
    }
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(directory);
  if (number != 0) return failure("cannot list", directory_, number);
  std::sort(names.begin(), names.end());
  return names;
}

Status PosixDisk::sync_directory() {
  if (::fsync(descriptor_) != 0) return Status(Code::kIo, failure("cannot sync", directory_, errno).message);
  return {};
}

std::uint64_t PosixDisk::free_bytes() {
  struct statvfs facts {};
  if (::fstatvfs(descriptor_, &facts) != 0) return std::numeric_limits<std::uint64_t>::max();
  return static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize;
}

}  // namespace weir::journal
