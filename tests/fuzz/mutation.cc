// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/mutation.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace weir::fuzz {
namespace {

constexpr std::size_t kBytesMax = 256 << 10;
constexpr std::size_t kPieceMax = 64;

// Where counts, sizes and signs turn over.
constexpr std::array<std::uint64_t, 14> kNumbers = {0,          1,         0x7f,       0x80,       0xff,
                                                    0x7fff,     0x8000,    0xffff,     0x7fffffff, 0x80000000,
                                                    0xffffffff, INT64_MAX, 1ULL << 63, UINT64_MAX};

std::ptrdiff_t at(std::size_t index) { return static_cast<std::ptrdiff_t>(index); }

}  // namespace

Bytes Mutation::next() {
  Bytes bytes = pool_[below(pool_.size())];
  for (std::size_t hits = 1 + below(4); hits > 0; --hits) hit(bytes);
  if (bytes.size() > kBytesMax) bytes.resize(kBytesMax);
  return bytes;
}

Bytes Mutation::piece_of(const Bytes& bytes) {
  const std::size_t from = below(bytes.size());
  const std::size_t size = std::min(bytes.size() - from, 1 + below(kPieceMax));
  return {bytes.begin() + at(from), bytes.begin() + at(from + size)};
}

void Mutation::hit(Bytes& bytes) {
  if (bytes.empty()) bytes.push_back(std::byte{0});
  const std::size_t place = below(bytes.size());
  switch (below(8)) {
    case 0:
      bytes[place] ^= static_cast<std::byte>(1U << below(8));
      return;
    case 1:
      bytes[place] = static_cast<std::byte>(random_());
      return;
    case 2: {
      const std::uint64_t number = kNumbers[below(kNumbers.size())];
      std::memcpy(bytes.data() + place, &number, std::min(std::size_t{1} << below(4), bytes.size() - place));
      return;
    }
    case 3: {  // a number that nearly fits
      std::uint32_t number = 0;
      const std::size_t size = std::min(sizeof(number), bytes.size() - place);
      std::memcpy(&number, bytes.data() + place, size);
      number += static_cast<std::uint32_t>(below(9)) - 4;
      std::memcpy(bytes.data() + place, &number, size);
      return;
    }
    case 4:
      bytes.resize(place);
      return;
    case 5: {
      const std::size_t size = std::min(bytes.size() - place, 1 + below(kPieceMax));
      bytes.erase(bytes.begin() + at(place), bytes.begin() + at(place + size));
      return;
    }
    case 6: {
      const Bytes piece = piece_of(below(2) == 0 ? bytes : pool_[below(pool_.size())]);
      bytes.insert(bytes.begin() + at(place), piece.begin(), piece.end());
      return;
    }
    default: {  // the beginning of one, the end of another
      const Bytes& other = pool_[below(pool_.size())];
      const std::size_t from = below(other.size());
      bytes.resize(place);
      bytes.insert(bytes.end(), other.begin() + at(from), other.end());
      return;
    }
  }
}

}  // namespace weir::fuzz
