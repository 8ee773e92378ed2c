# SPDX-License-Identifier: Apache-2.0
"""A sink's worker that was started by hand is frozen past its lease, and its file stays locked: its successor waits for it,
says so, can be stopped while it waits, and goes on exactly once when the other has noticed that it lost its rights."""
import json
import os
import shutil
import signal
import tempfile

from weir_run import Launcher, broker_endpoint, check, join, read_records, status, wait_for

NUMBERS, RATE = 400_000, 10_000
DATA = ".weir/busy"

folder = tempfile.mkdtemp(prefix="weir-busy-")
os.chdir(folder)
with open("busy.json", "w") as topology:
    json.dump({
        "name": "busy", "http": {"listen": "127.0.0.1:0"}, "streams": {"numbers": {}},
        "stages": {
            "make": {"plugin": "generate.sequence", "output": "numbers", "config": {"from": 1, "to": NUMBERS, "rate": RATE}},
            "write": {"plugin": "file.write", "input": "numbers", "config": {"path": "out.jsonl"}}}}, topology)


def start(log):
    """A topology without its sink."""
    launcher = Launcher("busy.json", "--stages", "make", log=log)
    wait_for("the broker", lambda: (status(DATA) or {}).get("state") == "running")
    return launcher


def said(log, words):
    with open(log) as file:
        return words in file.read()


def written():
    return os.path.getsize("out.jsonl") if os.path.exists("out.jsonl") else 0


def freeze_and_replace(log, number):
    """A worker that holds the file and is missed, and one that waits for the file."""
    before = written()
    first = join(broker_endpoint(DATA), "write", log="first%d.txt" % number)
    wait_for("lines of the first", lambda: written() > before)
    first.send_signal(signal.SIGSTOP)
    wait_for("it to be missed", lambda: said(log, "silent for too long"), 60)
    second = join(broker_endpoint(DATA), "write", log="second%d.txt" % number)
    wait_for("the second to wait", lambda: said("second%d.txt" % number, "out.jsonl is being written by another process; waiting for it"))
    return first, second


launcher = start("log1.txt")
frozen, waiting = freeze_and_replace("log1.txt", 1)
launcher.interrupt()
check(launcher.wait(30) == 0, "it could not be stopped while a sink waited: " + open("log1.txt").read()[-2000:])
check(waiting.wait(10) == 0, "who waited did not end well: " + open("second1.txt").read())
frozen.kill()
frozen.wait()
print("ok: it can be stopped meanwhile", flush=True)

launcher = start("log2.txt")
frozen, waiting = freeze_and_replace("log2.txt", 2)
frozen.send_signal(signal.SIGCONT)
frozen.wait(30)
check(launcher.wait(300) == 0, "it did not finish: " + open("log2.txt").read()[-2000:] + open("second2.txt").read())
check(waiting.wait(10) == 0, "who went on did not end well: " + open("second2.txt").read())
values = [record["value"] for record in read_records("out.jsonl")]
check(values == list(range(1, NUMBERS + 1)), "%d lines, not each number once and in order" % len(values))
print("ok: it goes on where the other left it", flush=True)
shutil.rmtree(folder)
