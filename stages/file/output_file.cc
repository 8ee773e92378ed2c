// SPDX-License-Identifier: Apache-2.0
#include "stages/file/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "stages/file/system_error.h"

namespace weir::file {
namespace {

std::filesystem::path folder_of(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? std::filesystem::path(".") : folder;
}

/// The folder of a new file and those above it: which of them had to be made nobody knows after a crash in between. Up
/// to the file system's root, or to where we may not look.
void sync_folders(const std::string& folder) {
  Descriptor at(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at.is_open()) throw_errno("sync", folder);
  struct stat facts {};
  struct stat above_facts {};
  if (::fsync(at.get()) != 0) throw_errno("sync", folder);
  while (::fstat(at.get(), &facts) == 0) {
    Descriptor above(::openat(at.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!above.is_open() || ::fstat(above.get(), &above_facts) != 0) return;
    if (above_facts.st_dev != facts.st_dev || above_facts.st_ino == facts.st_ino) return;
    if (::fsync(above.get()) != 0 && errno != EINVAL && errno != EROFS) throw_errno("sync", folder);
    at = std::move(above);
  }
}

}  // namespace

OutputFile::OutputFile(std::string path, int flags) : path_(std::move(path)) {
  descriptor_ = Descriptor(::open(path_.c_str(), flags | O_WRONLY | O_CLOEXEC, 0644));
  if (!descriptor_.is_open()) {
    if (errno == ENOENT && (flags & O_CREAT) == 0) {
      throw Fatal("cannot go on with " + path_ + ": it is gone; put it back, or start over with --fresh");
    }
    throw_errno("write", path_);
  }
  struct stat status {};
  if (::fstat(descriptor_.get(), &status) != 0) throw_errno("write", path_);
  regular_ = S_ISREG(status.st_mode);
  if (regular_) lock();
}

OutputFile OutputFile::replace(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(folder_of(path), error);
  if (error) throw Fatal("cannot make the folder of " + path + ": " + error.message());
  OutputFile file(path, O_CREAT);
  if (file.regular_ && ::ftruncate(file.descriptor_.get(), 0) != 0) throw_errno("empty", path);
  return file;
}

OutputFile OutputFile::go_on(const std::string& path, std::uint64_t committed) {
  OutputFile file(path, 0);
  file.written_ = committed;
  file.folders_synced_ = true;  // by the commit that is being gone on with
  if (!file.regular_) return file;
  struct stat status {};
  if (::fstat(file.descriptor_.get(), &status) != 0) throw_errno("write", path);
  if (static_cast<std::uint64_t>(status.st_size) < committed) {
    throw Fatal("cannot go on with " + path + ": it has " + std::to_string(status.st_size) + " bytes, but " +
                std::to_string(committed) + " were written and committed; put it back, or start over with --fresh");
  }
  const auto end = static_cast<off_t>(committed);
  if (::ftruncate(file.descriptor_.get(), end) != 0) throw_errno("cut", path);
  if (::lseek(file.descriptor_.get(), end, SEEK_SET) < 0) throw_errno("write", path);
  return file;
}

void OutputFile::lock() {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(descriptor_.get(), F_OFD_SETLK, &whole) == 0) return;
  if (errno == EAGAIN || errno == EACCES) throw TargetBusy(path_ + " is being written by another process");
  throw_errno("lock", path_);
}

void OutputFile::write_out() {
  std::string_view left = buffer_;
  while (!left.empty()) {
    const ssize_t put = ::write(descriptor_.get(), left.data(), left.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_errno("write", path_);
    left.remove_prefix(static_cast<std::size_t>(put));
  }
  written_ += buffer_.size();
  buffer_.clear();
}

void OutputFile::sync() {
  write_out();
  if (!regular_) return;
  if (::fdatasync(descriptor_.get()) != 0) throw_errno("sync", path_);
  if (folders_synced_) return;
  sync_folders(folder_of(path_));
  folders_synced_ = true;
}

}  // namespace weir::file
