# SPDX-License-Identifier: Apache-2.0
"""weir replay: a stage processes again what its stream keeps, each record once more, also when all is killed meanwhile."""
import collections
import json
import os
import re
import subprocess
import tempfile
import time

from weir_run import WEIR, Launcher, check, read_records, restart, run, status, wait_for, worked_off

folder = tempfile.mkdtemp(prefix="weir-replay-")
os.chdir(folder)


def write_topology(name, lines, stage, workers=2):
    with open(name + ".json", "w") as topology:
        json.dump({
            "name": name, "http": {"listen": "127.0.0.1:0"},
            "streams": {"lines": {"external": "in", **lines}, "out": {}},
            "stages": {"work": {"input": "lines", "output": "out", "workers": workers, **stage},
                       "write": {"plugin": "file.write", "input": "out", "config": {"path": name + ".jsonl"}}}}, topology)


class Feed:
    """What was produced, in order."""

    def __init__(self, name, keys=10):
        self.name, self.keys, self.records = name, keys, []

    def produce(self, count, *more):
        batch = [{"key": n % self.keys, "value": n} for n in range(len(self.records), len(self.records) + count)]
        self.records += batch
        result = subprocess.run([WEIR, "produce", "lines", "--data", ".weir/" + self.name, *more], capture_output=True,
                                input="".join(json.dumps(record) + "\n" for record in batch), text=True, timeout=120)
        check(result.returncode == 0, result.stderr)


def start(name, *more):
    launcher = Launcher(name + ".json", *more, log=name + ".log")
    wait_for("the topology", lambda: status(".weir/" + name))
    return launcher


def records_again(result):
    found = re.search(r"processes (\d+) records", result.stderr)
    check(found, "replay does not say how many records are processed again: " + result.stderr)
    return int(found.group(1))


def replay(name, *more, stage="work", stream="lines", code=0):
    """How many records the stage processes again, or what was said instead."""
    result = run("replay", stage, "--stream", stream, "--data", ".weir/" + name, *more)
    check(result.returncode == code, "replay %s ended with %d: %s" % (more, result.returncode, result.stderr))
    return records_again(result) if code == 0 else result.stderr


def end(name, launcher, feed):
    feed.produce(0, "--end")
    check(launcher.wait() == 0, open(name + ".log").read()[-2000:])


def totals_of(records):
    """Running totals by key."""
    seen, totals = collections.Counter(), {}
    for record in records:
        seen[record["key"]] += record["value"]
        totals.setdefault(record["key"], []).append(seen[record["key"]])
    return totals


def by_key(records):
    found = {}
    for record in records:
        found.setdefault(record["key"], []).append(record["value"])
    return found


def state_is_reset_or_goes_on():
    name = "keyed"
    write_topology(name, {"partition": {"by": "hash"}, "shards": 4, "retention": {"size": "64MiB"}},
                   {"plugin": "keyed.sum"})
    launcher = start(name)
    feed = Feed(name)
    feed.produce(2000)
    worked_off(name)
    check(replay(name, "--from", "start", "--reset-state") == 2000, "all of it")
    restart(launcher, "broker")  # at once: the answer meant that it is on disk
    worked_off(name)
    first = feed.records[:]
    feed.produce(500)
    worked_off(name)
    # Without a reset the state goes on; with workers killed on the way.
    check(replay(name, "--from", "start") == 2500, "all of it again")
    restart(launcher, "work")
    worked_off(name)
    end(name, launcher, feed)
    wanted = {key: totals + totals_of(feed.records + feed.records)[key] for key, totals in totals_of(first).items()}
    check(by_key(read_records(name + ".jsonl")) == wanted, "the totals are wrong")


def from_a_place():
    name = "place"
    write_topology(name, {"partition": {"by": "hash"}, "shards": 1, "retention": {"size": "64MiB", "time": "1h"}},
                   {"plugin": "keyed.sum"})
    launcher = start(name)
    feed = Feed(name)
    feed.produce(300)
    worked_off(name)
    begun = int(time.time()) + 1
    wait_for("the next second", lambda: time.time() >= begun)
    feed.produce(100)
    worked_off(name)
    check(replay(name, "--from", "350") == 50, "from an offset")
    worked_off(name)
    check(replay(name, "--from", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun))) == 100, "from a time")
    worked_off(name)
    check(replay(name, "--from", "1h") == 400, "from an hour ago")
    worked_off(name)
    check(replay(name, "--from", "9999") == 0, "behind the end nothing is skipped and nothing comes again")
    feed.produce(10)
    end(name, launcher, feed)
    records = feed.records
    worked_on = records[:400] + records[350:400] + records[300:400] + records[:400] + records[400:]
    check(by_key(read_records(name + ".jsonl")) == totals_of(worked_on), "the totals are wrong")


