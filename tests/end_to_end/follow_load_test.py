# SPDX-License-Identifier: Apache-2.0
"""A stage whose number of workers follows its load: more while records wait and all are busy, no more than it may have,
and fewer again when there is nothing to do; each decision is told, and every record comes out once. Also with the broker
killed in between. follow_load_test.py UNEVEN.so"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

from weir_run import WEIR, Launcher, check, read_records, restart, run, status, wait_for

LIBRARY = os.path.abspath(sys.argv[1])
DATA = ".weir/load"
RECORDS = 3000
RECORD_BYTES = 8192  # so that the input is cut into a good many batches
QUICK_US = 1000  # worker 0 takes ten times as long: alone it has too much to do

folder = tempfile.mkdtemp(prefix="weir-follow-load-")
os.chdir(folder)
with open("load.json", "w") as topology:
    json.dump({
        "name": "load", "libraries": [LIBRARY], "http": {"listen": "127.0.0.1:0"},
        "streams": {"in": {"external": "in"}, "out": {}},
        "stages": {
            "work": {"plugin": "test.uneven", "input": "in", "output": "out", "workers": {"max": 3}, "config": {"us": QUICK_US}},
            "write": {"plugin": "file.write", "input": "out", "config": {"path": "out.jsonl"}}}}, topology)
launcher = Launcher("load.json", log="log.txt")
wait_for("the topology", lambda: launcher.process.poll() is not None or status(DATA))


def stage():
    return next((stage for stage in (status(DATA) or {}).get("stages", []) if stage["name"] == "work"), {})


def produce(count, *more):
    result = subprocess.run([WEIR, "produce", "in", "--data", DATA, *more], capture_output=True, text=True, timeout=120,
                            input=(json.dumps({"value": "x" * RECORD_BYTES}) + "\n") * count)
    check(result.returncode == 0, result.stderr)


wait_for("its only worker", lambda: stage().get("workers") == 1)
produce(RECORDS)
wait_for("more workers", lambda: stage().get("workers", 0) > 1)
check(stage()["workers_wanted"] <= 3, "%s" % stage())
shown = run("status", "--data", DATA).stdout
check("work follows its load with 1 to 3 workers: " in shown and "% busy, and " in shown, shown)
said = run("scale", "work", "4", "--data", DATA)
check(said.returncode == 1 and "follows its load with 1 to 3 workers: it cannot have 4" in said.stderr, said.stderr)
before = stage()["workers_wanted"]
restart(launcher, "broker")
wait_for("the number that was", lambda: stage().get("workers_wanted", 0) >= before and stage().get("workers", 0) >= before)
wait_for("all to be worked off", lambda: stage().get("backlog_records") == 0)
wait_for("its only worker", lambda: stage().get("workers_wanted") == 1 and stage().get("workers") == 1)
produce(1, "--end")
check(launcher.wait(60) == 0, open("log.txt").read()[-2000:])
log = open("log.txt").read()
check("stage work is to have 2 workers: 1 worker is " in log, "the decision is not told: " + log[-2000:])
check("stage work is to have 1 workers: 2 workers are " in log, "the decision is not told: " + log[-2000:])
worked = len(read_records("out.jsonl"))
check(worked == RECORDS + 1, "%d records of %d" % (worked, RECORDS + 1))
shutil.rmtree(folder)
print("ok: it had more workers while there was more to do")
