// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "broker/server/journal_tool.h"
#include "broker/server/offline.h"
#include "broker/server/server.h"
#include "sdk/base/heap.h"
#include "sdk/base/log.h"
#include "sdk/base/standard_output.h"
#include "sdk/topology/resolved_file.h"

namespace {

using weir::server::Exit;

struct Options {
  std::string topology;
  std::string file;
  std::string data;
  std::string listen;
  std::string http;
  std::string read;
  std::string stream;
  std::string journal;
  std::string to;
  std::string log_level = "info";
  std::uint64_t count = 0;
  std::uint64_t from = 0;
  bool json = false;
  int launcher = -1;
  bool fresh = false;
  std::string served;
};

void define(CLI::App& app, Options& options) {
  app.set_version_flag("--version", "weir-broker " WEIR_VERSION);
  app.add_option("--topology", options.topology, "The topology as the launcher resolved it");
  app.add_option("--file", options.file, "The topology's file as resolved, for /api/topology");
  app.add_option("--data", options.data, "Data directory")->required();
  app.add_option("--listen", options.listen, "tcp://host:port instead of ipc sockets in the data directory");
  app.add_option("--http", options.http, "host:port of the HTTP port, instead of the topology's");
  app.add_flag("--fresh", options.fresh, "Delete what a topology has left in the directory, and start over");
  app.add_option("--served", options.served,
                 "The journal that was served there before in this run: without it no new one is begun");
  app.add_option("--launcher-fd", options.launcher, "A socket that the launcher has left open");
  app.add_option("--read", options.read,
                 "Print \"status\", \"tail\" or \"dead-letters\" of a directory at rest, and end");
  app.add_option("--stream", options.stream, "With --read tail: which stream");
  app.add_option("--count", options.count, "With --read tail or --journal dump: at most so many records or entries");
  app.add_option("--journal", options.journal,
                 "\"check\", \"dump\" or \"salvage\" the journal of a directory at rest, and end");
  app.add_flag("--json", options.json, "With --journal: print JSON");
  app.add_option("--from", options.from, "With --journal dump: from this sequence on");
  app.add_option("--to", options.to, "With --journal salvage: the new data directory");
  app.add_option("--log-level", options.log_level, "debug, info, warning or error");
}

std::optional<std::string> text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

int serve(const Options& options) {
  weir::keep_freed_memory();
  weir::server::LauncherLink launcher(options.launcher);
  const auto fail = [&](const weir::Error& error) {
    if (launcher.descriptor() >= 0) {
      launcher.say(
          {{"event", "failed"}, {"reason", error.message}, {"code", std::string(weir::to_string(error.code))}});
    } else {
      weir::log::error("{}", error.message);
    }
    return static_cast<int>(Exit::kRefused);
  };
  const auto text = text_of(options.topology);
  if (!text) return fail({weir::Code::kNotFound, "cannot read the resolved topology " + options.topology});
  const auto topology = weir::decode_resolved(*text);
  if (!topology.ok()) return fail(topology.error());
  weir::server::ServerOptions server_options;
  if (!options.file.empty()) {
    auto file = text_of(options.file);
    if (!file) return fail({weir::Code::kNotFound, "cannot read the topology's file as resolved " + options.file});
    server_options.file = *std::move(file);
  }
  server_options.data_dir = options.data;
  server_options.fresh = options.fresh;
  if (!options.served.empty()) {
    server_options.served = weir::server::DataDir::parse_seed(options.served);
    if (!server_options.served) {
      return fail({weir::Code::kInvalid, "--served " + options.served + " is not the 16 hex digits of a journal"});
    }
  }
  server_options.listen = options.listen.empty() ? topology->broker.listen : options.listen;
  server_options.http = options.http.empty() ? topology->http : std::optional<std::string>(options.http);
  server_options.http_or_any = options.http.empty() && topology->http_is_default;
  auto server = weir::server::Server::open(*topology, server_options, launcher);
  if (!server.ok()) return fail(server.error());
  return static_cast<int>((*server)->run());
}

/// How a program ends that ended with `code`: what it printed must have got there.
int printed(int code) {
  const weir::Status status = weir::flush_standard_output();
  if (status.ok() || code != 0) return code;
  std::fprintf(stderr, "weir-broker: %s\n", status.error().message.c_str());
  return static_cast<int>(Exit::kRefused);
}

/// Many connections are many files: as many as may be.
void permit_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("weir-broker: persists a topology's queues and hands their shards to workers");
  Options options;
  define(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(Exit::kUsage);
  }
  if (!weir::log::start("broker", options.log_level)) {
    std::fprintf(stderr, "weir-broker: --log-level: \"%s\" is none of debug, info, warning, error\n",
                 options.log_level.c_str());
    return static_cast<int>(Exit::kUsage);
  }
  if (!options.read.empty()) {
    const weir::Status status = weir::server::read_offline(options.read, options.data, options.stream, options.count);
    if (status.ok()) return printed(0);
    std::fprintf(stderr, "weir-broker: %s\n", status.error().message.c_str());
    if (status.error().code == weir::Code::kInUse) return static_cast<int>(Exit::kInUse);
    return status.error().code == weir::Code::kInvalid ? static_cast<int>(Exit::kUsage)
                                                       : static_cast<int>(Exit::kRefused);
  }
  if (!options.journal.empty()) {
    const std::optional<std::uint64_t> count =
        options.count == 0 ? std::nullopt : std::optional<std::uint64_t>(options.count);
    return printed(
        weir::server::run_journal_tool({options.journal, options.data, options.json, options.from, count, options.to}));
  }
  if (options.topology.empty()) {
    std::fprintf(stderr,
                 "weir-broker: --topology is required (`weir run` resolves a topology and starts the broker)\n");
    return static_cast<int>(Exit::kUsage);
  }
  permit_open_files();
  return serve(options);
}
