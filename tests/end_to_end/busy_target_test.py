# SPDX-License-Identifier: Apache-2.0
"""A sink's worker that was started by hand is frozen past its lease, and its file stays locked: its successor waits for it,
says so, can be stopped while it waits, and goes on exactly once when the other has noticed that it lost its rights."""
import json
import os
import shutil
import signal
import tempfile

from weir_run import Feeder, Launcher, broker_endpoint, check, join, read_records, status, wait_for

folder = tempfile.mkdtemp(prefix="weir-busy-")
os.chdir(folder)


def start(name, stream, **stages):
    """A topology without its sink."""
    with open(name + ".json", "w") as file:
        json.dump({"name": name, "http": {"listen": "127.0.0.1:0"}, "streams": {"numbers": stream}, "stages": {
            **stages, "write": {"plugin": "file.write", "input": "numbers", "config": {"path": name + ".jsonl"}}}}, file)
    launcher = Launcher(name + ".json", "--stages", ",".join(stages) or "none", log=name + ".txt")
    wait_for("the broker", lambda: status(".weir/" + name) and broker_endpoint(".weir/" + name))
    return launcher


def said(log, words):
    with open(log) as file:
        return words in file.read()


def freeze_and_replace(name):
    """A worker that holds the file and is missed, and one that waits for the file."""
    first = join(broker_endpoint(".weir/" + name), "write", log=name + "-first.txt")
    wait_for("lines of the first", lambda: os.path.exists(name + ".jsonl") and os.path.getsize(name + ".jsonl") > 0)
    first.send_signal(signal.SIGSTOP)
    wait_for("it to be missed", lambda: said(name + ".txt", "silent for too long"))
    second = join(broker_endpoint(".weir/" + name), "write", log=name + "-second.txt")
    wait_for("the second to wait", lambda: said(name + "-second.txt", name + ".jsonl is being written by another process; waiting for it"))
    return first, second


def it_can_be_stopped_meanwhile():
    launcher = start("stopped", {}, make={"plugin": "generate.sequence", "output": "numbers", "config": {"rate": 10_000}})
    frozen, waiting = freeze_and_replace("stopped")
    launcher.interrupt()
    check(launcher.wait(30) == 0, "it could not be stopped while a sink waited: " + open("stopped.txt").read()[-2000:])
    check(waiting.wait(10) == 0, "who waited did not end well: " + open("stopped-second.txt").read())
    frozen.kill()
    frozen.wait()


def it_goes_on_where_the_other_left_it():
    launcher = start("busy", {"external": "in"})
    feeder = Feeder("numbers", ".weir/busy", 1000)
    frozen, waiting = freeze_and_replace("busy")
    frozen.send_signal(signal.SIGCONT)
    frozen.wait(30)
    feeder.end()
    check(launcher.wait(120) == 0, "it did not finish: " + open("busy.txt").read()[-2000:] + open("busy-second.txt").read())
    check(waiting.wait(10) == 0, "who went on did not end well: " + open("busy-second.txt").read())
    values = [record["value"] for record in read_records("busy.jsonl")]
    check(values == list(range(feeder.numbers)), "%d lines of %d numbers, not each once and in order" % (len(values), feeder.numbers))


for test in (it_can_be_stopped_meanwhile, it_goes_on_where_the_other_left_it):
    test()
    print("ok:", test.__name__, flush=True)
shutil.rmtree(folder)
