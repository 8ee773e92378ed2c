# SPDX-License-Identifier: Apache-2.0
"""What a thousand parked keys cost the others: a keyed sum with none parked, with keys parked that nothing else comes
of, and with keys parked that go on coming. In turns, each checked for its result.

WEIR_BIN=build/release/bin python3 tests/bench/parked.py [MILLIONS] [TURNS]     default 4 3: of records, of 100,000 keys"""
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
from targets import conclude, target  # noqa: E402
from weir_run import WEIR, Launcher, check, read_records, run, status, wait_for  # noqa: E402

RECORDS = (int(sys.argv[1]) if len(sys.argv) > 1 else 4) * 1_000_000
TURNS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
KEYS, PARKED = 100_000, 1000
WAYS = {"none parked": range(0), "1,000 parked, of which nothing comes": range(KEYS, KEYS + PARKED),
        "1,000 parked, which go on coming": range(PARKED)}


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(name, bad):
    """Records a second of keys that are not parked, and CPU seconds of all processes for a million of them."""
    with open(name + ".json", "w") as file:
        json.dump({
            "name": name, "http": {"listen": "127.0.0.1:0"},
            "streams": {"in": {"external": "in", "partition": {"by": "hash"}, "shards": 32}, "sums": {}},
            "stages": {
                "make": {"plugin": "generate.sequence", "output": "in", "config": {"to": RECORDS, "key_modulo": KEYS}},
                "sum": {"plugin": "keyed.sum", "input": "in", "output": "sums", "on_error": {"then": "park_key"},
                        "config": {"emit": "final"}},
                "write": {"plugin": "file.write", "input": "sums", "config": {"path": name + ".jsonl"}}}}, file)
    data = ".weir/" + name
    launcher = Launcher(name + ".json", "--fresh", "--stages", "none")
    wait_for("the broker", lambda: status(data))
    lines = "".join(json.dumps({"key": key, "value": "no sum"}) + "\n" for key in bad)
    subprocess.run([WEIR, "produce", "in", "--data", data, "--end"], input=lines, text=True, check=True,
                   capture_output=True)
    launcher.interrupt()
    launcher.wait()
    start, cpu_before = time.monotonic(), cpu_of_children()
    result = run("run", name + ".json", timeout=1800)
    seconds, cpu = time.monotonic() - start, cpu_of_children() - cpu_before
    check(result.returncode == 0, result.stderr)
    sums = {record["key"]: record["value"] for record in read_records(name + ".jsonl")}
    check(sums == {key: sum(range(key or KEYS, RECORDS + 1, KEYS)) for key in range(KEYS) if key not in bad},
          "the sums are wrong")
    others = len(sums) * RECORDS / KEYS
    return others / seconds, cpu / others * 1e6


os.chdir(tempfile.mkdtemp(prefix="weir-bench-parked-"))
rates = {way: [] for way in WAYS}
for turn in range(TURNS):
    for number, (way, bad) in enumerate(WAYS.items()):
        rates[way].append(measure("way%d" % number, bad))
base_rate, base_cpu = (statistics.median(column) for column in zip(*rates["none parked"]))
for way, measured in rates.items():
    rate, cpu = (statistics.median(column) for column in zip(*measured))
    print("fsync  %-38s %.2f million records/s of other keys (%s), %.2f of none parked; %.2f CPU s a million, %.2f of none parked"
          % (way, rate / 1e6, " ".join("%.2f" % (each / 1e6) for each, _ in measured), rate / base_rate, cpu, cpu / base_cpu),
          flush=True)
    if way != "none parked":
        target("CPU of others with %s, of none parked" % way, cpu / base_cpu, 1.1)
conclude()
