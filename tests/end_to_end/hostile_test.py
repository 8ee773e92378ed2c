# SPDX-License-Identifier: Apache-2.0
"""Peers that send garbage, floods and half messages, or never read, at every socket of a running topology: each costs
itself. The result stays exact, nobody dies, the broker's memory stays bounded and others are answered."""
import collections
import http.client
import json
import os
import random
import shutil
import socket
import struct
import tempfile
import threading
import time

import msgpack
import zmq
from weir_run import Launcher, check, make_text, read_records, status, wait_for

SEED = 7
MEMORY_MIB = 64
# Beside its buffers: its code, its threads' stacks and heaps; 256 answers of 256 KiB that one peer does not read; 64
# messages of a MiB that another one sends faster than they are taken; parts of a message that is never whole, up to twice
# the largest message, and what comes until that is seen.
MARGIN_MIB = 64 + 64 + 64 + 128 + 64
SANITIZED = os.environ.get("WEIR_SANITIZE") == "yes"

folder = tempfile.mkdtemp(prefix="weir-hostile-")
os.chdir(folder)
counts, _ = make_text("input.txt", 24, SEED)
with open("hostile.json", "w") as topology:
    json.dump({
        "name": "hostile", "http": {"listen": "127.0.0.1:0"},
        "broker": {"listen": "tcp://127.0.0.1:0", "memory": "%dMiB" % MEMORY_MIB},
        "streams": {"lines": {"retention": {"time": "1h"}}, "words": {"partition": {"by": "hash"}, "shards": 8}, "counts": {},
                    "gate": {"external": "in"}, "open": {}},
        "stages": {
            "read": {"plugin": "file.lines", "output": "lines", "config": {"path": "input.txt"}},
            "split": {"plugin": "text.words", "input": "lines", "output": "words", "workers": 2},
            "count": {"plugin": "keyed.count", "input": "words", "output": "counts", "workers": 2, "config": {"emit": "final"}},
            "write": {"plugin": "file.write", "input": "counts", "config": {"path": "out.jsonl"}},
            # Keeps the topology running until the last peer has been at it.
            "pass": {"plugin": "text.json", "input": "gate", "output": "open"},
            "close": {"plugin": "file.write", "input": "open", "config": {"path": "gate.jsonl"}}}}, topology)
DATA = ".weir/hostile"
launcher = Launcher("hostile.json", log="log.txt")
context = zmq.Context.instance()


def endpoints():
    try:
        with open(DATA + "/endpoint.json") as file:
            said = json.load(file)
    except (OSError, ValueError):
        return None
    return said if status(DATA) else None


said = wait_for("the broker", endpoints)
router = said["broker"]
host, port = "127.0.0.1", int(router.rsplit(":", 1)[1])
http_port = int(said["http"].rsplit(":", 1)[1])


def ask(peer, **request):
    peer.send(msgpack.packb(request))
    check(peer.poll(20_000), "the broker does not answer %s" % request.get("op"))
    return msgpack.unpackb(peer.recv(), strict_map_key=False)


def scrape():
    """Another one at the HTTP port is answered, be it that something is not well."""
    connection = http.client.HTTPConnection(host, http_port, timeout=20)
    connection.request("GET", "/healthz")
    check(connection.getresponse().read(), "an answer of nothing at the HTTP port")
    connection.close()


def dealer():
    peer = context.socket(zmq.DEALER)
    peer.setsockopt(zmq.LINGER, 0)
    peer.connect(router)
    return peer


neighbour = dealer()
opened = ask(neighbour, op="open", stream="gate", name="neighbour")
check(opened["op"] == "opened", opened)
wait_for("all workers", lambda: sum(worker["state"] == "running" for worker in (status(DATA) or {"workers": []})["workers"]) >= 7)
# All places of workers are taken: a stranger gets none.
quiet = context.socket(zmq.PULL)
quiet.bind("tcp://127.0.0.1:*")
welcome = ask(dealer(), op="worker_hello", stage="pass", worker=-1, pid=1, host="h", inbox=quiet.getsockopt_string(zmq.LAST_ENDPOINT),
              wire_version=3)
check(welcome["op"] == "refused", "a stranger took a worker's place: %s" % welcome)
news = opened["news"]
news_port = int(news.rsplit(":", 1)[1])
broker_pid = launcher.find("broker")


