// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace weir::server {

/// The socket pair that a launcher left to the broker: one JSON object a line, each way (broker/README.md lists them).
/// Thread: the server's.
class LauncherLink {
 public:
  /// `descriptor` -1: nobody launched this broker; what is said goes nowhere.
  explicit LauncherLink(int descriptor);
  ~LauncherLink();
  LauncherLink(const LauncherLink&) = delete;
  LauncherLink& operator=(const LauncherLink&) = delete;

  void say(const nlohmann::ordered_json& event);
  /// Reads what is there and calls `handle` for each object. False once the launcher is gone.
  bool receive(const std::function<void(const nlohmann::ordered_json&)>& handle);
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
  std::string partial_;
};

}  // namespace weir::server
