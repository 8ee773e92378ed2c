// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <random>
#include <vector>

#include "sdk/base/bytes.h"

namespace weir::fuzz {

/// Inputs near those of `pool`: bits flipped, numbers replaced, pieces cut, doubled, inserted, and joined with those of
/// another. The same seed gives the same inputs everywhere.
class Mutation {
 public:
  Mutation(const std::vector<Bytes>& pool, std::uint64_t seed) : pool_(pool), random_(seed) {}
  Bytes next();

 private:
  void hit(Bytes& bytes);
  [[nodiscard]] std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }
  [[nodiscard]] Bytes piece_of(const Bytes& bytes);

  const std::vector<Bytes>& pool_;
  std::mt19937_64 random_;
};

}  // namespace weir::fuzz