def listening():
    """TCP ports that the broker listens on."""
    inodes = set()
    for entry in os.listdir("/proc/%d/fd" % broker_pid):
        try:
            target = os.readlink("/proc/%d/fd/%s" % (broker_pid, entry))
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    ports = set()
    with open("/proc/%d/net/tcp" % broker_pid) as table:
        for line in list(table)[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


def peak_mib():
    with open("/proc/%d/status" % broker_pid) as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


ports = listening()
check({port, news_port, http_port} < ports and len(ports) == 4, "the broker listens on %s" % ports)
commits_port = (ports - {port, news_port, http_port}).pop()


def raw(to):
    peer = socket.create_connection((host, to), 10)
    peer.settimeout(10)
    return peer


GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + b"\x00" + bytes(31)


def zmtp(to, kind):
    """A connection that has shaken hands as a socket of this kind."""
    peer = raw(to)
    peer.sendall(GREETING)
    wanted = 64
    while wanted > 0:
        wanted -= len(peer.recv(wanted))
    ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    peer.sendall(b"\x04" + bytes([len(ready)]) + ready)
    peer.recv(4096)
    return peer


def frame(body, more=False):
    return struct.pack(">BQ", 2 | more, len(body)) + body


kept = []  # connections that stay to the end
done = collections.Counter()
failures = []


def garbage(chooser):
    for _ in range(40):
        for to in ports:
            try:
                with raw(to) as peer:
                    peer.sendall(chooser.randbytes(chooser.randint(1, 20_000)))
            except OSError:
                pass  # hung up on, as it should be
            done["connections of garbage"] += 1


def halves(_):
    for to in ports:
        for part in (b"", b"\xff", GREETING[:11], GREETING, b"GET /metrics HT"):
            peer = raw(to)
            peer.sendall(part)
            kept.append(peer)
            done["connections that stop half way"] += 1
    for to, kind in ((port, b"DEALER"), (commits_port, b"PUSH")):
        peer = zmtp(to, kind)
        peer.sendall(struct.pack(">BQ", 2, 1 << 20) + b"only the beginning")
        kept.append(peer)
        peer = zmtp(to, kind)
        peer.sendall(frame(b"a part", more=True))
        kept.append(peer)
        done["messages that stop half way"] += 2


def parts_without_end(_):
    """Of a message that is never whole, each far below any limit."""
    for to, kind in ((port, b"DEALER"), (commits_port, b"PUSH"), (news_port, b"SUB")):
        peer = zmtp(to, kind)
        body = frame(bytes(100 if to == news_port else 1 << 16), more=True)
        try:
            for _ in range((1 << 30) // len(body)):
                peer.sendall(body)
            failures.append("a gigabyte of parts was taken by a socket of %s" % kind)
        except OSError:
            done["messages of parts without end, hung up on"] += 1
        peer.close()


def too_large(_):
    for to, kind in ((port, b"DEALER"), (commits_port, b"PUSH"), (news_port, b"SUB")):
        for size in (1 << 30, 1 << 40, (1 << 63) + 5):
            peer = zmtp(to, kind)
            try:
                peer.sendall(struct.pack(">BQ", 2, size) + bytes(1 << 16))
                while peer.recv(1 << 16):
                    pass
            except TimeoutError:
                failures.append("a message of %d bytes is waited for, from a %s" % (size, kind.decode()))
            except OSError:
                pass  # with what was not read yet
            done["messages too large, hung up on"] += 1


def requests(chooser):
    peer = dealer()
    names = ["open", "publish", "end", "tail", "ping", "status", "dead_letters", "drop_letters", "requeue_letters", "replay",
             "upgrade", "worker_hello", "?"]
    values = [None, True, -1, 1 << 63, 1.5, "x" * 300, "lines", b"\xff", [], [[1]], {}, {"op": 1}, ["a"] * 1000]
    fields = ["stream", "name", "session", "number", "records", "positions", "records_max", "from", "ids", "stage", "all", "reset",
              "offset", "time_us", "worker", "pid", "host", "inbox", "wire_version", "version", "now_us", "hash", "origin", "back",
              "dry_run", "trial", "libraries"]
    for _ in range(3000):
        op = chooser.choice(names)
        request = {"op": op, **{chooser.choice(fields): chooser.choice(values) for _ in range(chooser.randint(0, 6))}}
        if op in ("drop_letters", "requeue_letters", "replay"):
            request.pop("all", None)
        if op in ("open", "end"):
            request.pop("stream", None)  # who ends the gate is somebody else
        if op == "worker_hello":
            request.pop("stage", None)
        peer.send(msgpack.packb(request))
        done["senseless requests"] += 1
    for _ in range(3000):
        peer.send(chooser.randbytes(chooser.randint(0, 200)))
        done["senseless requests"] += 1
    peer.close()


def never_reads(_):
    for request in ({"op": "tail", "stream": "lines", "from": "start", "records_max": 10000}, {"op": "status"}, {"op": "dead_letters"}):
        peer = zmtp(port, b"DEALER")
        peer.settimeout(2)
        body = frame(msgpack.packb(request))
        try:
            for _ in range(3000):
                peer.sendall(body)
                done["requests whose answers nobody reads"] += 1
        except OSError:
            pass  # the broker reads no more of it either
        kept.append(peer)
    for _ in range(5):
        peer = zmtp(news_port, b"SUB")
        peer.sendall(frame(b"\x01status"))
        kept.append(peer)
        done["subscribers that never read"] += 1
    for _ in range(5):
        peer = raw(http_port)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
        kept.append(peer)
        done["scrapers that never read"] += 1


def false_commits(chooser):
    peer = context.socket(zmq.PUSH)
    peer.setsockopt(zmq.LINGER, 0)
    peer.connect("tcp://%s:%d" % (host, commits_port))
    for _ in range(20_000):
        kind = chooser.randint(0, 60)
        header = struct.pack("<HHIQQ", kind, chooser.choice((3, 9)), 0, (1 << 32) + chooser.randint(1000, 2000), chooser.randint(0, 9))
        peer.send(header + chooser.randbytes(chooser.randint(0, 200)))
        done["messages of workers that are none"] += 1
    for _ in range(200):
        peer.send(bytes(1 << 20))
    peer.close()


def subscriptions(chooser):
    peer = zmtp(news_port, b"SUB")
    try:
        for _ in range(5000):
            peer.sendall(frame(b"\x01" + chooser.randbytes(chooser.randint(0, 200))))
            done["subscriptions"] += 1
    except OSError:
        pass
    kept.append(peer)


def trickles(_):
    # More than are carried and may wait; who is cut off comes again at once.
    peers = [raw(http_port) for _ in range(200)]
    for byte in b"GET /metrics?and so on" * 2:
        for i, peer in enumerate(peers):
            try:
                peer.sendall(bytes([byte]))
            except OSError:
                peer.close()
                peers[i] = raw(http_port)
                done["scrapers that trickle and come again"] += 1
        time.sleep(0.3)  # the peer's pace, not a wait for anything
    done["scrapers that trickle"] += len(peers)
    kept.extend(peers)


def run_peer(work, chooser):
    try:
        work(chooser)
    except OSError as error:
        done["cut off (%s)" % work.__name__] += 1
        print(work.__name__, "was cut off:", error, flush=True)


everyone = [threading.Thread(target=run_peer, args=(work, random.Random("%d %s" % (SEED, work.__name__))))
            for work in (garbage, halves, parts_without_end, too_large, requests, never_reads, false_commits, subscriptions, trickles)]
for peer in everyone:
    peer.start()
number = 0
slowest = 0.0
while any(peer.is_alive() for peer in everyone):
    number += 1
    began = time.monotonic()
    while True:
        answer = ask(neighbour, op="publish", session=opened["session"], number=number, records=[[None, "%d" % number, 1, None]])
        if answer["op"] == "acknowledged":
            break
        check(answer["code"] == "again", answer)
        time.sleep(0.01)  # as it is told to
    scrape()
    slowest = max(slowest, time.monotonic() - began)
check(not failures, "; ".join(failures))
peak = peak_mib()
check(SANITIZED or peak < MEMORY_MIB + MARGIN_MIB, "the broker took %d MiB" % peak)
check(SANITIZED or slowest < 5, "a neighbour waited %.1f s" % slowest)
check(launcher.find("broker") == broker_pid, "the broker died: " + open("log.txt").read()[-3000:])
ask(neighbour, op="end", session=opened["session"])
wait_for("the end", lambda: launcher.process.poll() is not None, 240)
check(launcher.process.returncode == 0, open("log.txt").read()[-3000:])
for peer in kept:
    peer.close()
found = {record["key"]: record["value"] for record in read_records("out.jsonl")}
check(found == counts, "the counts differ from the input's")
check([record["value"] for record in read_records("gate.jsonl")] == list(range(1, number + 1)), "the neighbour's records differ")
log = open("log.txt").read()
check("lost its rights" not in log and "ended by" not in log, "somebody died: " + log[-3000:])
shutil.rmtree(folder)
for what, times in sorted(done.items()):
    print("%7d %s" % (times, what))
print("ok: %d records of a neighbour, none waited longer than %.1f s; the broker took %d MiB at most" % (number, slowest, peak))
