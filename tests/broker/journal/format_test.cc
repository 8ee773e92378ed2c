// SPDX-License-Identifier: Apache-2.0
//
// The bytes of FORMAT.md's example. They change only together with its History.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "broker/journal/frame.h"
#include "broker/journal/segment.h"
#include "tests/broker/journal/fixture.h"

namespace weir::test {
namespace {

std::string hex(BytesView bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i != 0) text += i % 16 == 0 ? "\n" : " ";
    text += fmt::format("{:02x}", static_cast<unsigned>(bytes[i]));
  }
  return text;
}

class JournalFormat : public JournalFixture {
 protected:
  Bytes written() {
    options_.seed = 0x0123456789abcdef;
    open();
    append("weir");
    journal_.reset();
    return disk_->content("segment-000001");
  }
};

TEST_F(JournalFormat, HasTheGoldenBytesOfAHeader) {
  const Bytes file = written();
  EXPECT_EQ(hex(BytesView(file).first(144)),
            "57 45 49 52 53 45 47 0a 02 00 00 00 cb 25 99 52\n"
            "ef cd ab 89 67 45 23 01 01 00 00 00 00 00 00 00\n"
            "00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
            "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
            "01 00 00 00 00 00 00 00 00 10 00 00 01 00 00 00\n"
            "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
            "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
            "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
            "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
  for (std::size_t i = 144; i < journal::kBlockBytes; ++i) ASSERT_EQ(file[i], std::byte{0});
}

TEST_F(JournalFormat, HasTheGoldenBytesOfAnOpeningMarkAndAnEntry) {
  const Bytes file = written();
  EXPECT_EQ(hex(BytesView(file).subspan(4096, 48)),
            "d4 58 c2 b9 91 4c e5 8e 08 00 00 00 30 00 00 00\n"
            "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
            "01 00 00 00 04 00 00 00 ef cd ab 89 67 45 23 01");
  EXPECT_EQ(hex(BytesView(file).subspan(12288, 48)),
            "e1 7f 65 c6 72 db 94 3e 04 00 00 00 30 00 00 00\n"
            "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
            "01 00 00 00 01 00 00 00 77 65 69 72 00 00 00 00");
  EXPECT_EQ(file.size(), 65536U);
}

TEST_F(JournalFormat, OfANewerWeirIsRefusedAndNotTakenForDamage) {
  Bytes file = written();
  std::uint32_t version = 3;
  std::memcpy(file.data() + 8, &version, sizeof(version));
  std::memset(file.data() + 12, 0, 4);
  const std::uint32_t crc = crc32c(0, BytesView(file).first(journal::kBlockBytes));
  std::memcpy(file.data() + 12, &crc, sizeof(crc));
  disk_->overwrite("segment-000001", 0, file);
  const Error error = refused();
  EXPECT_EQ(error.code, Code::kRefused);
  EXPECT_NE(error.message.find("format 3"), std::string::npos);
}

TEST_F(JournalFormat, RefusesAnEntryOfAKindThatItDoesNotKnow) {
  Bytes file = written();
  journal::FrameHeader frame{};
  std::memcpy(&frame, file.data() + 12288, sizeof(frame));
  frame.kind = 9;
  const BytesView payload = as_bytes("weir");
  journal::seal(frame, options_.seed, 12288, std::span(&payload, 1));
  disk_->overwrite("segment-000001", 12288, std::as_bytes(std::span(&frame, 1)));
  EXPECT_EQ(refused().code, Code::kRefused);
}

TEST_F(JournalFormat, RefusesAnotherSegmentSize) {
  written();
  options_.segment_bytes = 128 << 10;
  EXPECT_EQ(refused().code, Code::kInvalid);
}

}  // namespace
}  // namespace weir::test
