// SPDX-License-Identifier: Apache-2.0
#include "sdk/client/endpoint_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "sdk/base/file_lock.h"
#include "sdk/wire/map.h"
#include "weir/json_reader.h"

namespace weir::client {
namespace {

/// Whether a broker holds the directory. Its process id would not tell: a killed one keeps it until its parent has
/// looked, and then another program may get it.
bool is_held(const std::string& data_dir) {
  const int lock = ::open((data_dir + "/lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (lock < 0) return false;
  const bool held = held_by_others(lock) == FileLock::kExclusive;
  ::close(lock);
  return held;
}

}  // namespace

Result<EndpointFile> read_endpoint(const std::string& data_dir) {
  const std::string path = data_dir + "/endpoint.json";
  std::ifstream file(path, std::ios::binary);
  if (!file && is_held(data_dir)) return {Code::kUnavailable, "the broker on " + data_dir + " is starting or ending"};
  if (!file) return {Code::kNotFound, "nothing is running on " + data_dir};
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::string packed;
  if (!JsonReader().read(text, packed)) return {Code::kCorrupt, path + " is damaged"};
  const Result<wire::MapReader> map = wire::MapReader::parse(as_bytes(packed));
  if (!map) return {Code::kCorrupt, path + " is damaged"};
  EndpointFile endpoint{static_cast<pid_t>(map->integer("pid", -1)), map->text("broker"), map->text("http"),
                        map->text("topology")};
  if (endpoint.pid <= 0 || endpoint.broker.empty()) return {Code::kCorrupt, path + " is damaged"};
  if (!is_held(data_dir)) return {Code::kNotFound, "nothing is running on " + data_dir + " (its broker died)"};
  return endpoint;
}

bool is_endpoint(const std::string& where) { return where.starts_with("ipc://") || where.starts_with("tcp://"); }

}  // namespace weir::client
