# SPDX-License-Identifier: Apache-2.0
"""What is acknowledged or comes out is as durable as the topology asks, transactions share syncs, and a record alone
waits for no timer. A preloaded library counts the broker's writes and syncs and holds them. durability_test.py SYNC_GATE.so"""
import json
import mmap
import os
import shutil
import sys
import tempfile
import time

import msgpack
import zmq

from weir_run import Launcher, check, fail, metrics, status, wait_for

LIBRARY = os.path.abspath(sys.argv[1])
WATCHED_MS = 400  # so long is looked for what must not come
# The words of struct gate in tests/support/sync_gate.c, in their order.
WORDS = ("syncs_closed", "writes_closed", "sync_us", "syncs_started", "syncs_held", "syncs_ended",
         "writes_started", "writes_held", "writes_ended", "forgotten")


class Gate:
    """The broker's way to the disk: counted, and closed by setting syncs_closed or writes_closed to 1."""

    def __init__(self, path):
        with open(path, "w+b") as file:
            file.truncate(8 * len(WORDS))
            self.__dict__["words"] = memoryview(mmap.mmap(file.fileno(), 8 * len(WORDS))).cast("Q")

    def __getattr__(self, name):
        return self.words[WORDS.index(name)]

    def __setattr__(self, name, value):
        self.words[WORDS.index(name)] = value

    def wait_until_quiet(self):
        """Until nothing was written or synced for a while: what is held afterwards is of what comes then."""
        seen, since = None, 0.0

        def quiet():
            nonlocal seen, since
            now = list(self.words)
            if now != seen or self.syncs_started != self.syncs_ended or self.writes_started != self.writes_ended:
                seen, since = now, time.monotonic()
            return time.monotonic() - since > 0.3
        wait_for("the journal to be quiet", quiet, 20)


class Running:
    """A topology that carries what is published on "in" to out.jsonl, with a gate before its journal."""

    def __init__(self, name, broker, stages=None):
        os.mkdir(name)
        os.chdir(name)
        self.data = ".weir/" + name
        with open("topology.json", "w") as topology:
            json.dump({
                "name": name, "http": {"listen": "127.0.0.1:0"}, "broker": {"segment_size": "4MiB", "transaction_bytes_max": "1MiB", **broker},
                "streams": {"in": {"external": "in"}, **({"between": {}} if stages else {})},
                "stages": stages or {"write": {"plugin": "file.write", "input": "in", "config": {"path": "out.jsonl"}}}}, topology)
        self.gate = Gate("gate")
        self.launcher = Launcher("topology.json", log="log.txt",
                                 environment={"LD_PRELOAD": LIBRARY, "WEIR_SYNC_GATE": os.path.abspath("gate")})
        wait_for("all stages of " + name, lambda: [stage["state"] for stage in (status(self.data) or {}).get("stages", [{"state": ""}])]
                 == ["running"] * len(stages or [0]), 30)

    def written(self):
        """The values in the sink's file."""
        try:
            with open("out.jsonl") as out:
                return [json.loads(line)["value"] for line in out]
        except FileNotFoundError:
            return []

    def stop(self):
        self.gate.syncs_closed = self.gate.writes_closed = 0
        self.launcher.interrupt()
        check(self.launcher.wait(30) == 0, "it did not stop cleanly: " + open("log.txt").read()[-2000:])
        check(self.gate.forgotten == 0, "a gate was closed for too long")
        check(self.gate.syncs_ended > 0 and self.gate.writes_ended > 0, "no write or no sync of the journal was seen: is %s loaded?" % LIBRARY)
        os.chdir("..")


class Producer:
    """One message at a time, over the protocol of sdk/wire/WIRE.md."""

    def __init__(self, running, name):
        self.gate = running.gate
        self.number = 0
        self.acknowledged = 0
        self.pongs = 0
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        with open(running.data + "/endpoint.json") as file:
            self.socket.connect(json.load(file)["broker"])
        self.send(op="open", stream="in", name=name)
        check(self.socket.poll(10_000), "the broker does not answer")
        self.session = msgpack.unpackb(self.socket.recv())["session"]

    def send(self, **message):
        self.socket.send(msgpack.packb(message))

    def publish(self, value):
        self.number += 1
        # Of these none can hold the record: what covers it starts later.
        self.syncs_before, self.writes_before = self.gate.syncs_started, self.gate.writes_started
        self.send(op="publish", session=self.session, number=self.number, records=[[None, value, 0, None]])

    def take(self):
        """Reads an answer that is there; notes how far the disk was when an acknowledgement came."""
        answer = msgpack.unpackb(self.socket.recv())
        if answer["op"] == "acknowledged":
            self.acknowledged = answer["number"]
            self.syncs_behind = self.gate.syncs_ended - self.syncs_before
            self.writes_behind = self.gate.writes_ended - self.writes_before
        elif answer["op"] == "pong":
            self.pongs += 1
        else:
            fail("the broker answered %s" % answer)

    def is_acknowledged(self, seconds=10):
        """Waits so long for the acknowledgement of all that was published."""
        deadline = time.monotonic() + seconds
        while self.acknowledged < self.number and self.socket.poll(max(0, (deadline - time.monotonic()) * 1000)):
            self.take()
        return self.acknowledged == self.number

    def hears_nothing_but_pongs(self):
        """Whether no acknowledgement comes for a while, in which the broker proves that it is alive."""
        pongs = self.pongs
        self.send(op="ping", session=self.session)
        if self.is_acknowledged(WATCHED_MS / 1000):
            return False
        check(self.pongs > pongs, "the broker does not answer a ping while the disk holds it")
        return True


