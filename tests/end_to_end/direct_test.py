# SPDX-License-Identifier: Apache-2.0
"""A stream past the broker under SIGKILL of producers, consumers and the broker. Over push_pull no record arrives twice,
and those that arrived and those that are counted as lost are all that were sent; over send_receive none is missing.
direct_test.py push_pull|send_receive KILLS_PER_VICTIM [SEED]"""
import collections
import json
import os
import shutil
import signal
import sys
import tempfile
import time

from weir_run import Launcher, check, children_of, kill_at_random, metrics, read_records, role_of, run, status, wait_for

TRANSPORT, KILLS = sys.argv[1], int(sys.argv[2])
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 1
NUMBERS = 600_000
RATE = 100_000


def topology(name, streams, memory="256MiB", rate=RATE):
    with open(name + ".json", "w") as file:
        json.dump({
            "name": name, "http": {"listen": "127.0.0.1:0"},
            "streams": {"raw": {}, "numbers": {"transport": TRANSPORT, **streams}, "kept": {}},
            "stages": {
                "read": {"plugin": "generate.sequence", "output": "raw", "config": {"from": 1, "to": NUMBERS, "rate": rate}},
                "send": {"plugin": "filter", "input": "raw", "output": "numbers", "workers": 2, "memory": memory,
                         "config": {"where": {"field": "", "op": ">", "value": 0}}},
                "take": {"plugin": "filter", "input": "numbers", "output": "kept", "workers": 2,
                         "config": {"where": {"field": "", "op": ">", "value": 0}}},
                "write": {"plugin": "file.write", "input": "kept", "config": {"path": name + ".jsonl"}}}}, file)


def stream_of(data, name):
    said = status(data)
    return next((stream for stream in (said or {}).get("streams", []) if stream["name"] == name), None)


def written(name):
    """How many numbers are in the output, once what the transport promises of them was checked, and how many are lost, or
    are there again."""
    said = json.loads(run("status", "--json", "--data", ".weir/" + name).stdout)
    stream = next(stream for stream in said["streams"] if stream["name"] == "numbers")
    values = [record["value"] for record in read_records(name + ".jsonl")]
    if TRANSPORT == "send_receive":
        missing = set(range(1, NUMBERS + 1)) - set(values)
        check(not missing, "%s: %d numbers are missing, the first is %s" % (name, len(missing), sorted(missing)[:1]))
        check(len(set(values)) == NUMBERS, name + ": a number came that nobody sent")
        check(stream["records"] == NUMBERS, "%s: %d records were committed, not %d" % (name, stream["records"], NUMBERS))
        check("lost_records" not in stream, name + ": it counts losses, which there are not")
        return NUMBERS, len(values) - NUMBERS
    twice = [value for value, times in collections.Counter(values).items() if times > 1]
    check(not twice, "%s: %d numbers came twice, the first is %s" % (name, len(twice), twice[:1]))
    check(all(0 < value <= NUMBERS for value in values), name + ": a number came that nobody sent")
    check(stream["records"] == NUMBERS, "%s: %d records were sent, not %d" % (name, stream["records"], NUMBERS))
    check(stream["backlog_records"] == 0, "%s: %d are still on their way" % (name, stream["backlog_records"]))
    check(len(values) + stream["lost_records"] == NUMBERS,
          "%s: %d arrived and %d are counted as lost, of %d" % (name, len(values), stream["lost_records"], NUMBERS))
    return len(values), stream["lost_records"]


def all_arrives_where_nobody_dies():
    topology("calm", {"compression": "lz4"})
    result = run("run", "calm.json")
    check(result.returncode == 0, result.stderr)
    check(written("calm") == (NUMBERS, 0), "records were lost, or came twice, though nobody died")


