// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "sdk/base/result.h"

namespace weir::server {

struct HttpAnswer {
  int status = 200;
  std::string type = "application/json";
  std::string body;
};

/// The broker's one HTTP port: health, metrics and status, read only. Each request is answered by the server's thread,
/// through `answer`; the port's own threads only carry bytes.
/// Threads: those of the HTTP library, owned by this object.
class Http {
 public:
  /// Called on a thread of the port with a path; must come back within its own deadline.
  using Answer = std::function<HttpAnswer(const std::string& path)>;

  /// `listen`: host:port, port 0 takes a free one; `or_any`: a free one also where the port is taken.
  /// Errors: kInUse with a sentence, kInvalid.
  static Result<std::unique_ptr<Http>> open(const std::string& listen, bool or_any, const Answer& answer);
  virtual ~Http() = default;
  /// http://host:port
  [[nodiscard]] virtual std::string address() const = 0;
};

}  // namespace weir::server
