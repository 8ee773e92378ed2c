// SPDX-License-Identifier: Apache-2.0
#include "sdk/base/bytes.h"

#include <array>

namespace weir {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // Castagnoli, reflected

constexpr std::array<std::array<std::uint32_t, 256>, 8> make_tables() {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][i] = crc;
  }
  for (std::uint32_t i = 0; i < 256; ++i) {
    for (std::size_t t = 1; t < 8; ++t) tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xFF];
  }
  return tables;
}

constexpr auto kTables = make_tables();

std::uint32_t crc32c_tables(std::uint32_t crc, const std::byte* at, std::size_t size) {
  while (size >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    word ^= crc;
    crc = kTables[7][word & 0xFF] ^ kTables[6][(word >> 8) & 0xFF] ^ kTables[5][(word >> 16) & 0xFF] ^
          kTables[4][(word >> 24) & 0xFF] ^ kTables[3][(word >> 32) & 0xFF] ^ kTables[2][(word >> 40) & 0xFF] ^
          kTables[1][(word >> 48) & 0xFF] ^ kTables[0][word >> 56];
    at += 8;
    size -= 8;
  }
  for (; size != 0; --size, ++at) crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<std::uint32_t>(*at)) & 0xFF];
  return crc;
}

#if defined(__x86_64__)
/// What a CRC becomes behind so many zero bytes, as four tables by its bytes: the CRC of the second half of a text is
/// that of the first, moved over the second's length, and the second's own, added (both without inversion).
template <std::size_t kZeros>
struct Moved {
  std::array<std::array<std::uint32_t, 256>, 4> tables{};

  constexpr Moved() {
    // By bits: a CRC is linear, so what one bit becomes is enough.
    std::array<std::uint32_t, 32> bits{};
    for (std::uint32_t bit = 0; bit < 32; ++bit) {
      std::uint32_t crc = 1U << bit;
      for (std::size_t i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
      bits[bit] = crc;
    }
    // `bits` moves over one byte; squared again and again it moves over a power of two.
    static_assert((kZeros & (kZeros - 1)) == 0);
    for (std::size_t bytes = 1; bytes < kZeros; bytes *= 2) {
      std::array<std::uint32_t, 32> squared{};
      for (std::uint32_t bit = 0; bit < 32; ++bit) squared[bit] = apply(bits, bits[bit]);
      bits = squared;
    }
    for (std::uint32_t byte = 0; byte < 4; ++byte) {
      for (std::uint32_t value = 0; value < 256; ++value) tables[byte][value] = apply(bits, value << (8 * byte));
    }
  }

  static constexpr std::uint32_t apply(const std::array<std::uint32_t, 32>& bits, std::uint32_t crc) {
    std::uint32_t moved = 0;
    for (std::uint32_t bit = 0; crc != 0; ++bit, crc >>= 1) moved ^= (crc & 1) != 0 ? bits[bit] : 0;
    return moved;
  }

  [[nodiscard]] std::uint32_t operator()(std::uint64_t crc) const {
    return tables[0][crc & 0xFF] ^ tables[1][(crc >> 8) & 0xFF] ^ tables[2][(crc >> 16) & 0xFF] ^
           tables[3][(crc >> 24) & 0xFF];
  }
};

/// So many bytes in each of three rows: the instruction takes three cycles and may begin in each.
constexpr std::size_t kRow = 4096;
constexpr Moved<kRow> kMovedRow;

__attribute__((target("sse4.2"))) std::uint32_t crc32c_hardware(std::uint32_t crc, const std::byte* at,
                                                                std::size_t size) {
  std::uint64_t wide = crc;
  while (size >= 3 * kRow) {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < kRow; i += 8) {
      std::uint64_t words[3];
      std::memcpy(&words[0], at + i, 8);
      std::memcpy(&words[1], at + kRow + i, 8);
      std::memcpy(&words[2], at + 2 * kRow + i, 8);
      wide = __builtin_ia32_crc32di(wide, words[0]);
      second = __builtin_ia32_crc32di(second, words[1]);
      third = __builtin_ia32_crc32di(third, words[2]);
    }
    wide = kMovedRow(kMovedRow(wide) ^ second) ^ third;
    at += 3 * kRow;
    size -= 3 * kRow;
  }
  while (size >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    wide = __builtin_ia32_crc32di(wide, word);
    at += 8;
    size -= 8;
  }
  crc = static_cast<std::uint32_t>(wide);
  for (; size != 0; --size, ++at) crc = __builtin_ia32_crc32qi(crc, static_cast<unsigned char>(*at));
  return crc;
}
#endif

}  // namespace

std::uint32_t crc32c(std::uint32_t seed, BytesView bytes) {
#if defined(__x86_64__)
  static const bool hardware = __builtin_cpu_supports("sse4.2") != 0;
  if (hardware) return ~crc32c_hardware(~seed, bytes.data(), bytes.size());
#endif
  return ~crc32c_tables(~seed, bytes.data(), bytes.size());
}

}  // namespace weir
