// SPDX-License-Identifier: Apache-2.0
#include "sdk/client/endpoint_file.h"

#include <signal.h>

#include <cerrno>
#include <fstream>
#include <iterator>

#include "sdk/wire/map.h"
#include "weir/json_reader.h"

namespace weir::client {

Result<EndpointFile> read_endpoint(const std::string& data_dir) {
  const std::string path = data_dir + "/endpoint.json";
  std::ifstream file(path, std::ios::binary);
  if (!file) return {Code::kNotFound, "nothing is running on " + data_dir};
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::string packed;
  if (!JsonReader().read(text, packed)) return {Code::kCorrupt, path + " is damaged"};
  const Result<wire::MapReader> map = wire::MapReader::parse(as_bytes(packed));
  if (!map) return {Code::kCorrupt, path + " is damaged"};
  EndpointFile endpoint{static_cast<pid_t>(map->integer("pid", -1)), map->text("broker"), map->text("http"),
                        map->text("topology")};
  if (endpoint.pid <= 0 || endpoint.broker.empty()) return {Code::kCorrupt, path + " is damaged"};
  if (::kill(endpoint.pid, 0) != 0 && errno == ESRCH)
    return {Code::kNotFound, "nothing is running on " + data_dir + " (its broker died)"};
  return endpoint;
}

bool is_endpoint(const std::string& where) { return where.starts_with("ipc://") || where.starts_with("tcp://"); }

}  // namespace weir::client
