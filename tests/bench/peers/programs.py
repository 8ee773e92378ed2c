# SPDX-License-Identifier: Apache-2.0
"""Programs that end: each in a session of its own, killed with all its processes when the bench ends in any way, and
waited for with a deadline."""
import os
import selectors
import signal
import socket
import subprocess
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# The kernel kills it when its parent dies, however that dies; it does not start where its parent died before the kernel was told.
DIES_WITH_ITS_PARENT = ("setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"')
WORDS_MAX = 2000  # of a log, in a sentence that explains a failure


class Failure(Exception):
    """Something that was to be measured did not do what it should; the text says what."""


def free_ports(count):
    """So many ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def accepts(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def processes():
    """(pid, session, CPU seconds with those of ended children) of every process."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % entry) as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        yield int(entry), int(fields[3]), sum(map(int, fields[11:15])) / TICKS_PER_SECOND


class Program:
    """Started at once. `with` ends it."""

    def __init__(self, name, argv, folder, env=None, piped=False):
        self.name = name
        self.log = os.path.join(folder, name + ".log")
        argv = [*DIES_WITH_ITS_PARENT, str(os.getpid()), *map(str, argv)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(argv, cwd=folder, env={**os.environ, **(env or {})},
                                            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                                            stdout=subprocess.PIPE if piped else log, stderr=log, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self, grace=0):
        """Ends it and all of its session: by SIGTERM where it is given seconds for that."""
        if grace and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(grace)
            except subprocess.TimeoutExpired:
                pass
        for pid, session, _ in processes():
            if session == self.process.pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()

    def dismiss(self):
        """Lets a piped program end, which waits for the end of its input."""
        self.process.stdin.close()

    def last_words(self):
        with open(self.log, "rb") as log:
            return log.read()[-WORDS_MAX:].decode(errors="replace").strip()

    def fail(self, what):
        raise Failure("%s %s\n%s" % (self.name, what, self.last_words()))

    def wait_until(self, ready, seconds=60):
        """Waits until ready() is true."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.process.poll() is not None:
                self.fail("ended with %d before it was ready" % self.process.returncode)
            if time.monotonic() > deadline:
                self.fail("was not ready within %d s" % seconds)
            time.sleep(0.05)

    def lines(self, seconds):
        """What a piped program prints, line by line, until it ends well, within so many seconds."""
        deadline = time.monotonic() + seconds
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while True:
                if not selector.select(max(0, deadline - time.monotonic())):
                    self.fail("was not done within %g s" % seconds)
                read = os.read(self.process.stdout.fileno(), 65536)
                if not read:
                    break
                *whole, rest = (rest + read).split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace")
        try:
            code = self.process.wait(max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.fail("was not done within %g s" % seconds)
        if code != 0:
            self.fail("ended with %d" % code)

    def cpu_seconds(self):
        return sum(seconds for _, session, seconds in processes() if session == self.process.pid)

    def peak_bytes(self):
        """The peak memory of its processes, added up."""
        peak = 0
        for pid, session, _ in processes():
            if session != self.process.pid:
                continue
            try:
                with open("/proc/%d/status" % pid) as status:
                    peak += sum(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
            except OSError:
                continue
        return peak


def run(argv, seconds, **more):
    """A program that prepares something, to its end; returns what it printed. Its failure is a Failure."""
    try:
        done = subprocess.run(list(map(str, argv)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, **more)
    except FileNotFoundError:
        raise Failure("there is no program %s" % argv[0]) from None
    except subprocess.TimeoutExpired:
        raise Failure("%s was not done within %d s" % (" ".join(map(str, argv[:3])), seconds)) from None
    if done.returncode != 0:
        words = (done.stdout + done.stderr).strip()[-WORDS_MAX:]
        raise Failure("%s ended with %d\n%s" % (" ".join(map(str, argv[:3])), done.returncode, words))
    return done.stdout
