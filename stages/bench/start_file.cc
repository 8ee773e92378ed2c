// SPDX-License-Identifier: Apache-2.0
#include "stages/bench/start_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "stages/bench/clock.h"
#include "weir/context.h"

namespace weir::bench {

std::uint64_t write_start(const std::string& path) {
  const std::uint64_t now = now_ns();
  const std::string text = "{\"started_ns\": " + std::to_string(now) + "}\n";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST) return now;
  const bool written = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) ::close(fd);
  if (!written) throw Fatal(path + " cannot be written");
  return now;
}

}  // namespace weir::bench
