// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/seed_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/fuzz.h"

namespace weir::fuzz {

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Bytes read_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  WEIR_CHECK(in.good(), fmt::format("cannot read {}", file));
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const BytesView bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

bool write_seeds(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::size_t number = 0;
  for (const Bytes& seed : seeds()) {
    const std::string file = fmt::format("{}/seed-{:03}", folder, number++);
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(seed.data()), static_cast<std::streamsize>(seed.size()));
    if (!out.flush()) {
      fmt::print(stderr, "cannot write {}\n", file);
      return false;
    }
  }
  return true;
}

}  // namespace weir::fuzz
