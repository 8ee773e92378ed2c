// SPDX-License-Identifier: Apache-2.0
// A stage that does to its worker what each record says, until a file says that all is mended.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <string>
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
  static void act(const std::string& does, weir::Context& out) {
    if (does == "throw") throw std::runtime_error("it tastes bad");
    if (does == "loop") {
      for (volatile bool forever = true; forever;) {
      }
    }
    for (const auto& [name, number] : {std::pair("segv", SIGSEGV), std::pair("abort", SIGABRT),
                                       std::pair("bus", SIGBUS), std::pair("fpe", SIGFPE), std::pair("ill", SIGILL)}) {
      if (does == name) std::raise(number);
    }
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
