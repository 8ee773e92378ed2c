# SPDX-License-Identifier: Apache-2.0
"""Of two workers the tenfold slower one gets less than a quarter where the less loaded one is chosen, and half where
they take turns. dispatch_test.py UNEVEN.so"""
import collections
import json
import os
import shutil
import sys
import tempfile

from weir_run import Launcher, check, metrics, read_records, status, wait_for

LIBRARY = os.path.abspath(sys.argv[1])
RECORDS = 2000
RECORD_BYTES = 8192  # so that the input is cut into a good many batches
QUICK_US = 500  # so that what a sleep takes beyond its time weighs little


def share_of_the_slow_worker(dispatch):
    with open(dispatch + ".json", "w") as topology:
        json.dump({
            "name": dispatch, "libraries": [LIBRARY], "http": {"listen": "127.0.0.1:0"},
            "broker": {"durability": "none"},  # a busy disk would hold up the quick worker, not the slow one
            "streams": {"in": {"dispatch": dispatch}, "out": {}},
            "stages": {
                "read": {"plugin": "generate.values", "output": "in", "config": {"values": ["x" * RECORD_BYTES], "repeat": RECORDS}},
                "work": {"plugin": "test.uneven", "input": "in", "output": "out", "workers": 2, "config": {"us": QUICK_US}},
                "write": {"plugin": "file.write", "input": "out", "config": {"path": dispatch + ".jsonl"}}}}, topology)
    data = ".weir/" + dispatch
    launcher = Launcher(dispatch + ".json", "--hold", log="log.txt")
    wait_for("the end of " + dispatch, lambda: (status(data) or {}).get("state") == "finished" or launcher.process.poll() is not None, 60)
    check(launcher.process.poll() is None, "it ended in spite of --hold: " + open("log.txt").read()[-2000:])
    counted = {dict(labels)["worker"]: value for (name, labels), value in metrics(data).items()
               if name == "weir_stage_records_in_total" and dict(labels)["stage"] == "work"}
    launcher.interrupt()
    check(launcher.wait(30) == 0, "it did not stop cleanly: " + open("log.txt").read()[-2000:])
    # Every record names the worker that it went through.
    worked = collections.Counter(str(record["value"]) for record in read_records(dispatch + ".jsonl"))
    check(sum(worked.values()) == RECORDS, "%d records of %d" % (sum(worked.values()), RECORDS))
    check(counted == dict(worked), "/metrics counts %s by worker, the output has %s" % (counted, dict(worked)))
    print("%s: %s" % (dispatch, counted), flush=True)
    return counted.get("0", 0) / RECORDS


folder = tempfile.mkdtemp(prefix="weir-dispatch-")
os.chdir(folder)
share = share_of_the_slow_worker("least_loaded")
check(share < 0.25, "least_loaded: the slow worker got %.0f %% of the records" % (share * 100))
share = share_of_the_slow_worker("round_robin")
check(0.4 < share < 0.6, "round_robin: the slow worker got %.0f %% of the records" % (share * 100))
shutil.rmtree(folder)
print("ok")
