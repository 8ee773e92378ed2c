// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::testing {

/// A run of the `weir` program under test. Destroying it kills it.
class Command {
 public:
  Command(const std::filesystem::path& folder, std::vector<std::string> argv, std::string_view input);
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  /// Waits until standard error holds `text`; false after 20 s.
  [[nodiscard]] bool says(std::string_view text) const;
  void signal(int number) const;
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Waits for its end: the exit code, 128 + signal, or -1 after 30 s.
  int wait();

  [[nodiscard]] std::string out() const;
  [[nodiscard]] std::string err() const;
  /// The last line on standard error.
  [[nodiscard]] std::string last_line() const;

 private:
  std::filesystem::path out_;
  std::filesystem::path err_;
  pid_t pid_ = -1;
};

/// `weir` in a folder of its own, with shell scripts in the place of weir-broker and weir-stage, and one library whose
/// description names three plugins: source "in", stage "work" (configuration {"x": integer}) and sink "out".
class FakeInstallation {
 public:
  FakeInstallation();
  ~FakeInstallation();

  /// What the broker does. The script finds the launcher's socket at descriptor 9, $data, $fresh (1 or ""), the number
  /// of its start in $start (1, 2, ...) and the function `say EVENT_JSON`; it may `read -u 9 line`.
  void broker_does(std::string_view script);
  /// What a worker does: it finds $stage, $worker and the number of its start in $start.
  void worker_does(std::string_view script);
  /// What `weir-stage --describe LIBRARY` does, instead of naming the three plugins; it finds $library.
  void describe_does(std::string_view script);
  /// What it does first, in a shell.
  void before_it_describes(std::string_view script);
  /// The broker is weir-broker itself.
  void use_real_broker() { real_broker_ = true; }
  void write(std::string_view name, std::string_view text) const;
  /// A topology "t" of the stages a (in), b (work, two workers) and c (out).
  void write_topology(std::string_view name) const;

  /// Starts `weir` in folder().
  [[nodiscard]] std::unique_ptr<Command> weir(std::vector<std::string> arguments, std::string_view input = "") const;
  /// Starts another program there.
  [[nodiscard]] std::unique_ptr<Command> program(std::vector<std::string> argv, std::string_view input) const;
  /// Waits for a file; false after 20 s.
  [[nodiscard]] bool comes(std::string_view name) const;
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::string read(std::string_view name) const;
  [[nodiscard]] bool exists(std::string_view name) const { return std::filesystem::exists(folder_ / name); }

 private:
  void write_programs() const;

  std::filesystem::path folder_;
  bool real_broker_ = false;
  std::string broker_script_ = "exit 1";
  std::string worker_script_ = "exec sleep 1000";
  std::string describe_script_;
  std::string before_describing_;
};

}  // namespace weir::testing
