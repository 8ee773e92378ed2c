# SPDX-License-Identifier: Apache-2.0
"""The end of a topology: with two inputs of which one ends early, and with workers that die after their source's end."""
import collections
import json
import os
import shutil
import tempfile

from weir_run import Launcher, check, read_records, run, status, wait_for

folder = tempfile.mkdtemp(prefix="weir-end-")
os.chdir(folder)


def write_topology(name, long):
    """Two sources, a short one and one of `long` numbers, both into one keyed sum."""
    with open(name + ".json", "w") as topology:
        json.dump({
            "name": name, "http": {"listen": "127.0.0.1:0"},
            "streams": {"few": {"partition": {"by": "hash"}, "shards": 8}, "many": {"partition": {"by": "hash"}, "shards": 8}, "sums": {}},
            "stages": {
                "short": {"plugin": "generate.sequence", "output": "few", "config": {"from": 1, "to": 100, "key_modulo": 7}},
                "long": {"plugin": "generate.sequence", "output": "many", "config": {"from": 1, "to": long, "key_modulo": 7}},
                "sum": {"plugin": "keyed.sum", "inputs": {"in": ["few", "many"]}, "output": "sums", "workers": 2, "config": {"emit": "final"}},
                "write": {"plugin": "file.write", "input": "sums", "config": {"path": name + ".jsonl"}}}}, topology)
    sums = collections.Counter()
    for end in (100, long):
        for number in range(1, end + 1):
            sums[number % 7] += number
    return dict(sums)


def stage(name, of):
    for found in (status(".weir/" + of) or {}).get("stages", []):
        if found["name"] == name:
            return found
    return {"state": "", "records_in": 0, "records_out": 0}


def exact(name, wanted):
    records = read_records(name + ".jsonl")
    check(len(records) == len(wanted), "%s: %d results for %d keys" % (name, len(records), len(wanted)))
    check({record["key"]: record["value"] for record in records} == wanted, "%s: the sums are wrong" % name)


def one_source_ends_early():
    wanted = write_topology("early", 1_000_000)
    result = run("run", "early.json")
    check(result.returncode == 0, result.stderr)
    exact("early", wanted)


def workers_die_after_their_source_has_ended():
    wanted = write_topology("late", 3_000_000)
    launcher = Launcher("late.json", log="log.txt")
    wait_for("the short source's end", lambda: stage("short", "late")["state"] == "finished")
    check(launcher.find("short") is None or wait_for("its worker's exit", lambda: launcher.find("short") is None), "")
    for victim in ("sum", "write"):
        pid = wait_for("a worker of " + victim, lambda: launcher.find(victim) or launcher.process.poll() is not None)
        if launcher.process.poll() is None:
            os.kill(pid, 9)
    # And once more when everything has been read.
    wait_for("the long source's end", lambda: stage("long", "late")["state"] == "finished" or launcher.process.poll() is not None)
    pid = launcher.find("sum")
    if pid is not None:
        os.kill(pid, 9)
    check(launcher.wait() == 0, open("log.txt").read()[-2000:])
    exact("late", wanted)


def an_empty_source_ends_too():
    open("empty.txt", "w").close()
    with open("empty.json", "w") as topology:
        json.dump({"name": "empty", "http": None, "streams": {"lines": {}, "words": {"partition": {"by": "hash"}}, "counts": {}},
                   "stages": {"read": {"plugin": "file.lines", "output": "lines", "config": {"path": "empty.txt"}},
                              "split": {"plugin": "text.words", "input": "lines", "output": "words"},
                              "count": {"plugin": "keyed.count", "input": "words", "output": "counts", "config": {"emit": "final"}},
                              "write": {"plugin": "file.write", "input": "counts", "config": {"path": "empty.jsonl"}}}}, topology)
    result = run("run", "empty.json", timeout=60)
    check(result.returncode == 0 and "0 records in, 0 out, 0 dead letters" in result.stderr, result.stderr)
    check(read_records("empty.jsonl") == [], "something came of nothing")


for case in (one_source_ends_early, workers_die_after_their_source_has_ended, an_empty_source_ends_too):
    case()
    print("ok:", case.__name__, flush=True)
shutil.rmtree(folder)
