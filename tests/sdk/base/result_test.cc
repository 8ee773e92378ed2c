// SPDX-License-Identifier: Apache-2.0
#include "sdk/base/result.h"

#include <gtest/gtest.h>

#include "sdk/base/bytes.h"

namespace weir {
namespace {

TEST(Result, HoldsAValueOrTheReason) {
  const Result<int> good = 7;
  EXPECT_EQ(*good, 7);
  const Result<int> bad = {Code::kNotFound, "no stream \"x\""};
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code, Code::kNotFound);
  EXPECT_EQ(bad.error().message, "no stream \"x\"");
}

TEST(ResultDeathTest, AsksForAValueThatIsNotThere) {
  const Result<int> bad = {Code::kIo, "the disk is gone"};
  EXPECT_DEATH((void)bad.value(), "the disk is gone");
}

TEST(ByteReader, NeverReadsPastTheEndAndRemembersIt) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(std::uint16_t{513});
  writer.text("abc");
  ByteReader reader(bytes);
  EXPECT_EQ(reader.get<std::uint16_t>(), 513);
  EXPECT_EQ(reader.text(), "abc");
  EXPECT_TRUE(reader.ok() && reader.at_end());
  EXPECT_EQ(reader.get<std::uint64_t>(), 0U);
  EXPECT_FALSE(reader.ok());
  ByteReader liar(as_bytes(std::string_view("\xff\xff\xff\xff", 4)));
  EXPECT_EQ(liar.count(1), 0U);
  EXPECT_FALSE(liar.ok());
}

}  // namespace
}  // namespace weir
