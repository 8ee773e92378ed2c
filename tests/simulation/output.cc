// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/output.h"

namespace weir::simulation {
namespace {

std::string at(std::uint64_t key, std::uint64_t count) {
  return " (key " + std::to_string(key) + ", count " + std::to_string(count) + ")";
}

}  // namespace

std::string Output::add(std::uint64_t index, std::uint64_t count, std::uint64_t sum) {
  Key& key = keys_[index];
  if (key.finished) return "a record came behind its key's total" + at(index, count);
  if (count != key.count + 1 || sum < key.sum)
    return "the target has a record twice or lacks one (I1)" + at(index, count);
  key.numbers.push_back(sum - key.sum);
  key.count = count;
  key.sum = sum;
  return "";
}

std::string Output::finish(std::uint64_t index, std::uint64_t count, std::uint64_t sum) {
  Key& key = keys_[index];
  if (key.finished) return "a shard was finished twice" + at(index, count);
  key.finished = true;
  return count == key.count && sum == key.sum ? "" : "a total is wrong" + at(index, count);
}

}  // namespace weir::simulation
