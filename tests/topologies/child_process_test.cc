// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "topologies/launcher/line_reader.h"

namespace weir::launcher {
namespace {

/// Runs `script` in a shell; what it prints, and how it ends.
struct Ran {
  std::string text;
  Ending ending;
};

Ran run(const std::string& script) {
  Pipe pipe = *open_pipe();
  const int out = pipe.write_end.get();
  Result<ChildProcess> child = ChildProcess::start({{"/bin/bash", "-c", script}, out, out, -1});
  EXPECT_TRUE(child.ok());
  pipe.write_end.reset();
  LineReader reader(std::move(pipe.read_end));
  Ran ran;
  while (reader.open()) {
    pollfd wanted{reader.fd(), POLLIN, 0};
    ::poll(&wanted, 1, 10000);
    reader.read([&ran](std::string_view line) { ran.text += std::string(line) + "\n"; });
  }
  std::optional<Ending> ending;
  while (!(ending = child->reap())) ::usleep(1000);
  ran.ending = *ending;
  return ran;
}

TEST(ChildProcess, SaysHowItEnded) {
  EXPECT_EQ(run("exit 3").ending.text(), "exit 3");
  EXPECT_EQ(run("kill -SEGV $$").ending.text(), "signal 11 (SIGSEGV)");
}

TEST(ChildProcess, NamesAProgramThatIsNotThere) {
  const Result<ChildProcess> child = ChildProcess::start({{"/nowhere/weir-broker"}});
  ASSERT_FALSE(child.ok());
  EXPECT_EQ(child.error().code, Code::kNotFound);
  EXPECT_THAT(child.error().message, testing::HasSubstr("/nowhere/weir-broker cannot be started: No such file"));
}

TEST(ChildProcess, InheritsNoDescriptorsButItsOwnAndNoSignalMask) {
  Pipe other = *open_pipe();
  ::dup2(other.write_end.get(), 77);  // one without the close-on-exec mark
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  const Ran ran = run("echo /proc/self/fd/*; grep SigBlk /proc/self/status; readlink /proc/self/fd/0");
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ::close(77);
  EXPECT_THAT(ran.text, testing::HasSubstr("/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2"));
  EXPECT_THAT(ran.text, testing::Not(testing::HasSubstr("fd/77")));
  EXPECT_THAT(ran.text, testing::HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(ran.text, testing::HasSubstr("/dev/null"));
}

TEST(ChildProcess, TakesItsWholeGroupAlong) {
  Pipe pipe = *open_pipe();
  const int out = pipe.write_end.get();
  Result<ChildProcess> child = ChildProcess::start({{"/bin/bash", "-c", "sleep 1000 & echo $!; exit 0"}, out, -1, -1});
  ASSERT_TRUE(child.ok());
  pipe.write_end.reset();
  std::optional<Ending> ending;
  while (!(ending = child->reap())) ::usleep(1000);
  LineReader reader(std::move(pipe.read_end));
  while (reader.open()) {  // ends only when the grandchild, which holds the pipe too, is gone
    pollfd wanted{reader.fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&wanted, 1, 10000), 1);
    reader.read([](std::string_view) {});
  }
}

}  // namespace
}  // namespace weir::launcher
