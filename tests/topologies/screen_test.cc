// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/screen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "topologies/launcher/child_process.h"
#include "topologies/launcher/printable.h"

namespace weir::launcher {
namespace {

/// All that can be read from a pipe now.
std::string drain(const Fd& fd) {
  std::string text;
  std::array<char, 65536> buffer;
  for (ssize_t got = 0; (got = ::read(fd.get(), buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(got));
  return text;
}

TEST(Screen, NeverBlocksAndSaysHowManyLinesItDropped) {
  Pipe pipe = *open_pipe();
  Screen screen(pipe.write_end.get(), /*live=*/false);
  const std::string line(1000, 'x');
  for (int i = 0; i < 5000; ++i) {
    screen.line(line);
    screen.write_some();
  }
  std::string seen;
  for (int i = 0; i < 10000 && screen.waiting(); ++i) {
    seen += drain(pipe.read_end);
    screen.write_some();
  }
  seen += drain(pipe.read_end);
  EXPECT_LT(seen.size(), 2 * Screen::kWaitingBytesMax);
  EXPECT_THAT(seen, testing::HasSubstr("lines were dropped here"));
}

TEST(Screen, KeepsTheLiveLineBelowAllOthers) {
  Pipe pipe = *open_pipe();
  Screen screen(pipe.write_end.get(), /*live=*/true);
  screen.show("half way");
  screen.line("a word from a worker");
  screen.close(std::chrono::seconds(1));
  EXPECT_EQ(drain(pipe.read_end), "\r\x1b[Khalf way\r\x1b[Ka word from a worker\nhalf way\r\x1b[K");
}

TEST(Screen, ShowsNoLiveLineInAPipe) {
  Pipe pipe = *open_pipe();
  Screen screen(pipe.write_end.get(), /*live=*/false);
  screen.show("half way");
  screen.line("done");
  screen.close(std::chrono::seconds(1));
  EXPECT_EQ(drain(pipe.read_end), "done\n");
}

TEST(Printable, KeepsWordsAndShowsWhatATerminalWouldObey) {
  EXPECT_EQ(printable("Größe:\t3"), "Größe:\t3");
  EXPECT_EQ(printable("a\x1b[31mb\n\x7f\x01"), "a\\x1b[31mb\\x0a\\x7f\\x01");
}

}  // namespace
}  // namespace weir::launcher
