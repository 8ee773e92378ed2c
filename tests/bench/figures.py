# SPDX-License-Identifier: Apache-2.0
"""First figures of whole topologies, each checked for its result before it is printed.

WEIR_BIN=build/release/bin python3 tests/bench/figures.py [MEGABYTES]     default 200"""
import json
import os
import platform
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
from weir_run import Launcher, check, make_text, metrics, read_records, run, status, wait_for  # noqa: E402

MEGABYTES = float(sys.argv[1]) if len(sys.argv) > 1 else 200
HTTP = {"listen": "127.0.0.1:0"}


def write_topology(name, topology):
    with open(name + ".json", "w") as file:
        json.dump({"name": name, "http": HTTP, **topology}, file)
    return name + ".json"


def timed(topology):
    start = time.monotonic()
    result = run("run", topology, "--fresh", timeout=1800)
    seconds = time.monotonic() - start
    check(result.returncode == 0, result.stderr)
    return seconds


def wordcount():
    counts, lines = make_text("input.txt", MEGABYTES, 3)
    topology = write_topology("wordcount", {
        "streams": {"lines": {}, "words": {"partition": {"by": "hash"}, "shards": 32}, "counts": {}},
        "stages": {
            "read": {"plugin": "file.lines", "output": "lines", "config": {"path": "input.txt"}},
            "split": {"plugin": "text.words", "input": "lines", "output": "words", "workers": 2},
            "count": {"plugin": "keyed.count", "input": "words", "output": "counts", "workers": 2, "config": {"emit": "final"}},
            "write": {"plugin": "file.write", "input": "counts", "config": {"path": "counts.jsonl"}}}})
    seconds = timed(topology)
    check({r["key"]: r["value"] for r in read_records("counts.jsonl")} == dict(counts), "the counts are wrong")
    words = sum(counts.values())
    print("fsync  wordcount, %d MB, %d lines, %d words: %.1f s from command to exit, %.2f million words/s"
          % (MEGABYTES, lines, words, seconds, words / seconds / 1e6), flush=True)


def keyed_sum():
    keys, repeat = 1000, 5000
    # A record of about 100 bytes: 16 of frame, a short key, a map with a number and padding.
    records = [{"key": "k%03d" % n, "value": {"n": n, "pad": "x" * 64}} for n in range(keys)]
    topology = write_topology("keyed-sum", {
        "streams": {"in": {"partition": {"by": "hash"}, "shards": 32}, "sums": {}},
        "stages": {
            "make": {"plugin": "generate.values", "output": "in", "config": {"records": records, "repeat": repeat}},
            "sum": {"plugin": "keyed.sum", "input": "in", "output": "sums", "config": {"field": "/n", "emit": "final"}},
            "write": {"plugin": "file.write", "input": "sums", "config": {"path": "sums.jsonl"}}}})
    seconds = timed(topology)
    check({r["key"]: r["value"] for r in read_records("sums.jsonl")} == {"k%03d" % n: n * repeat for n in range(keys)}, "the sums are wrong")
    print("fsync  keyed sum, %d records of 100 bytes: %.1f s from command to exit, %.2f million records/s"
          % (keys * repeat, seconds, keys * repeat / seconds / 1e6), flush=True)


def latency():
    rate, seconds = 10_000, 10
    topology = write_topology("latency", {
        "streams": {"in": {"partition": {"by": "hash"}, "shards": 8}, "sums": {}},
        "stages": {
            "make": {"plugin": "generate.sequence", "output": "in", "config": {"rate": rate, "to": rate * seconds - 1, "key_modulo": 100}},
            "sum": {"plugin": "keyed.sum", "input": "in", "output": "sums"},
            "write": {"plugin": "file.write", "input": "sums", "config": {"path": "running.jsonl"}}}})
    launcher = Launcher(topology, "--fresh", "--hold")
    wait_for("the end", lambda: (status(".weir/latency") or {}).get("state") == "finished", 120)
    buckets = sorted((float(dict(labels)["le"]), count) for (name, labels), count in metrics(".weir/latency").items()
                     if name == "weir_end_to_end_seconds_bucket" and dict(labels)["le"] != "+Inf")
    launcher.interrupt()
    launcher.wait(30)
    check(len(read_records("running.jsonl")) == rate * seconds, "records are missing")

    def percentile(share):
        return next((bound for bound, count in buckets if count >= share * buckets[-1][1]), float("inf"))

    print("fsync  latency at %d records/s, source to sink's flush, upper bounds of histogram buckets: p50 %.3g ms, p99 %.3g ms"
          % (rate, percentile(0.5) * 1e3, percentile(0.99) * 1e3), flush=True)


folder = tempfile.mkdtemp(prefix="weir-figures-")
os.chdir(folder)
print("machine: %s, %d cores, %s" % (platform.machine(), os.cpu_count(), platform.platform()), flush=True)
wordcount()
keyed_sum()
latency()
shutil.rmtree(folder)
