// SPDX-License-Identifier: Apache-2.0
// Runs a target without libFuzzer: its seeds, every file of its corpus, and so many mutations of both.
//
//     fuzz_TARGET CORPUS MUTATIONS [SEED]     what ctest runs
//     fuzz_TARGET FILE...                     those inputs only
//     fuzz_TARGET --seeds FOLDER              writes the seeds there
//
// An input that ends the process, or takes longer than a while, is left in fuzz_TARGET.failed beside the program.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mutation.h"
#include "tests/fuzz/seed_files.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace {

using weir::Bytes;
using weir::BytesView;

constexpr unsigned kSecondsMax = 20;

// What the signal handler knows: it may not allocate.
std::string failed_file;  // NOLINT
BytesView current;

void leave_input() {
  std::FILE* file = std::fopen(failed_file.c_str(), "wb");
  if (file == nullptr) return;
  (void)std::fwrite(current.data(), 1, current.size(), file);
  (void)std::fclose(file);
  std::fprintf(stderr, "the input of %zu bytes is in %s\n", current.size(), failed_file.c_str());
}

void on_signal(int number) {
  if (number == SIGALRM) std::fprintf(stderr, "an input took more than %u s\n", kSecondsMax);
  leave_input();
  (void)signal(number == SIGALRM ? SIGABRT : number, SIG_DFL);
  (void)raise(number == SIGALRM ? SIGABRT : number);
}

void run(const Bytes& input) {
  // In a block of exactly its size, so that a sanitizer sees what is read behind it.
  const std::unique_ptr<std::byte[]> block(new std::byte[input.size()]);
  std::copy(input.begin(), input.end(), block.get());
  current = {block.get(), input.size()};
  (void)alarm(kSecondsMax);
  (void)LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(block.get()), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "--seeds") return weir::fuzz::write_seeds(argv[2]) ? 0 : 1;
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS MUTATIONS [SEED] | FILE... | --seeds FOLDER\n", argv[0]);
    return 2;
  }
  failed_file = std::string(argv[0]) + ".failed";
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) (void)signal(number, on_signal);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_set_death_callback(leave_input);
#endif
  if (!std::filesystem::is_directory(argv[1]) && std::filesystem::exists(argv[1])) {
    for (int i = 1; i < argc; ++i) run(weir::fuzz::read_file(argv[i]));
    return 0;
  }
  const auto began = std::chrono::steady_clock::now();
  std::vector<Bytes> pool = weir::fuzz::seeds();
  const std::size_t made = pool.size();
  for (const std::string& file : weir::fuzz::files_in(argv[1])) pool.push_back(weir::fuzz::read_file(file));
  for (const Bytes& input : pool) run(input);
  const std::uint64_t mutations = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  weir::fuzz::Mutation mutation(pool, argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1);
  for (std::uint64_t i = 0; i < mutations; ++i) run(mutation.next());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  fmt::print("{} seeds, {} kept inputs, {} mutations in {:.1f} s\n", made, pool.size() - made, mutations, took.count());
  return 0;
}
