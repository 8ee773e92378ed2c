// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/library_hash.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#define XXH_INLINE_ALL
#include <string.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

namespace weir::wire {

Result<std::string> library_hash(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (file == nullptr) {
    return {errno == ENOENT ? Code::kNotFound : Code::kIo,
            fmt::format("the stage library {} cannot be read: {}", path, ::strerror(errno))};
  }
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), &XXH3_freeState);
  XXH3_128bits_reset(state.get());
  std::vector<char> buffer(1 << 20);
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), file.get()))
    XXH3_128bits_update(state.get(), buffer.data(), got);
  if (std::ferror(file.get()) != 0)
    return {Code::kIo, fmt::format("the stage library {} cannot be read: {}", path, ::strerror(errno))};
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

bool is_library_hash(std::string_view text) {
  return text.size() == 32 && std::all_of(text.begin(), text.end(), [](char digit) {
           return (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f');
         });
}

std::string join_libraries(const std::vector<std::string>& hashes) { return fmt::format("{}", fmt::join(hashes, ",")); }

bool libraries_fit(std::string_view running, std::string_view wanted) {
  const auto take_first = [](std::string_view& list) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view first = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    return first;
  };
  while (!wanted.empty()) {
    const std::string_view want = take_first(wanted);
    if (const std::string_view runs = take_first(running); !want.empty() && want != runs) return false;
  }
  return true;
}

}  // namespace weir::wire
