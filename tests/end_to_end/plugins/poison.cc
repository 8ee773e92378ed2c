// SPDX-License-Identifier: Apache-2.0
// A stage that does to its worker what each record says, until a file says that all is mended.
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "weir/library.h"
#include "weir/stage.h"

namespace {

class Poison final : public weir::Stage {
 public:
  static constexpr bool kKeyed = false;
  static constexpr std::string_view kSchema =
      R"({"type": "object", "properties": {"mended": {"type": "string", "format": "path"}}})";

  explicit Poison(const weir::Config& config) : mended_(config.get<std::string>("/mended", "")) {}

  void process(const weir::RecordView& in, weir::Context& out) override {
    const auto does = in.value<std::string>();
    if (does.starts_with("poison ") && (mended_.empty() || !std::filesystem::exists(mended_))) act(does.substr(7), out);
    out.emit(in.key(), does);
  }

 private:
  /// A peer that has hung up: an error of the write, unless a library wants the signal.
  static void write_to_nobody() {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
    ::close(ends[0]);
    const bool written = ::write(ends[1], "x", 1) == 1;
    const int error = errno;
    ::close(ends[1]);
    if (!written) throw std::system_error(error, std::generic_category());
  }

  static void act(const std::string& does, weir::Context& out) {
    if (does == "throw") throw std::runtime_error("it tastes bad");
    if (does == "loop") {
      for (volatile bool forever = true; forever;) {
      }
    }
    for (const auto& [name, number] :
         {std::pair("segv", SIGSEGV), std::pair("abort", SIGABRT), std::pair("bus", SIGBUS), std::pair("fpe", SIGFPE),
          std::pair("ill", SIGILL), std::pair("trap", SIGTRAP), std::pair("sys", SIGSYS), std::pair("xcpu", SIGXCPU),
          std::pair("xfsz", SIGXFSZ)}) {
      if (does == name) std::raise(number);
    }
    if (does == "pipe") write_to_nobody();
    if (does == "wanted pipe") {
      std::signal(SIGPIPE, SIG_DFL);
      write_to_nobody();
    }
    if (does == "kill") ::kill(::getpid(), SIGKILL);
    if (does == "exit") std::_Exit(3);
    if (does == "exit well") std::_Exit(0);
    if (does == "allocate") {
      std::vector<std::string> hoard;
      while (true) hoard.emplace_back(1 << 20, 'x');
    }
    if (does == "emit") {
      while (true) out.emit(nullptr, std::string(1000, 'x'));
    }
  }

  std::string mended_;
};

/// Passes records on, and never comes to its end.
class HangsInFinish final : public weir::Stage {
 public:
  static constexpr bool kKeyed = false;
  void process(const weir::RecordView& in, weir::Context& out) override { out.emit(in.key(), in.value<std::string>()); }
  void finish(weir::Context&) override {
    for (volatile bool forever = true; forever;) {
    }
  }
};

}  // namespace

WEIR_LIBRARY(weir::stage<Poison>("test.poison"), weir::stage<HangsInFinish>("test.hangs_in_finish"));
