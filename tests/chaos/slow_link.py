# SPDX-License-Identifier: Apache-2.0
"""A link to a network namespace of its own, that can be cut, and be slow, lossy and out of order.

Few kernels of build machines have netem, so frames are carried by hand: between the two ends stands a namespace in which a
thread takes each frame from one interface and puts it on the other, late, out of turn or not at all."""
import array
import atexit
import ctypes
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
PACKET_OUTGOING = 4
SIOCETHTOOL = 0x8946
# Checksums and segments are left to the receiver unless told otherwise, and who carries frames by hand cannot.
LEFT_TO_OTHERS = {"transmit checksums": 0x17, "TCP segmentation": 0x1F, "segmentation": 0x24}
FRAME_MAX = 65536
libc = ctypes.CDLL(None, use_errno=True)


class NoLink(Exception):
    """This machine does not permit it; says why."""


def ip(*args):
    try:
        done = subprocess.run(["ip", *args], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NoLink("there is no program `ip`") from None
    if done.returncode != 0:
        raise NoLink("`ip %s`: %s" % (" ".join(args), done.stderr.strip()))


def ip_quietly(*args):
    subprocess.run(["ip", *args], capture_output=True, check=False)


def enter(path):
    """This thread sees the network of the namespace at `path` from here on."""
    with open(path, "rb") as space:
        if libc.setns(space.fileno(), CLONE_NEWNET) != 0:
            raise NoLink("setns: " + os.strerror(ctypes.get_errno()))


class Carrier:
    """Carries frames between two interfaces of a namespace, with the faults that are set. Thread: its own."""

    def __init__(self, space, names, seed):
        self.delay = self.jitter = self.loss = self.reorder = 0.0
        self.carried = self.lost = self.late = 0
        self._chooser = random.Random(seed)
        self._sockets = []
        self._failure = None
        self._ready = threading.Event()
        threading.Thread(target=self._run, args=(space, names), daemon=True).start()
        self._ready.wait(10)
        if self._failure or not self._sockets:
            raise NoLink(self._failure or "frames cannot be carried")

    def be(self, delay=0.0, jitter=0.0, loss=0.0, reorder=0.0):
        """Seconds, and parts of one."""
        self.delay, self.jitter, self.loss, self.reorder = delay, jitter, loss, reorder

    def _run(self, space, names):
        try:
            enter("/var/run/netns/" + space)
            for name in names:
                end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
                end.bind((name, 0))
                end.setblocking(False)
                self._sockets.append(end)
        except (NoLink, OSError) as error:
            self._failure, self._sockets = str(error), []
            return
        finally:
            self._ready.set()
        self._carry()

    def _carry(self):
        waiting = []  # (due, number, other end, frame)
        number = 0
        last = [0.0, 0.0]  # when the frame before arrives, by end: only those that are chosen change places
        while True:
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, _, end, frame = heapq.heappop(waiting)
                try:
                    self._sockets[end].send(frame)
                    self.carried += 1
                except OSError:
                    self.lost += 1  # the link is cut, or the frame finds no room
            patience = max(0.0, waiting[0][0] - now) if waiting else 0.2
            readable, _, _ = select.select(self._sockets, [], [], patience)
            for end, source in enumerate(self._sockets):
                if source not in readable:
                    continue
                try:
                    frame, address = source.recvfrom(FRAME_MAX)
                except OSError:
                    continue  # the link is cut
                if address[2] == PACKET_OUTGOING:
                    continue
                if self._chooser.random() < self.loss:
                    self.lost += 1
                    continue
                due = time.monotonic() + self.delay + self.jitter * self._chooser.random()
                if self._chooser.random() < self.reorder:
                    self.late += 1
                    due += self.delay
                else:
                    due = last[end] = max(due, last[end])
                number += 1
                heapq.heappush(waiting, (due, number, 1 - end, frame))


class SlowLink:
    """A namespace (`space`) with the address `far`; it reaches this side by `address`. Raises NoLink."""

    def __init__(self, seed):
        number = os.getpid()
        self.space, self._middle = ("weir%s%d" % (end, number) for end in "nm")
        self._here, self._there, left, right = ("weir%s%d" % (end, number) for end in "htlr")
        # Two addresses of a network of four, by the process: runs beside each other do not meet.
        base = (number % (1 << 14)) * 4
        self.address, self.far = ("10.231.%d.%d" % (base >> 8, (base & 255) + i) for i in (1, 2))
        for undo in (["link", "del", self._here], ["netns", "del", self.space], ["netns", "del", self._middle]):
            atexit.register(ip_quietly, *undo)
        ip("netns", "add", self.space)
        ip("netns", "add", self._middle)
        ip("link", "add", self._here, "type", "veth", "peer", "name", left, "netns", self._middle)
        ip("-n", self.space, "link", "add", self._there, "type", "veth", "peer", "name", right, "netns", self._middle)
        for end in (left, right):
            ip("-n", self._middle, "link", "set", end, "up", "promisc", "on")
        self._do_everything_here(self._here)
        self._in_space(lambda: self._do_everything_here(self._there))
        ip("addr", "add", self.address + "/30", "dev", self._here)
        ip("link", "set", self._here, "up")
        ip("-n", self.space, "addr", "add", self.far + "/30", "dev", self._there)
        ip("-n", self.space, "link", "set", self._there, "up")
        self.carrier = Carrier(self._middle, (left, right), seed)

    @staticmethod
    def _do_everything_here(name):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            for what, command in LEFT_TO_OTHERS.items():
                value = array.array("B", struct.pack("II", command, 0))
                request = struct.pack("16sP", name.encode(), value.buffer_info()[0])
                try:
                    fcntl.ioctl(any_socket, SIOCETHTOOL, request)
                except OSError as error:
                    raise NoLink("%s of %s cannot be switched off: %s" % (what, name, error)) from None

    def _in_space(self, work):
        failure = []

        def run():
            try:
                enter("/var/run/netns/" + self.space)
                work()
            except (NoLink, OSError) as error:
                failure.append(str(error))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failure:
            raise NoLink(failure[0])

    def cut(self):
        ip_quietly("link", "set", self._here, "down")

    def mend(self):
        ip_quietly("link", "set", self._here, "up")
