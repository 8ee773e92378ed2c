// SPDX-License-Identifier: Apache-2.0
#include "stages/file/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "stages/file/system_error.h"

namespace weir::file {
namespace {

constexpr std::size_t kChunk = 64 << 10;

std::size_t read_some(const Descriptor& descriptor, const std::string& path, char* to, std::size_t size) {
  while (true) {
    const ssize_t got = ::read(descriptor.get(), to, size);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) throw_errno("read", path);
  }
}

struct stat status_of(const Descriptor& descriptor, const std::string& path) {
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0) throw_errno("read", path);
  return status;
}

}  // namespace

/// A row of gzip members (RFC 1952, section 2.2). Zeros behind the last one are padding, as gzip(1) has it.
class Inflater {
 public:
  Inflater() : input_(kChunk) {
    if (inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  std::size_t read(const Descriptor& descriptor, const std::string& path, char* to, std::size_t size) {
    const auto wanted = static_cast<uInt>(std::min<std::size_t>(size, 1U << 30));
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = wanted;
    while (stream_.avail_out == wanted) {
      if (stream_.avail_in == 0 && !fill(descriptor, path)) {
        if (within_member_) throw Fatal("cannot read " + path + ": the gzip data ends in the middle");
        return 0;
      }
      if (!within_member_ && !skip_padding()) continue;
      within_member_ = true;
      const int answer = inflate(&stream_, Z_NO_FLUSH);
      if (answer == Z_STREAM_END) {
        within_member_ = false;
        inflateReset(&stream_);
      } else if (answer != Z_OK && answer != Z_BUF_ERROR) {
        throw Fatal("cannot read " + path + ": damaged gzip data" +
                    (stream_.msg == nullptr ? std::string() : std::string(" (") + stream_.msg + ")"));
      }
    }
    return wanted - stream_.avail_out;
  }

 private:
  bool fill(const Descriptor& descriptor, const std::string& path) {
    const std::size_t got = read_some(descriptor, path, input_.data(), input_.size());
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(got);
    return got > 0;
  }

  /// Between two members: true where the next begins.
  bool skip_padding() {
    while (stream_.avail_in > 0 && *stream_.next_in == 0) {
      ++stream_.next_in;
      --stream_.avail_in;
    }
    return stream_.avail_in > 0;
  }

  z_stream stream_{};
  std::vector<char> input_;
  bool within_member_ = false;
};

InputFile::InputFile(std::string path) : path_(std::move(path)) {
  descriptor_ = Descriptor(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor_.is_open()) throw_errno("read", path_);
  const struct stat status = status_of(descriptor_, path_);
  if (S_ISDIR(status.st_mode))
    throw Fatal("cannot read " + path_ + ": it is a directory; name the files in it, as " + path_ + "/*");
  inode_ = status.st_ino;
  std::array<unsigned char, 2> magic{};
  if (::pread(descriptor_.get(), magic.data(), magic.size(), 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b) {
    inflater_ = std::make_unique<Inflater>();
  }
}

InputFile::InputFile(InputFile&&) noexcept = default;
InputFile& InputFile::operator=(InputFile&&) noexcept = default;
InputFile::~InputFile() = default;

std::size_t InputFile::read(char* to, std::size_t size) {
  const std::size_t got =
      inflater_ != nullptr ? inflater_->read(descriptor_, path_, to, size) : read_some(descriptor_, path_, to, size);
  offset_ += got;
  return got;
}

void InputFile::seek(std::uint64_t offset) {
  if (offset == offset_) return;
  if (inflater_ == nullptr) {
    if (::lseek(descriptor_.get(), static_cast<off_t>(offset), SEEK_SET) < 0) throw_errno("read", path_);
    offset_ = offset;
    return;
  }
  if (offset < offset_) {
    if (::lseek(descriptor_.get(), 0, SEEK_SET) < 0) throw_errno("read", path_);
    inflater_ = std::make_unique<Inflater>();
    offset_ = 0;
  }
  std::vector<char> passed(kChunk);
  while (offset_ < offset) {
    const auto left = static_cast<std::size_t>(std::min<std::uint64_t>(passed.size(), offset - offset_));
    if (read(passed.data(), left) == 0)
      throw Fatal("cannot go on with " + path_ + ": it is shorter than what was read of it");
  }
}

std::int64_t InputFile::changed_at() const {
  const timespec changed = status_of(descriptor_, path_).st_ctim;
  return changed.tv_sec * std::int64_t{1'000'000} + changed.tv_nsec / 1000;
}

std::uint64_t InputFile::size() const { return static_cast<std::uint64_t>(status_of(descriptor_, path_).st_size); }

}  // namespace weir::file
