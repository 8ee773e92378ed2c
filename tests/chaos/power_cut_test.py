# SPDX-License-Identifier: Apache-2.0
"""The power is cut again and again: every process dies at once, and of what no sync has covered any part is lost, block
by block and name by name, in the journal and in the files that the sink writes. Under the durability `fsync` nothing
that counts is lost or doubled. To show that this bites, syncs of folders can be made to do nothing: that must be found.

power_cut_test.py SECONDS LIBRARY [SEED] [deaf]; LIBRARY is the build's power_cut.so."""
import atexit
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
import power_cut  # noqa: E402
from weir_run import WEIR, Launcher, check, fail, status, wait_for  # noqa: E402

DEAF = "deaf" in sys.argv
NUMBERED = [argument for argument in sys.argv[3:] if argument != "deaf"]
SECONDS, LIBRARY = float(sys.argv[1]), os.path.abspath(sys.argv[2])
SEED = int(NUMBERED[0]) if NUMBERED else random.SystemRandom().randrange(1 << 32)
DATA = "disk/made/by/weir/on/its/way/power"  # none of the folders is there yet
OUT = "disk/made/for/the/sink/out-%s.jsonl"
RATE = 5000
NUMBERS = int(RATE * SECONDS)
PUBLISHED = int(300 * SECONDS)
KEYS = 50

chooser = random.Random(SEED)
counts = collections.Counter()
folder = tempfile.mkdtemp(prefix="weir-power-")
os.chdir(folder)
print("seed %d in %s" % (SEED, folder), flush=True)
disk = power_cut.Disk("disk", "log", LIBRARY)
if DEAF:
    disk.environment["WEIR_POWER_CUT_DEAF"] = "yes"
with open("power.json", "w") as topology:
    json.dump({
        "name": "power", "http": {"listen": "127.0.0.1:0"},
        "broker": {"segment_size": "1MiB", "transaction_bytes_max": "128KiB", "durability": "fsync"},
        "streams": {"keyed": {"partition": {"by": "hash"}, "shards": 4},
                    "outside": {"partition": {"by": "hash"}, "shards": 4, "external": "in"},
                    "totals": {"partition": {"by": "hash"}, "shards": 2}},
        "stages": {
            "number": {"plugin": "generate.sequence", "output": "keyed",
                       "config": {"from": 0, "to": NUMBERS - 1, "rate": RATE, "key_modulo": KEYS}},
            "total": {"plugin": "keyed.sum", "inputs": {"in": ["keyed", "outside"]}, "output": "totals", "workers": 2},
            "write": {"plugin": "file.write", "input": "totals", "workers": 2, "config": {"path": OUT % "{shard}"}}}}, topology)


class Producer:
    """Publishes 1,000,000 again and again under a name, and goes on behind what was acknowledged, which it never sends again."""

    def __init__(self):
        self.process = None
        self.over = False
        with open("published.jsonl", "w") as lines:
            for i in range(PUBLISHED):
                lines.write('{"key": %d, "value": 1000000}\n' % (KEYS + i % KEYS))
        atexit.register(self.kill)

    def turn(self):
        if self.over or (self.process is not None and self.process.poll() is None):
            return
        if os.path.exists("produce.txt"):
            with open("produce.txt") as said:
                check("no longer knows" not in said.read(), "records that were acknowledged are gone")
        if self.process is not None and self.process.returncode == 0:
            self.over = True
        elif (status(DATA) or {}).get("state") in ("running", "starting"):
            with open("published.jsonl") as lines:
                self.process = subprocess.Popen([WEIR, "produce", "outside", "--data", DATA, "--name", "power", "--end"], stdin=lines,
                                                stdout=subprocess.DEVNULL, stderr=open("produce.txt", "a"))

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def start():
    return Launcher("power.json", "--data", DATA, log="log.txt", environment=disk.environment)


def run():
    """Cuts the power until the time is over, lets the topology come to its end, and compares."""
    producer = Producer()
    launcher = start()
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends and launcher.process.poll() is None:
        until = time.monotonic() + chooser.uniform(0.02, 2.5)  # the moment of the cut, not a wait for anything
        while launcher.process.poll() is None and (not producer.over if DEAF else time.monotonic() < until):
            producer.turn()
            time.sleep(0.01)
        if launcher.process.poll() is not None:
            break
        launcher.kill_everyone()
        changes, files, blocks = disk.cut(chooser, *[[0]] if DEAF else [])
        counts["power cuts"] += 1
        counts["changes of folders that were lost"] += changes
        counts["files that lost something"] += files
        counts["blocks that were lost or torn"] += blocks
        check(not producer.over or os.path.exists(os.path.join(DATA, "weir.json")), "what was acknowledged is gone as a whole")
        launcher = start()

    def over():
        producer.turn()
        return launcher.process.poll() is not None

    wait_for("the end", over, 120 + SECONDS)
    check(launcher.process.returncode == 0, "weir run ended with %s: %s" % (launcher.process.returncode, open("log.txt").read()[-3000:]))

    left = {key: collections.Counter(range(key, NUMBERS, KEYS)) for key in range(KEYS)}
    left.update({KEYS + key: collections.Counter({1000000: len(range(key, PUBLISHED, KEYS))}) for key in range(KEYS)})
    totals = collections.Counter()
    lines = 0
    for shard in range(2):
        with open(OUT % shard) as out:
            for line in out:
                record = json.loads(line)
                key, step = record["key"], record["value"] - totals[record["key"]]
                totals[key] = record["value"]
                check(left.get(key, {}).get(step, 0) > 0, "key %s: a step of %s, which is not in its input (any more)" % (key, step))
                left[key][step] -= 1
                lines += 1
    check(lines == NUMBERS + PUBLISHED, "%d running totals of %d records" % (lines, NUMBERS + PUBLISHED))
    for what, times in counts.items():
        print("%6d %s" % (times, what))
    if counts["power cuts"] >= 4 and counts["blocks that were lost or torn"] == 0:
        fail("no power cut has taken anything: this proves nothing")
    print("exact: %d records" % lines)


found = ""
try:
    run()
except SystemExit:
    found = "what is wrong stands above"
    if not DEAF:
        raise
if DEAF:
    check(found, "syncs of folders did nothing, and nothing was found")
    print("so it is found that no folder is synced")
shutil.rmtree(folder, ignore_errors=True)
