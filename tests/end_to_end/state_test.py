# SPDX-License-Identifier: Apache-2.0
"""State larger than memory: ten times the caches of its worker and more, with worker and broker killed on the way, stays exact,
and the worker small.

state_test.py MEGABYTES_OF_STATE"""
import glob
import json
import os
import random
import shutil
import sys
import tempfile

from weir_run import Launcher, check, children_of, metrics, restart, role_of, run, status, wait_for

MEBI = 1 << 20
STATE = int(sys.argv[1]) * 1_000_000
MEMORY = 16 * MEBI  # a quarter of it is the cache, another RocksDB's
WORKER_MAX = 96 * MEBI
VALUE = 2000
KEYS = STATE // VALUE
TIMES = 2  # that each key comes
DATA = ".weir/state"
check(STATE > 10 * MEMORY / 4, "give it more state: the cache takes %d bytes" % (MEMORY / 4))

folder = tempfile.mkdtemp(prefix="weir-state-")
os.chdir(folder)
chooser = random.Random(5)
noise = "".join(chooser.choice("0123456789abcdef") for _ in range(1 << 20))
newest = {}
with open("input.jsonl", "w") as lines:
    for turn in range(TIMES):
        for key in range(KEYS):
            at = chooser.randrange(len(noise) - VALUE)
            newest[key] = (turn, at)
            lines.write('{"id":%d,"turn":%d,"pad":"%s"}\n' % (key, turn, noise[at:at + VALUE]))
with open("state.json", "w") as file:
    json.dump({
        "name": "state", "http": {"listen": "127.0.0.1:0"},
        "streams": {"lines": {}, "rows": {"key": "/id", "partition": {"by": "hash"}, "shards": 8}, "last": {}},
        "stages": {
            "read": {"plugin": "file.lines", "output": "lines", "config": {"path": "input.jsonl"}},
            "parse": {"plugin": "text.json", "input": "lines", "output": "rows"},
            "keep": {"plugin": "keyed.reduce", "input": "rows", "output": "last", "memory": "%dMiB" % (MEMORY / MEBI),
                     "state": {"store": "rocksdb"}, "config": {"op": "last", "field": "", "emit": "final"}},
            "write": {"plugin": "file.write", "input": "last", "config": {"path": "out.jsonl"}}}}, file)

launcher = Launcher("state.json", log="log.txt")
peak = 0
most_state = 0


def look():
    """The greatest resident size of the worker with the state, as the kernel remembers it; and what it has on disk."""
    global peak, most_state
    for pid, arguments in children_of(launcher.process.pid).items():
        if role_of(arguments) != "keep":
            continue
        try:
            with open("/proc/%d/status" % pid) as lines:
                peak = max(peak, next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")))
        except (OSError, StopIteration):
            pass
    found = metrics(DATA)
    most_state = max(most_state, sum(value for (name, labels), value in found.items()
                                     if name == "weir_stage_state_bytes" and ("stage", "keep") in labels))


def kept():
    look()
    for stage in (status(DATA) or {}).get("stages", []):
        if stage["name"] == "keep":
            return stage["records_in"]
    return 0


def ended():
    return launcher.process.poll() is not None


kills = 0
for part, victim in enumerate(("keep", "broker", "keep", "keep", "broker"), start=1):
    wait_for("%d sixths of the records" % part, lambda: ended() or kept() >= part * KEYS * TIMES // 6, 300)
    if not ended():
        restart(launcher, victim)
        kills += 1
wait_for("the end", lambda: ended() or (look() or False), 600)
check(launcher.wait() == 0, open("log.txt").read()[-2000:])
check(kills >= 3, "it was over after %d kills: give it more state" % kills)

seen = set()
with open("out.jsonl") as out:
    for line in out:
        record = json.loads(line)
        key, value = record["key"], record["value"]
        check(key not in seen, "key %d came twice" % key)
        seen.add(key)
        turn, at = newest[key]
        check(value == {"id": key, "turn": turn, "pad": noise[at:at + VALUE]}, "key %d has another value than its last" % key)
check(len(seen) == KEYS, "%d keys of %d are there" % (len(seen), KEYS))
check(most_state > STATE / 3, "weir_stage_state_bytes says %d of %d at most" % (most_state, STATE))
check(peak < WORKER_MAX, "the worker took %d bytes, allowed are %d" % (peak, WORKER_MAX))
stores = glob.glob(DATA + "/state/keep/*-*")
check(len(stores) == 8, "there are the stores %s" % stores)
letters = run("dead-letters", "list", "--json", "--data", DATA)
check(json.loads(letters.stdout) == [], "dead letters: " + letters.stdout)

print("ok: %d MB of state in a worker of %.0f MiB (its memory: %d MiB), %d kills" % (STATE / 1e6, peak / MEBI, MEMORY / MEBI, kills))
shutil.rmtree(folder)
