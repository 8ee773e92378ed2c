// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/direct_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <new>

namespace weir::journal {

namespace {

/// File systems that take O_DIRECT and copy into the page cache all the same, some or all of the time.
constexpr std::uint32_t kCopying[] = {
    TMPFS_MAGIC, RAMFS_MAGIC, BTRFS_SUPER_MAGIC,
    0x2FC12FC1,  // ZFS
};

bool copies(int descriptor) {
  struct statfs facts {};
  if (::fstatfs(descriptor, &facts) != 0) return true;
  return std::find(std::begin(kCopying), std::end(kCopying), static_cast<std::uint32_t>(facts.f_type)) !=
         std::end(kCopying);
}

}  // namespace

DirectWriter::~DirectWriter() { close(); }

bool DirectWriter::open(int descriptor) {
  if (refused_) return false;
  if (of_ == descriptor) return true;
  close();
  try {
    if (!page_) page_.emplace();
  } catch (const std::bad_alloc&) {
    return false;
  }
  refused_ = copies(descriptor);
  if (refused_) return false;
  // The open file itself, whatever its name is by now.
  direct_ = ::open(fmt::format("/proc/self/fd/{}", descriptor).c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
  if (direct_ < 0) {
    // Without descriptors left it may go the next time; any other answer stays the same.
    refused_ = errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != EINTR;
    return false;
  }
  of_ = descriptor;
  return true;
}

void DirectWriter::close() {
  if (direct_ >= 0) ::close(direct_);
  of_ = direct_ = -1;
}

void DirectWriter::forget(int descriptor) {
  // Nobody writes a file that is being closed, so it cannot become this one meanwhile.
  if (of_ != descriptor) return;
  const std::scoped_lock lock(mutex_);
  if (of_ == descriptor) close();
}

std::optional<DirectWriter::Outcome> DirectWriter::write(int descriptor, std::uint64_t offset,
                                                         std::span<const BytesView> parts) {
  const std::scoped_lock lock(mutex_);
  if (!open(descriptor)) return std::nullopt;
  const std::span<std::byte> page = page_->bytes();
  Outcome outcome;
  std::size_t filled = 0;
  const auto flush = [&] {
    for (std::size_t done = 0; done < filled && outcome.error == 0;) {
      const ssize_t wrote =
          ::pwrite(direct_, page.data() + done, filled - done, static_cast<off_t>(offset + outcome.bytes));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) {
        outcome.error = wrote < 0 ? errno : ENOSPC;
        break;
      }
      done += static_cast<std::size_t>(wrote);
      outcome.bytes += static_cast<std::uint64_t>(wrote);
    }
    filled = 0;
  };
  for (BytesView part : parts) {
    while (!part.empty() && outcome.error == 0) {
      const std::size_t size = std::min(part.size(), page.size() - filled);
      std::memcpy(page.data() + filled, part.data(), size);
      filled += size;
      part = part.subspan(size);
      if (filled == page.size()) flush();
    }
  }
  flush();
  // Some file systems take the flag and then no write.
  refused_ = outcome.error == EINVAL || outcome.error == EOPNOTSUPP;
  if (refused_) return std::nullopt;
  return outcome;
}

}  // namespace weir::journal
