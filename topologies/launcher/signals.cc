// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace weir::launcher {

Signals::Signals() {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const int number : {SIGINT, SIGTERM, SIGCHLD}) ::sigaddset(&wanted, number);
  struct sigaction hangup {};
  if (::sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN) ::sigaddset(&wanted, SIGHUP);
  ::signal(SIGCHLD, SIG_DFL);  // inherited as ignored it would take the children's endings away
  ::signal(SIGPIPE, SIG_IGN);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
  fd_ = Fd(::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
}

int Signals::next() {
  signalfd_siginfo info{};
  return ::read(fd_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace weir::launcher