def a_stop_loses_nothing():
    topology("stopped", {})
    launcher = Launcher("stopped.json", log="log.txt")
    wait_for("some records", lambda: (stream_of(".weir/stopped", "numbers") or {"records": 0})["records"] > NUMBERS // 10)
    launcher.interrupt()
    check(launcher.wait(30) == 0, "it did not stop cleanly: " + open("log.txt").read()[-2000:])
    result = run("run", "stopped.json")
    check(result.returncode == 0, result.stderr)
    check(written("stopped") == (NUMBERS, 0), "a stop lost or doubled records")


def kills_do_what_is_promised():
    topology("kills", {})
    data = ".weir/kills"
    launcher = Launcher("kills.json", log="log.txt")
    done = kill_at_random(launcher, ["send", "take", "broker"] * KILLS, lambda: (stream_of(data, "numbers") or {"records": 0})["records"], SEED)
    check(launcher.wait(300) == 0, "weir run failed: " + open("log.txt").read()[-2000:])
    arrived, lost = written("kills")
    check(len(done) == 3, "too few kills: %s" % dict(done))
    print("kills %s: %d arrived, %d %s" % (dict(done), arrived, lost, "lost" if TRANSPORT == "push_pull" else "again"), flush=True)


def a_frozen_consumer_holds_back_and_loses_nothing():
    """Backpressure: what nobody takes is not sent, and nothing is dropped at a high-water mark."""
    topology("frozen", {}, memory="2MiB")
    data = ".weir/frozen"
    launcher = Launcher("frozen.json", "--hold", log="log.txt")
    records = lambda: (stream_of(data, "numbers") or {"records": 0})["records"]
    wait_for("some records", lambda: records() > 0)
    frozen = [pid for pid, arguments in children_of(launcher.process.pid).items() if role_of(arguments) == "take"]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    moved = [records(), time.monotonic()]

    def stands_still():
        if records() != moved[0]:
            moved[:] = [records(), time.monotonic()]
        return time.monotonic() - moved[1] > 1.0
    wait_for("the producers to be held back", stands_still)
    check(moved[0] < NUMBERS, "all was sent though nobody took it")
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    wait_for("the end", lambda: (status(data) or {}).get("state") == "finished", 120)
    lost = sum(value for (name, labels), value in metrics(data).items() if name == "weir_stream_lost_records_total")
    launcher.interrupt()
    check(launcher.wait(30) == 0, "it did not stop cleanly: " + open("log.txt").read()[-2000:])
    arrived, counted = written("frozen")
    check(counted == 0 and arrived == NUMBERS, "%d records were lost, or came twice, though nobody died" % counted)
    check(lost == 0, "/metrics counts %s lost" % lost)


def workers_that_go_lose_nothing():
    """Both sides are scaled up and down while records flow; who goes has taken, or sent, all that it had."""
    topology("scaled", {}, rate=RATE / 2)
    data = ".weir/scaled"
    launcher = Launcher("scaled.json", log="log.txt")
    records = lambda: (stream_of(data, "numbers") or {"records": 0})["records"]
    running = lambda stage: sum(worker["stage"] == stage and worker["state"] == "running" for worker in (status(data) or {"workers": []})["workers"])
    scaled = 0
    for stage, workers in (("take", 3), ("send", 1), ("take", 1), ("send", 3)):
        before = records()
        wait_for("more records", lambda: records() > before or records() == NUMBERS)
        if records() == NUMBERS:
            break  # a slow machine
        scaled += 1
        result = run("scale", stage, str(workers), "--data", data)
        check(result.returncode == 0 or records() == NUMBERS, result.stderr)
        wait_for("%d workers of %s" % (workers, stage), lambda: running(stage) == workers or records() == NUMBERS)
    check(scaled >= 2, "it was over before it was scaled: give it more input")
    check(launcher.wait(300) == 0, "weir run failed: " + open("log.txt").read()[-2000:])
    arrived, more = written("scaled")
    if TRANSPORT == "push_pull":
        check(more == 0, "%d records were lost though nobody died" % more)
    print("scaled: %d arrived, %d %s" % (arrived, more, "lost" if TRANSPORT == "push_pull" else "again"), flush=True)


folder = tempfile.mkdtemp(prefix="weir-direct-")
os.chdir(folder)
for test in (all_arrives_where_nobody_dies, a_stop_loses_nothing, kills_do_what_is_promised, a_frozen_consumer_holds_back_and_loses_nothing, workers_that_go_lose_nothing):
    test()
    print("ok:", test.__name__, flush=True)
shutil.rmtree(folder)
