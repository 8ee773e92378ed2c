# SPDX-License-Identifier: Apache-2.0
"""Workers on the far side of a link that is cut, slow, lossy and out of order at random: they live in a network namespace
of their own, the broker and the other stages outside. Now and then one of them is killed, or asked to go. At the end every
running total of every key is exact.

Needs the rights to make a network namespace, and says that it is skipped where it has none (exit 77).

network_test.py SECONDS [SEED]"""
import atexit
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
from slow_link import NoLink, SlowLink  # noqa: E402
from weir_run import BIN, Launcher, check, run, wait_for  # noqa: E402

SECONDS = float(sys.argv[1])
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
RATE = 4000  # numbers a second: few enough that faults come while they flow
NUMBERS = int(RATE * SECONDS)
KEYS = 100
PATIENCE = 10  # seconds after which a silent worker is fenced
SKIPPED = 77

chooser = random.Random(SEED)
faults = collections.Counter()


class FarWorker:
    """A worker that somebody starts again whenever it has ended, as an orchestrator would."""

    def __init__(self, link, stage):
        self.link, self.stage, self.process, self.starts = link, stage, None, 0
        atexit.register(self.kill)

    def turn(self, endpoint):
        if self.process is not None and self.process.poll() is None:
            return
        self.starts += 1
        self.process = subprocess.Popen(["ip", "netns", "exec", self.link.space, os.path.join(BIN, "weir-stage"), "--broker", endpoint,
                                         "--stage", self.stage], stdin=subprocess.DEVNULL, stdout=open("far.txt", "a"), stderr=subprocess.STDOUT)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


try:
    link = SlowLink(SEED)
except NoLink as why:
    print("skipped: no network namespace can be made here:", why, flush=True)
    sys.exit(SKIPPED)
folder = tempfile.mkdtemp(prefix="weir-network-")
os.chdir(folder)
print("seed %d in %s" % (SEED, folder), flush=True)
with open("network.json", "w") as topology:
    json.dump({
        "name": "network", "http": {"listen": "127.0.0.1:0"}, "broker": {"listen": "tcp://%s:0" % link.address, "segment_size": "2MiB", "transaction_bytes_max": "128KiB"},
        "streams": {"numbers": {"max_backlog": "4MiB"}, "keyed": {"partition": {"by": "hash"}, "shards": 8, "max_backlog": "4MiB"},
                    "totals": {"partition": {"by": "hash"}, "shards": 4, "max_backlog": "4MiB"}},
        "stages": {
            "number": {"plugin": "generate.sequence", "output": "numbers",
                       "config": {"from": 0, "to": NUMBERS - 1, "rate": RATE, "key_modulo": KEYS}},
            "pass": {"plugin": "filter", "input": "numbers", "output": "keyed", "workers": 2,
                     "config": {"where": {"field": "", "op": ">=", "value": 0}}},
            "total": {"plugin": "keyed.sum", "input": "keyed", "output": "totals", "workers": 2},
            "write": {"plugin": "file.write", "input": "totals", "config": {"path": "out-{shard}.jsonl"}}}}, topology)

launcher = Launcher("network.json", "--stages", "number,write", log="log.txt")


def endpoint():
    check(launcher.process.poll() is None, "weir run ended: " + open("log.txt").read()[-3000:])
    try:
        with open(".weir/network/endpoint.json") as file:
            return json.load(file)["broker"]
    except (OSError, ValueError):
        return None


broker = wait_for("the broker", endpoint)
far = [FarWorker(link, stage) for stage in ("pass", "pass", "total", "total")]


def pause(seconds):
    """A fault lasts so long; meanwhile who has died comes back."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and launcher.process.poll() is None:
        for worker in far:
            worker.turn(broker)
        time.sleep(0.05)


def cut():
    # Now and then for longer than the broker is patient: whoever comes back then has lost its rights.
    seconds = chooser.uniform(PATIENCE + 1, PATIENCE + 3) if chooser.random() < 0.15 else chooser.uniform(0.05, 2)
    link.cut()
    pause(seconds)
    link.mend()
    faults["link cut for longer than %d s" % PATIENCE if seconds > PATIENCE else "link cut"] += 1


def slow():
    link.carrier.be(delay=chooser.uniform(0.001, 0.08), jitter=0.02, loss=chooser.uniform(0, 0.15), reorder=0.2)
    pause(chooser.uniform(0.5, 3))
    link.carrier.be()
    faults["slow, lossy link out of order"] += 1


def kill_far():
    chooser.choice(far).kill()
    faults["SIGKILL of a far worker"] += 1


def ask_to_leave():
    worker = chooser.choice(far)
    if worker.process is not None and worker.process.poll() is None:
        worker.process.send_signal(signal.SIGTERM)
        faults["SIGTERM of a far worker"] += 1


ends = time.monotonic() + SECONDS
while time.monotonic() < ends and launcher.process.poll() is None:
    pause(chooser.uniform(0.05, 1.0))
    chooser.choices([cut, slow, kill_far, ask_to_leave], [5, 5, 1, 1])[0]()


def over():
    for worker in far:
        if launcher.process.poll() is None:
            worker.turn(broker)
    return launcher.process.poll() is not None


wait_for("the end", over, 120 + SECONDS)
check(launcher.process.returncode == 0, "weir run ended with %s: %s" % (launcher.process.returncode, open("log.txt").read()[-3000:]))
for worker in far:
    wait_for("the end of the far workers", lambda worker=worker: worker.process.poll() is not None, 60)

# Every number once: of a key the numbers may change places in the stage without keys, so a total is checked by its steps.
left = {key: collections.Counter(range(key, NUMBERS, KEYS)) for key in range(KEYS)}
totals = collections.Counter()
lines = 0
for shard in range(4):
    with open("out-%d.jsonl" % shard) as out:
        for line in out:
            record = json.loads(line)
            key, step = record["key"], record["value"] - totals[record["key"]]
            totals[key] = record["value"]
            check(left.get(key, {}).get(step, 0) > 0, "key %s: a step of %s, which is not in its input (any more)" % (key, step))
            left[key][step] -= 1
            lines += 1
check(lines == NUMBERS, "%d running totals of %d records" % (lines, NUMBERS))
letters = run("dead-letters", "list", "--json", "--data", ".weir/network")
check(letters.returncode == 0 and json.loads(letters.stdout) == [], "dead letters: " + letters.stdout + letters.stderr)
faults["frames lost"], faults["frames out of order"] = link.carrier.lost, link.carrier.late
check(link.carrier.carried > 100, "only %d frames were carried" % link.carrier.carried)
faults["far worker started again"] = sum(worker.starts for worker in far) - len(far)
for fault, times in sorted(faults.items()):
    print("%6d %s" % (times, fault))
print("exact: %d records" % lines)
shutil.rmtree(folder, ignore_errors=True)
