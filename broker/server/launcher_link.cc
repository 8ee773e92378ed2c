// SPDX-License-Identifier: Apache-2.0
#include "broker/server/launcher_link.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

namespace weir::server {

namespace {
constexpr std::size_t kLineBytesMax = 1 << 20;
}

LauncherLink::LauncherLink(int descriptor) : descriptor_(descriptor) {
  if (descriptor_ < 0) return;
  fcntl(descriptor_, F_SETFD, FD_CLOEXEC);
}

LauncherLink::~LauncherLink() {
  if (descriptor_ >= 0) close(descriptor_);
}

void LauncherLink::say(const nlohmann::ordered_json& event) {
  if (descriptor_ < 0) return;
  const std::string line = event.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  std::size_t sent = 0;
  while (sent < line.size()) {
    const ssize_t done = ::send(descriptor_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (done > 0) {
      sent += static_cast<std::size_t>(done);
    } else if (errno != EINTR) {
      return;  // the launcher is gone, which receive() will find out
    }
  }
}

bool LauncherLink::receive(const std::function<void(const nlohmann::ordered_json&)>& handle) {
  if (descriptor_ < 0) return true;
  char bytes[4096];
  while (true) {
    const ssize_t got = ::recv(descriptor_, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (got <= 0) return false;
    partial_.append(bytes, static_cast<std::size_t>(got));
    for (std::size_t end = partial_.find('\n'); end != std::string::npos; end = partial_.find('\n')) {
      const auto object = nlohmann::ordered_json::parse(partial_.substr(0, end), nullptr, false);
      partial_.erase(0, end + 1);
      if (object.is_object()) handle(object);
    }
    if (partial_.size() > kLineBytesMax) return false;
  }
}

}  // namespace weir::server
