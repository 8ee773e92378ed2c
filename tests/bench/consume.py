# SPDX-License-Identifier: Apache-2.0
"""What a group outside costs beside a sink: numbers from a source through one stream to `file.write`, to `weir consume`, and to
the C++ program of the end-to-end tests, which does as little with them. In turns; each result is checked.

WEIR_BIN=build/release/bin python3 tests/bench/consume.py PROGRAM [MILLIONS] [TURNS]     default 2 3: of records"""
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
from weir_run import WEIR, Launcher, check, status, wait_for  # noqa: E402

PROGRAM = os.path.abspath(sys.argv[1])
RECORDS = int(float(sys.argv[2]) * 1_000_000) if len(sys.argv) > 2 else 2_000_000
TURNS = int(sys.argv[3]) if len(sys.argv) > 3 else 3


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(name, durability, reader):
    """CPU seconds of all processes for a million records."""
    stages = {"make": {"plugin": "generate.sequence", "output": "out", "config": {"from": 1, "to": RECORDS}}}
    if reader is None:
        stages["write"] = {"plugin": "file.write", "input": "out", "config": {"path": name + ".jsonl"}}
    with open(name + ".json", "w") as file:
        json.dump({"name": name, "http": {"listen": "127.0.0.1:0"}, "broker": {"durability": durability},
                   "streams": {"out": {} if reader is None else {"external": "out"}}, "stages": stages}, file)
    before = cpu_of_children()
    launcher = Launcher(name + ".json", "--fresh")
    if reader is not None:
        wait_for("the broker", lambda: status(".weir/" + name))
        with open(name + ".jsonl", "w") as out:
            check(subprocess.run([*reader, ".weir/" + name, *(("out", "g") if reader[0] == PROGRAM else ())], stdout=out,
                                 stderr=subprocess.DEVNULL, timeout=1800).returncode == 0, "the reader failed")
    check(launcher.wait(1800) == 0, "the run failed")
    cpu = cpu_of_children() - before
    with open(name + ".jsonl") as lines:
        total = 0
        for count, line in enumerate(lines, start=1):
            total += json.loads(line)["value"]
    check(count == RECORDS and total == RECORDS * (RECORDS + 1) // 2, "%s: %d records" % (name, count))
    return cpu / RECORDS * 1e6


os.chdir(tempfile.mkdtemp(prefix="weir-bench-consume-"))
WAYS = {"file.write": None, "weir consume": [WEIR, "consume", "out", "--group", "g", "--data"], "a C++ program": [PROGRAM]}
for durability in ("fsync", "none"):
    found = {way: [] for way in WAYS}
    for _ in range(TURNS):
        for way, reader in WAYS.items():
            found[way].append(measure("c", durability, reader))
    base = statistics.median(found["file.write"])
    for way, seconds in found.items():
        median = statistics.median(seconds)
        print("durability %-5s  %-14s %6.2f CPU s a million records  %5.2f of file.write's" % (durability, way, median, median / base), flush=True)