def start(name, broker):
    """A running topology in which a first record has come through and nothing is under way any more."""
    running = Running(name, broker)
    producer = Producer(running, "first")
    producer.publish("first")
    check(producer.is_acknowledged(), "the first record is not acknowledged")
    wait_for("the first record", lambda: running.written() == ["first"], 20)
    running.gate.wait_until_quiet()
    return running, producer


def under_fsync_everything_waits_for_the_sync():
    running, producer = start("fsync", {"durability": "fsync"})
    running.gate.syncs_closed = 1
    producer.publish("held")
    wait_for("the sync of the record", lambda: running.gate.syncs_held, 10)
    check(producer.writes_before < running.gate.writes_ended, "a sync began before anything was written")
    check(producer.hears_nothing_but_pongs(), "fsync: acknowledged before its sync")
    check(running.written() == ["first"], "fsync: the sink got a record before its sync")
    running.gate.syncs_closed = 0
    check(producer.is_acknowledged(), "fsync: not acknowledged after its sync")
    wait_for("the record behind its sync", lambda: running.written() == ["first", "held"], 10)
    return running


def many_publish(running, producers, each):
    """Every producer has one record under way; yields it at each acknowledgement."""
    crowd = [Producer(running, "crowd %d" % i) for i in range(producers)]
    poller = zmq.Poller()
    for producer in crowd:
        poller.register(producer.socket, zmq.POLLIN)
        producer.publish(0)
    by_socket = {producer.socket: producer for producer in crowd}
    deadline = time.monotonic() + 60
    while any(producer.acknowledged < each for producer in crowd):
        check(time.monotonic() < deadline, "the crowd's records are not acknowledged")
        for socket, _ in poller.poll(1000):
            producer = by_socket[socket]
            producer.take()
            if producer.acknowledged == producer.number:
                yield producer
                if producer.number < each:
                    producer.publish(producer.number)


def commits(running):
    found = metrics(running.data)
    return sum(value for (name, _), value in found.items() if name == "weir_broker_commit_seconds_count")


def under_load_transactions_share_syncs(running):
    running.gate.wait_until_quiet()
    running.gate.sync_us = 2000  # a disk of flash without a battery; whatever this machine has
    syncs, committed, acknowledged = running.gate.syncs_ended, commits(running), 0
    for producer in many_publish(running, 16, 40):
        acknowledged += 1
        check(producer.syncs_behind >= 1, "fsync: an acknowledgement under load came before its sync")
    running.gate.wait_until_quiet()
    syncs, committed = running.gate.syncs_ended - syncs, commits(running) - committed
    check(acknowledged == 16 * 40, "%d acknowledgements of %d" % (acknowledged, 16 * 40))
    check(syncs > 0 and acknowledged / syncs > 2, "%d acknowledgements took %d syncs" % (acknowledged, syncs))
    check(committed / syncs > 2, "%d transactions took %d syncs" % (committed, syncs))
    print("fsync: %d acknowledgements and %d transactions in %d syncs" % (acknowledged, committed, syncs), flush=True)


def without_a_sync_everything_waits_for_the_write(durability):
    running, producer = start(durability, {"durability": durability, "interval": "20ms"})
    gate = running.gate
    gate.syncs_closed = 1
    producer.publish("unsynced")
    check(producer.is_acknowledged(), durability + ": no acknowledgement while the sync is held")
    check(producer.syncs_behind == 0 and producer.writes_behind >= 1, durability + ": acknowledged without a write, or with a sync")
    if durability == "interval":
        wait_for("the sync behind the acknowledgement", lambda: gate.syncs_held, 10)
    gate.syncs_closed = 0
    wait_for("the unsynced record", lambda: running.written() == ["first", "unsynced"], 10)
    gate.wait_until_quiet()

    gate.writes_closed = 1
    producer.publish("unwritten")
    wait_for("the write of the record", lambda: gate.writes_held, 10)
    check(producer.hears_nothing_but_pongs(), durability + ": acknowledged before its write")
    check(running.written() == ["first", "unsynced"], durability + ": the sink got a record before its write")
    gate.writes_closed = 0
    check(producer.is_acknowledged(), durability + ": not acknowledged after its write")
    wait_for("the record behind its write", lambda: running.written() == ["first", "unsynced", "unwritten"], 10)
    for producer in many_publish(running, 8, 20):
        check(producer.writes_behind >= 1, durability + ": an acknowledgement under load came before its write")
    running.stop()


def a_record_alone_waits_for_no_timer(durability):
    slow = {"commit_after": "60s"}
    running = Running("alone-" + durability, {"durability": durability, "interval": "60s"}, stages={
        "pass": {"plugin": "filter", "input": "in", "output": "between", "config": {"where": {"field": "", "op": "exists"}}, **slow},
        "write": {"plugin": "file.write", "input": "between", "config": {"path": "out.jsonl"}, **slow}})
    producer = Producer(running, "alone")
    began = time.monotonic()
    producer.publish("alone")
    wait_for("the record that is alone", lambda: running.written() == ["alone"], 20)
    print("%s: one record alone took %.0f ms" % (durability, (time.monotonic() - began) * 1000), flush=True)
    running.stop()


folder = tempfile.mkdtemp(prefix="weir-durability-")
os.chdir(folder)
running = under_fsync_everything_waits_for_the_sync()
under_load_transactions_share_syncs(running)
running.stop()
for durability in ("interval", "none"):
    without_a_sync_everything_waits_for_the_write(durability)
for durability in ("fsync", "interval"):
    a_record_alone_waits_for_no_timer(durability)
shutil.rmtree(folder)
print("ok")
