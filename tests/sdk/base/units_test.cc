// SPDX-License-Identifier: Apache-2.0
#include "sdk/base/units.h"

#include <gtest/gtest.h>

#include <random>

#include "sdk/base/bytes.h"

namespace weir {
namespace {

TEST(Units, ReadsEveryUnitOfTheContract) {
  EXPECT_EQ(parse_duration("7us").value().count(), 7);
  EXPECT_EQ(parse_duration("50ms").value().count(), 50'000);
  EXPECT_EQ(parse_duration("1.5s").value().count(), 1'500'000);
  EXPECT_EQ(parse_duration("2m").value().count(), 120'000'000);
  EXPECT_EQ(parse_duration("1h").value().count(), 3'600'000'000);
  EXPECT_EQ(parse_size("9B").value(), 9U);
  EXPECT_EQ(parse_size("1KiB").value(), 1024U);
  EXPECT_EQ(parse_size("64MiB").value(), 64U << 20);
  EXPECT_EQ(parse_size("4GiB").value(), 4ULL << 30);
  EXPECT_EQ(parse_size("1TiB").value(), 1ULL << 40);
}

TEST(Units, RefusesWhatIsNoQuantity) {
  for (const char* text : {"", "5", "ms", "-5ms", "5 ms", "1.2.3s", "5MB", "5kib", "99999999999TiB", "1e3s"}) {
    EXPECT_FALSE(parse_duration(text).ok()) << text;
    EXPECT_FALSE(parse_size(text).ok()) << text;
  }
}

TEST(Units, FormatsWithTheLargestWholeUnit) {
  EXPECT_EQ(format_size(64U << 20), "64MiB");
  EXPECT_EQ(format_size(1025), "1025B");
  EXPECT_EQ(format_size(0), "0B");
}

// The check value and the 32-zero-bytes vector of RFC 3720, appendix B.4.
TEST(Crc32c, MatchesTheVectorsOfRfc3720) {
  EXPECT_EQ(crc32c(0, as_bytes("123456789")), 0xE3069283U);
  EXPECT_EQ(crc32c(0, Bytes(32, std::byte{0})), 0x8A9136AAU);
  EXPECT_EQ(crc32c(crc32c(0, as_bytes("1234")), as_bytes("56789")), 0xE3069283U);
}

TEST(Crc32c, IsTheDivisionByItsPolynomialWhateverTheLength) {
  Bytes bytes(40'000);
  std::mt19937 random(1);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  std::uint32_t rest = 0xFFFFFFFF;  // of bytes[1, size), by bits
  std::size_t divided = 1;
  for (const std::size_t size : {1, 2, 9, 4096, 12'287, 12'288, 12'289, 12'290, 24'577, 36'865, 40'000}) {
    for (; divided < size; ++divided) {
      rest ^= static_cast<std::uint32_t>(bytes[divided]);
      for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ ((rest & 1) != 0 ? 0x82F63B78U : 0);
    }
    EXPECT_EQ(crc32c(0, BytesView(bytes).subspan(1, size - 1)), ~rest) << size;
  }
}

}  // namespace
}  // namespace weir
