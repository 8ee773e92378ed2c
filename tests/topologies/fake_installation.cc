// SPDX-License-Identifier: Apache-2.0
#include "tests/topologies/fake_installation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>

namespace weir::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDescription = R"({"library": "LIBRARY", "plugins": [
  {"name": "in", "kind": "source"},
  {"name": "work", "kind": "stage", "schema": {"type": "object", "properties": {"x": {"type": "integer"}}}},
  {"name": "out", "kind": "sink"}]})";

std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Asks again and again, for at most `patience`.
bool wait_until(std::chrono::seconds patience, const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    ::usleep(5000);
  }
  return true;
}

/// `program` at `path` too: /proc/self/exe must lead there, so a symbolic link will not do.
void place(const char* program, const fs::path& path) {
  std::error_code across_disks;
  fs::create_hard_link(program, path, across_disks);
  if (across_disks) fs::copy_file(program, path);
}

}  // namespace

Command::Command(const fs::path& folder, std::vector<std::string> argv, std::string_view input) {
  static int number = 0;
  const std::string name = fmt::format("command{}", ++number);
  out_ = folder / (name + ".out");
  err_ = folder / (name + ".err");
  const fs::path in = folder / (name + ".in");
  std::ofstream(in, std::ios::binary) << input;
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (std::string& argument : argv) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ != 0) return;
  ::dup2(::open(in.c_str(), O_RDONLY), 0);
  ::dup2(::open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
  ::dup2(::open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
  if (::chdir(folder.c_str()) == 0) ::execv(arguments[0], arguments.data());
  ::_exit(126);
}

Command::~Command() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool Command::says(std::string_view text) const {
  return wait_until(std::chrono::seconds(20), [&] { return err().find(text) != std::string::npos; });
}

void Command::signal(int number) const { ::kill(pid_, number); }

int Command::wait() {
  int status = 0;
  const bool ended = wait_until(std::chrono::seconds(30), [&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; });
  if (!ended) return -1;
  pid_ = -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string Command::out() const { return read_all(out_); }
std::string Command::err() const { return read_all(err_); }

std::string Command::last_line() const {
  std::string text = err();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

FakeInstallation::FakeInstallation() {
  std::string path = (fs::temp_directory_path() / "weir-launcher-XXXXXX").string();
  folder_ = ::mkdtemp(path.data());
  fs::create_directories(folder_ / "bin");
  fs::create_directories(folder_ / "lib" / "weir");
  place(WEIR_PROGRAM, folder_ / "bin" / "weir");
  write("lib/weir/fake.so", "");
}

FakeInstallation::~FakeInstallation() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void FakeInstallation::broker_does(std::string_view script) { broker_script_ = script; }
void FakeInstallation::worker_does(std::string_view script) { worker_script_ = script; }
void FakeInstallation::describe_does(std::string_view script) { describe_script_ = script; }

void FakeInstallation::before_it_describes(std::string_view script) { before_describing_ = script; }

void FakeInstallation::write(std::string_view name, std::string_view text) const {
  std::ofstream(folder_ / name, std::ios::binary) << text;
}

void FakeInstallation::write_topology(std::string_view name) const {
  write(name, R"({
  "name": "t",
  "streams": { "x": {}, "y": {} },
  "stages": {
    "a": { "plugin": "in", "output": "x" },
    "b": { "plugin": "work", "input": "x", "output": "y", "workers": 2, "config": { "x": 1 } },
    "c": { "plugin": "out", "input": "y" }
  }
})");
}

void FakeInstallation::write_programs() const {
  const std::string count = R"(
count() { exec 8>>"$1.lock"; flock 8; start=$(( $(cat "$1" 2>/dev/null || echo 0) + 1 )); echo $start >"$1"; exec 8>&-; }
cd ')" + folder_.string() + "'\n";
  write("bin/weir-broker", R"(#!/bin/bash
arguments="$*"; data=; fresh=; topology=; fd=9
while [ $# -gt 0 ]; do
  case "$1" in
    --data) data=$2; shift ;; --topology) topology=$2; shift ;; --launcher-fd) fd=$2; shift ;; --fresh) fresh=1 ;;
  esac
  shift
done
)" + count + R"(
if [ $fd != 9 ]; then eval "exec 9<&$fd $fd<&-"; fi
echo "$arguments" >>broker.arguments
echo $$ >broker.pid.new; mv broker.pid.new broker.pid
say() { echo "$1" >&9; }
count broker.starts
)" + broker_script_ + "\n");
  const std::string describe = describe_script_.empty()
                                   ? "sed \"s#LIBRARY#$library#\" <<'E'\n" + std::string(kDescription) + "\nE\n"
                                   : describe_script_;
  write("bin/weir-stage", R"(#!/bin/bash
arguments="$*"; stage=; worker=
if [ "$1" = --describe ]; then
  library=$2
)" + before_describing_ + "\n" +
                              describe + R"(
  exit
fi
while [ $# -gt 0 ]; do
  case "$1" in --stage) stage=$2; shift ;; --worker) worker=$2; shift ;; esac
  shift
done
)" + count + R"(
echo "$arguments" >>"worker.$stage.$worker.arguments"
echo $$ >"worker.$stage.$worker.pid.new"; mv "worker.$stage.$worker.pid.new" "worker.$stage.$worker.pid"
count "worker.$stage.$worker.starts"
)" + worker_script_ + "\n");
  for (const char* program : {"bin/weir-broker", "bin/weir-stage"})
    fs::permissions(folder_ / program, fs::perms::owner_all);
  if (real_broker_) {
    fs::remove(folder_ / "bin" / "weir-broker");
    place(WEIR_BROKER_PROGRAM, folder_ / "bin" / "weir-broker");
  }
}

std::unique_ptr<Command> FakeInstallation::weir(std::vector<std::string> arguments, std::string_view input) const {
  if (!real_broker_ || !exists("bin/weir-broker")) write_programs();
  arguments.insert(arguments.begin(), folder_ / "bin" / "weir");
  return std::make_unique<Command>(folder_, std::move(arguments), input);
}

std::unique_ptr<Command> FakeInstallation::program(std::vector<std::string> argv, std::string_view input) const {
  return std::make_unique<Command>(folder_, std::move(argv), input);
}

bool FakeInstallation::comes(std::string_view name) const {
  return wait_until(std::chrono::seconds(20), [&] { return exists(name); });
}

std::string FakeInstallation::read(std::string_view name) const { return read_all(folder_ / name); }

}  // namespace weir::testing
