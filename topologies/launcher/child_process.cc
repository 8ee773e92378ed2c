// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace weir::launcher {
namespace {

/// Runs in the child: only calls that are safe between fork and exec. Answers by an errno on `report` if it fails.
[[noreturn]] void become(char* const* argv, const ChildProcess::Start& start, pid_t parent, int report) {
  const auto fail = [report] {
    const int error = errno;
    [[maybe_unused]] const ssize_t ignored = ::write(report, &error, sizeof error);
    ::_exit(127);
  };
  ::setpgid(0, 0);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail();
  if (::getppid() != parent) ::_exit(127);  // the parent died before the kernel knew of our wish
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD}) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) fail();
  const int out = start.stdout_fd >= 0 ? start.stdout_fd : null;
  const int err = start.stderr_fd >= 0 ? start.stderr_fd : null;
  // `err` may be 1, so it is moved first to where nothing is overwritten.
  const int err_kept = ::fcntl(err, F_DUPFD_CLOEXEC, 3);
  if (err_kept < 0 || ::dup2(null, 0) < 0) fail();
  if (out == 1) {
    ::fcntl(1, F_SETFD, 0);
  } else if (::dup2(out, 1) < 0) {
    fail();
  }
  if (::dup2(err_kept, 2) < 0) fail();
  if (::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    for (int fd = 3; fd < 4096; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  if (start.kept_fd >= 0) ::fcntl(start.kept_fd, F_SETFD, 0);
  ::execv(argv[0], argv);
  fail();
  ::_exit(127);
}

}  // namespace

std::string Ending::text() const {
  if (!signalled) return fmt::format("exit {}", number);
  const char* name = ::sigabbrev_np(number);
  return name != nullptr ? fmt::format("signal {} (SIG{})", number, name) : fmt::format("signal {}", number);
}

Result<ChildProcess> ChildProcess::start(const Start& start) {
  std::vector<char*> argv;
  argv.reserve(start.argv.size() + 1);
  for (const std::string& argument : start.argv) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {Code::kIo, fmt::format("no pipe: {}", ::strerror(errno))};
  Fd report(ends[0]);
  Fd report_child(ends[1]);

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(argv.data(), start, parent, report_child.get());
  if (pid < 0) return {Code::kIo, fmt::format("{} cannot be started: {}", start.argv[0], ::strerror(errno))};
  ::setpgid(pid, pid);  // both sides do it, so that it holds whoever comes first
  ChildProcess child(pid);
  report_child.reset();
  int error = 0;
  ssize_t got = 0;
  do got = ::read(report.get(), &error, sizeof error);
  while (got < 0 && errno == EINTR);
  if (got == sizeof error) {
    return {error == ENOENT ? Code::kNotFound : Code::kIo,
            fmt::format("{} cannot be started: {}", start.argv[0], ::strerror(error))};
  }
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  return *this;
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  kill_group();
  int ignored = 0;
  while (::waitpid(pid_, &ignored, 0) < 0 && errno == EINTR) {
  }
}

std::optional<Ending> ChildProcess::reap() {
  siginfo_t info{};
  // Looks without taking: while the zombie is there its group's number belongs to nobody else.
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return {};
  kill_group();
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  if (WIFSIGNALED(status)) return Ending{true, WTERMSIG(status)};
  return Ending{false, WEXITSTATUS(status)};
}

void ChildProcess::kill_group() const {
  if (pid_ > 0) ::kill(-pid_, SIGKILL);
}

Result<Pipe> open_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {Code::kIo, fmt::format("no pipe: {}", ::strerror(errno))};
  Pipe pipe{Fd(ends[0]), Fd(ends[1])};
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return pipe;
}

}  // namespace weir::launcher
