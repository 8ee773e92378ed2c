// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "sdk/base/result.h"

namespace weir::client {

/// DIR/endpoint.json: how to reach the broker that runs on a data directory. Written by the broker, removed at its end.
struct EndpointFile {
  pid_t pid = -1;
  std::string broker;  ///< where its ROUTER listens
  std::string http;    ///< "" where there is none
  std::string topology;
};

/// Errors: kNotFound where no broker holds `data_dir`, also if one left its file behind; kUnavailable where one is
/// about to start (or to end); kCorrupt.
Result<EndpointFile> read_endpoint(const std::string& data_dir);

/// Whether `where` is an endpoint and no path.
bool is_endpoint(const std::string& where);

}  // namespace weir::client
