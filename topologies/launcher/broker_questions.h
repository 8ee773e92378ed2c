// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sdk/base/result.h"
#include "sdk/client/client_connection.h"
#include "sdk/wire/map.h"
#include "topologies/launcher/programs.h"

namespace weir::launcher {

/// The broker that runs on a data directory, asked at its ROUTER. One thread at a time.
class RunningBroker {
 public:
  /// Waits for one that is just starting, at most 10 s. Errors: kNotFound where none runs; kUnavailable; kCorrupt.
  static Result<RunningBroker> find(const std::string& data_dir);
  /// One question, one answer; while a long deadline passes in silence a person is told on standard error. Errors:
  /// kNotFound when the broker ended meanwhile; kUnavailable when no answer came in time; kRefused with the broker's
  /// sentence.
  Result<Bytes> ask(BytesView request, std::chrono::milliseconds deadline = std::chrono::seconds(10));

 private:
  RunningBroker(std::string data_dir, client::ClientConnection connection)
      : data_dir_(std::move(data_dir)), connection_(std::move(connection)) {}
  std::string data_dir_;
  client::ClientConnection connection_;
};

/// Asks the running broker on `data_dir` for what only a running topology `does` ("replays"); where none runs the error
/// says so, and `how` one is started for it beside plain `weir run`. Errors: those of RunningBroker.
Result<wire::MapReader> ask_running(const std::string& data_dir, BytesView request, std::string_view does,
                                    std::string_view how, std::chrono::milliseconds deadline);

/// The same for what may be said twice: a broker that dies over it answers nobody, so its successor is asked again.
/// Errors say how long was asked in all, at most about 8 s where a broker is there.
Result<wire::MapReader> ask_running_again(const std::string& data_dir, BytesView request, std::string_view does,
                                          std::string_view how);

/// The broker's answer to `op` ("status", "dead_letters"), JSON text: from the one that runs on `data_dir`, or read
/// from the directory where none does. Errors: kUnavailable, kRefused, kIo with a sentence.
Result<std::string> ask_broker(const std::string& data_dir, const std::string& op, const Programs& programs);

/// Runs `weir-broker --read WHAT --data DATA_DIR ARGUMENTS...` and hands on what it prints, line by line as it comes.
/// Errors: kIo with the broker's sentence.
Status read_stopped(const std::string& data_dir, const std::string& what, const std::vector<std::string>& arguments,
                    const Programs& programs, const std::function<void(std::string_view)>& take);

}  // namespace weir::launcher
