// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/line_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <vector>

#include "topologies/launcher/child_process.h"

namespace weir::launcher {
namespace {

class LineReaderTest : public testing::Test {
 protected:
  void print(std::string_view text) {
    ASSERT_EQ(::write(pipe_.write_end.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  LineReader::Take keep() {
    return [this](std::string_view line) { lines_.emplace_back(line); };
  }

  Pipe pipe_ = *open_pipe();
  LineReader reader_{std::move(pipe_.read_end)};
  std::vector<std::string> lines_;
};

TEST_F(LineReaderTest, JoinsLinesThatComeInPieces) {
  print("one\ntw");
  reader_.read(keep());
  print("o\n\nthree");
  reader_.read(keep());
  EXPECT_THAT(lines_, testing::ElementsAre("one", "two", ""));
  reader_.finish(keep());
  EXPECT_THAT(lines_, testing::ElementsAre("one", "two", "", "three"));
  EXPECT_FALSE(reader_.open());
}

TEST_F(LineReaderTest, CutsALineWithoutEndIntoPieces) {
  print(std::string(LineReader::kLineBytesMax + 10, 'x'));
  reader_.read(keep());
  ASSERT_EQ(lines_.size(), 1U);
  EXPECT_EQ(lines_[0].size(), LineReader::kLineBytesMax);
  print("\n");
  reader_.read(keep());
  EXPECT_EQ(lines_[1].size(), 10U);
}

TEST_F(LineReaderTest, FindsEveryEndOfALineWhereverThePiecesEnd) {
  const std::string text = "a\n\nbc\n" + std::string(20, 'd') + "\n\ne";
  for (std::size_t piece = 1; piece < text.size(); ++piece) {
    Pipe pipe = *open_pipe();
    LineReader reader(std::move(pipe.read_end), 16);
    lines_.clear();
    for (std::size_t at = 0; at < text.size(); at += piece) {
      const std::string part = text.substr(at, piece);
      ASSERT_EQ(::write(pipe.write_end.get(), part.data(), part.size()), static_cast<ssize_t>(part.size()));
      reader.read(keep());
    }
    reader.finish(keep());
    EXPECT_THAT(lines_, testing::ElementsAre("a", "", "bc", std::string(16, 'd'), "dddd", "", "e")) << piece;
  }
}

}  // namespace
}  // namespace weir::launcher
