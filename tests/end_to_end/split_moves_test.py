# SPDX-License-Identifier: Apache-2.0
"""A source is scaled while it reads: splits that are being read go on with newcomers, each exactly where it was left, whoever is
killed meanwhile. Of each split every record arrives once, in its order, over the broker; over send_receive every record arrives."""
import json
import os
import random
import shutil
import signal
import sys
import tempfile

from weir_run import Launcher, check, children_of, metrics, read_records, role_of, run, status, wait_for

LIBRARY = sys.argv[1]
SPLITS, RECORDS = 8, 12_000
DATA = ".weir/moves"
folder = tempfile.mkdtemp(prefix="weir-moves-")
os.chdir(folder)

with open("moves.json", "w") as topology:
    json.dump({
        "name": "moves", "libraries": [LIBRARY], "http": {"listen": "127.0.0.1:0"},
        "streams": {"drops": {}, "past": {"transport": "send_receive"}, "passed": {}},
        "stages": {
            "read": {"plugin": "test.drips", "output": "drops", "config": {"splits": SPLITS, "records": RECORDS}},
            "write": {"plugin": "file.write", "input": "drops", "config": {"path": "out.jsonl"}},
            "send": {"plugin": "test.drips", "output": "past", "config": {"splits": SPLITS, "records": RECORDS // 4}},
            "pass": {"plugin": "filter", "input": "past", "output": "passed", "config": {"where": {"field": "", "op": ">=", "value": 0}}},
            "list": {"plugin": "file.write", "input": "passed", "config": {"path": "passed.jsonl"}}}}, topology)


def stage_of(name):
    return next((stage for stage in (status(DATA) or {}).get("stages", []) if stage["name"] == name), {})


def read():
    return stage_of("read").get("records_out", 0)


def shares(stage="read"):
    """The splits that each running worker of the stage reads."""
    return sorted(len(worker["shards"]) for worker in (status(DATA) or {}).get("workers", [])
                  if worker["stage"] == stage and worker["state"] == "running")


def scale(stage, number, *more):
    result = run("scale", stage, str(number), "--data", DATA, *more)
    check(result.returncode == 0, "%s%s" % (result.stderr, open("log.txt").read()[-2000:]))


def processes(role):
    return [pid for pid, arguments in children_of(launcher.process.pid).items() if role_of(arguments) == role]


def goes_on(records=200):
    goal = read() + records
    wait_for("more records", lambda: read() >= goal)


launcher = Launcher("moves.json", log="log.txt")
wait_for("one worker to read all splits", lambda: launcher.process.poll() is not None or shares() == [SPLITS])
goes_on()
scale("read", 3, "--wait")
check(shares() == [2, 3, 3], "uneven: %s" % shares())
scale("send", 3, "--wait")
check(shares("send") == [2, 3, 3], "uneven: %s" % shares("send"))


def read_by():
    """Records that each worker of the source has emitted."""
    return {dict(labels)["worker"]: value for (name, labels), value in metrics(DATA).items()
            if name == "weir_stage_records_out_total" and dict(labels)["stage"] == "read"}


before = read_by()
wait_for("all three to read", lambda: len(read_by()) == 3 and all(value > before.get(worker, 0) for worker, value in read_by().items()))
check("lost its rights" not in open("log.txt").read() and "fenced" not in open("log.txt").read(), open("log.txt").read()[-2000:])

# Whoever gives, whoever takes, and the broker die while splits move.
chooser = random.Random(7)
killed = 0
for number in [1, 3, 1, 4, 2, 3]:
    before = shares()
    scale("read", number)
    wait_for("a split to move", lambda: shares() != before)
    victim = chooser.choice(processes(chooser.choice(["read", "read", "broker"])) or [0])
    if victim:
        os.kill(victim, signal.SIGKILL)
        killed += 1
    wait_for("the broker", lambda: status(DATA))
    scale("read", number, "--wait")
    wait_for("fair shares", lambda: len(shares()) == number and max(shares()) - min(shares()) <= 1)
    goes_on()
check(killed >= 4, "only %d were killed" % killed)
check(read() < SPLITS * RECORDS, "all was read before the end of the moves")
check(launcher.wait(120) == 0, open("log.txt").read()[-3000:])

due = {str(split): 0 for split in range(SPLITS)}
for record in read_records("out.jsonl"):
    check(record["value"] == due[record["key"]], "split %s: %d came where %d was due" % (record["key"], record["value"], due[record["key"]]))
    due[record["key"]] += 1
check(set(due.values()) == {RECORDS}, "splits end at %s" % due)
passed = {(record["key"], record["value"]) for record in read_records("passed.jsonl")}
check(len(passed) == SPLITS * (RECORDS // 4), "%d of %d records came over send_receive" % (len(passed), SPLITS * (RECORDS // 4)))
shutil.rmtree(folder)
print("ok: %d splits moved while %d processes were killed, and every record came once, in order" % (SPLITS, killed))
