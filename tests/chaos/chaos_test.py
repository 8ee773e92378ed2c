# SPDX-License-Identifier: Apache-2.0
"""The real processes under random faults: each is killed, or stopped for a while and goes on as a zombie; everything is
killed at once; Ctrl-C and a new run; the disk is full for a while, where a file system of its own can be mounted; a
producer outside dies and sends again. At the end every running total of every key is exact.

chaos_test.py SECONDS [SEED]"""
import atexit
import collections
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
from weir_run import WEIR, Launcher, check, children_of, fail, role_of, run, status, wait_for  # noqa: E402

SECONDS = float(sys.argv[1])
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
RATE = 4000  # numbers a second: few enough that faults come while they flow
NUMBERS = int(RATE * SECONDS)
PUBLISHED = int(200 * SECONDS)
KEYS = 100
DISK_MIB = 48

chooser = random.Random(SEED)
faults = collections.Counter()
folder = tempfile.mkdtemp(prefix="weir-chaos-")
os.chdir(folder)
print("seed %d in %s" % (SEED, folder), flush=True)


def mount():
    """A small file system for the data directory, if this machine lets us make one."""
    os.mkdir("disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % DISK_MIB, "tmpfs", "disk"], capture_output=True, check=False)
    if done.returncode == 0:
        atexit.register(subprocess.run, ["umount", "-l", os.path.join(folder, "disk")], capture_output=True, check=False)
    return done.returncode == 0


has_disk = mount()
DATA = "disk/chaos"
with open("chaos.json", "w") as topology:
    json.dump({
        "name": "chaos", "http": {"listen": "127.0.0.1:0"},
        "broker": {"segment_size": "2MiB", "transaction_bytes_max": "128KiB"},
        "streams": {"numbers": {"max_backlog": "1MiB"}, "keyed": {"partition": {"by": "hash"}, "shards": 8, "max_backlog": "1MiB"},
                    "outside": {"partition": {"by": "hash"}, "shards": 8, "external": "in", "max_backlog": "1MiB"},
                    "totals": {"partition": {"by": "hash"}, "shards": 4, "max_backlog": "1MiB"}},
        "stages": {
            "number": {"plugin": "generate.sequence", "output": "numbers",
                       "config": {"from": 0, "to": NUMBERS - 1, "rate": RATE, "key_modulo": KEYS}},
            "pass": {"plugin": "filter", "input": "numbers", "output": "keyed", "workers": 2,
                     "config": {"where": {"field": "", "op": ">=", "value": 0}}},
            "total": {"plugin": "keyed.sum", "inputs": {"in": ["keyed", "outside"]}, "output": "totals", "workers": 3},
            "write": {"plugin": "file.write", "input": "totals", "workers": 2, "config": {"path": "out-{shard}.jsonl"}}}}, topology)
with open("published.jsonl", "w") as lines:
    for i in range(PUBLISHED):
        lines.write('{"key": %d, "value": 1000000}\n' % (KEYS + i % KEYS))


class Producer:
    """`weir produce` with a name, which sends again from the beginning when it has died."""

    def __init__(self):
        self.process = None
        self.done = False
        atexit.register(self.kill)

    def turn(self):
        if self.done:
            return
        if self.process is not None and self.process.poll() is None:
            return
        if self.process is not None and self.process.returncode == 0:
            self.done = True
            return
        if not (status(DATA) or {}).get("state") in ("running", "starting"):
            return
        with open("published.jsonl") as lines:
            self.process = subprocess.Popen([WEIR, "produce", "outside", "--data", DATA, "--name", "chaos", "--end"], stdin=lines,
                                            stdout=subprocess.DEVNULL, stderr=open("produce.txt", "a"))

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


stopped = []  # (when it goes on, pid)
ballast = None
producer = Producer()


def go_on(everyone=False):
    for entry in list(stopped):
        if everyone or time.monotonic() >= entry[0]:
            stopped.remove(entry)
            try:
                os.kill(entry[1], signal.SIGCONT)
            except ProcessLookupError:
                pass


atexit.register(go_on, True)


def somebody():
    """A process of this run: a worker, the broker or the launcher."""
    everyone = [(role_of(arguments), pid) for pid, arguments in children_of(launcher.process.pid).items() if role_of(arguments)]
    everyone.append(("launcher", launcher.process.pid))
    return chooser.choice(sorted(everyone))


def start():
    global launcher
    launcher = Launcher("chaos.json", "--data", DATA, log="log.txt")


def kill_one():
    role, pid = somebody()
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    faults["SIGKILL of a " + ("broker" if role == "broker" else "launcher" if role == "launcher" else "worker")] += 1
    if role == "launcher":
        launcher.wait()
        start()


def stop_one():
    role, pid = somebody()
    # Now and then for longer than the broker is patient: what goes on then is a zombie.
    seconds = chooser.uniform(10.5, 12) if role not in ("broker", "launcher") and chooser.random() < 0.15 else chooser.uniform(0.05, 2)
    try:
        os.kill(pid, signal.SIGSTOP)
    except ProcessLookupError:
        return
    stopped.append((time.monotonic() + seconds, pid))
    faults["SIGSTOP of a " + (role if role in ("broker", "launcher") else "worker")] += 1


def kill_everyone():
    go_on(True)
    launcher.kill_everyone()
    faults["SIGKILL of everyone"] += 1
    start()


def interrupt():
    if ballast is not None:
        return  # who starts on a full disk may not be able to say where it is
    go_on(True)
    # The handler is there once the first status is.
    wait_for("the topology", lambda: status(DATA) or launcher.process.poll() is not None, 60)
    launcher.interrupt()
    code = launcher.wait(60)
    check(code == 0, "Ctrl-C ended with %d: %s" % (code, open("log.txt").read()[-2000:]))
    faults["Ctrl-C"] += 1
    start()


def fill_disk():
    global ballast
    if not has_disk or ballast is not None:
        return
    try:
        with open("disk/ballast", "wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
    except OSError:
        pass
    if not os.path.exists("disk/ballast"):
        return  # it is full without us
    ballast = time.monotonic() + chooser.uniform(0.5, 3)
    faults["full disk"] += 1


def free_disk(at_once=False):
    global ballast
    if ballast is not None and (at_once or time.monotonic() >= ballast):
        os.remove("disk/ballast")
        ballast = None


def kill_producer():
    if producer.process is not None and producer.process.poll() is None:
        producer.kill()
        faults["SIGKILL of a producer"] += 1


def start_again():
    """A run that ended: only a full disk is a reason, and only while it is full."""
    global ballast
    check(ballast is not None and launcher.process.returncode == 1, "weir run ended: " + open("log.txt").read()[-3000:])
    faults["start refused by a full disk"] += 1
    free_disk(at_once=True)
    start()


start()
ends = time.monotonic() + SECONDS
while time.monotonic() < ends:
    if launcher.process.poll() is not None:
        if launcher.process.returncode == 0:
            break
        start_again()
    time.sleep(chooser.uniform(0.05, 0.8))  # the moment of the next fault, not a wait for anything
    producer.turn()
    go_on()
    free_disk()
    fault = chooser.choices([kill_one, stop_one, kill_everyone, interrupt, fill_disk, kill_producer], [6, 5, 1, 1, 2, 2])[0]
    fault()

if launcher.process.poll() not in (None, 0):
    start_again()
free_disk(at_once=True)
go_on(everyone=True)


def over():
    producer.turn()
    if launcher.process.poll() is None:
        return False
    return True


wait_for("the end", over, 120 + SECONDS)
check(launcher.process.returncode == 0, "weir run ended with %s: %s" % (launcher.process.returncode, open("log.txt").read()[-3000:]))

# Every key's totals, each once and in order, computed here.
values = {key: [number for number in range(key, NUMBERS, KEYS)] for key in range(KEYS)}
values.update({KEYS + key: [1000000] * len(range(key, PUBLISHED, KEYS)) for key in range(KEYS)})
# The numbers pass a stage without keys: of one key they may change places there, so a total is checked by its steps.
left = {key: collections.Counter(of) for key, of in values.items()}
totals = collections.Counter()
lines = 0
for shard in range(4):
    with open("out-%d.jsonl" % shard) as out:
        for line in out:
            record = json.loads(line)
            key = record["key"]
            step = record["value"] - totals[key]
            totals[key] = record["value"]
            check(left.get(key, {}).get(step, 0) > 0, "key %s: a step of %s, which is not in its input (any more)" % (key, step))
            left[key][step] -= 1
            lines += 1
check(lines == NUMBERS + PUBLISHED, "%d running totals of %d records" % (lines, NUMBERS + PUBLISHED))
letters = run("dead-letters", "list", "--json", "--data", DATA)
check(letters.returncode == 0 and json.loads(letters.stdout) == [], "dead letters: " + letters.stdout + letters.stderr)
told = re.findall(r"finished chaos in .*: (\d+) records in", open("log.txt").read())
check(told and told[-1] == str(lines), "the last line says %s records in, not %d" % (told, lines))
for fault, times in sorted(faults.items()):
    print("%6d %s" % (times, fault))
print("exact: %d records" % lines)
if has_disk:
    subprocess.run(["umount", "-l", "disk"], check=False)
shutil.rmtree(folder, ignore_errors=True)