def unkeyed():
    name = "ranges"
    write_topology(name, {"retention": {"size": "64MiB"}},
                   {"plugin": "filter", "config": {"where": {"field": "", "op": "exists"}}})
    launcher = start(name)
    feed = Feed(name)
    feed.produce(3000)
    worked_off(name)
    check(replay(name, "--from", "start") == 3000, "all of it")
    feed.produce(1000)
    restart(launcher, "work")
    worked_off(name)
    end(name, launcher, feed)
    wanted = collections.Counter(record["value"] for record in feed.records)
    wanted.update(record["value"] for record in feed.records[:3000])
    found = collections.Counter(record["value"] for record in read_records(name + ".jsonl"))
    check(found == wanted, "records came otherwise than twice")


def while_records_flow():
    """What the stage has worked off before it is written is found all the same, and each record counted comes once more."""
    name, count = "fed", 200_000
    with open(name + ".json", "w") as topology:
        json.dump({
            "name": name, "http": {"listen": "127.0.0.1:0"},
            "streams": {"lines": {"partition": {"by": "modulo"}, "shards": 4, "retention": {"size": "64KiB"}}, "out": {}},
            "stages": {"read": {"plugin": "generate.sequence", "output": "lines",
                                "config": {"from": 1, "to": count, "key_modulo": 16, "rate": 25_000}},
                       "work": {"plugin": "keyed.sum", "input": "lines", "output": "out"},
                       "write": {"plugin": "file.write", "input": "out", "config": {"path": name + ".jsonl"}}}}, topology)
    launcher = start(name)
    wait_for("records", lambda: os.path.exists(name + ".jsonl") and os.path.getsize(name + ".jsonl") > 0)
    again = 0
    for place in ("start", "1s", "0", "2099-01-01T00:00:00Z") * 3:
        result = run("replay", "work", "--stream", "lines", "--data", ".weir/" + name, "--from", place)
        gone = place == "0" and result.returncode == 1 and "keeps no record before offset" in result.stderr
        check(result.returncode == 0 or gone, "replay from %s ended with %d: %s" % (place, result.returncode, result.stderr))
        again += 0 if gone else records_again(result)
    check(launcher.wait() == 0, open(name + ".log").read()[-2000:])
    written = len(read_records(name + ".jsonl"))
    check(written == count + again, "%d results of %d records, %d of which were processed again" % (written, count, again))


def what_is_kept():
    name = "kept"
    write_topology(name, {"partition": {"by": "hash"}, "shards": 1, "retention": {"size": "256KiB"}},
                   {"plugin": "keyed.sum"}, workers=1)
    launcher = start(name)
    feed = Feed(name)
    for _ in range(20):
        feed.produce(2000)
    worked_off(name)
    # A record takes 16 bytes, and its key and value 2 to 4; whole frames go, and not before the broker's next tick.
    kept = replay(name, "--from", "start")
    check(256 * 1024 / 40 < kept < len(feed.records) / 2, "%d records are kept in 256 KiB" % kept)
    worked_off(name)
    said = replay(name, "--from", "0", code=1)
    found = re.search(r"shard 0 keeps no record before offset (\d+), and 0 is asked for", said)
    check(found and int(found.group(1)) >= len(feed.records) - kept, said)
    check("has no stage" in replay(name, "--from", "start", stage="wrok", code=1), "an unknown stage")
    check("has no stream" in replay(name, "--from", "start", stream="line", code=1), "an unknown stream")
    check("does not read" in replay(name, "--from", "start", stream="out", code=1), "a stream that it does not read")
    check("is no place" in replay(name, "--from", "yesterday", code=2), "no place")
    check(replay(name, "--from", "start", stage="write", stream="out") == 0, "without retention nothing is kept")
    end(name, launcher, feed)
    records = feed.records
    check(by_key(read_records(name + ".jsonl")) == totals_of(records + records[-kept:]), "the totals are wrong")
    check("nothing is running" in replay(name, "--from", "start", code=1), "nothing runs")
    launcher = start(name, "--hold")
    check("come to the end of its input" in replay(name, "--from", "start", code=1), "it has ended")
    launcher.interrupt()
    launcher.wait()


state_is_reset_or_goes_on()
from_a_place()
unkeyed()
while_records_flow()
what_is_kept()
print("exact: what was replayed was processed once more")
