# SPDX-License-Identifier: Apache-2.0
"""What state in RocksDB costs beside state in memory: the same records summed by key in turns, keys spread evenly and skewed (Zipf
1.2), each result checked. CPU seconds are of all processes of a run, the resident size is the summing worker's. The baseline is
memory, in the same run.

WEIR_BIN=build/release/bin python3 tests/bench/state.py [RECORDS] [KEYS] [ROUNDS]     default 1000000, 200000, 3"""
import collections
import itertools
import json
import os
import random
import resource
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
from weir_run import check, read_records, run  # noqa: E402

RECORDS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
KEYS = int(sys.argv[2]) if len(sys.argv) > 2 else 200_000
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 3


def make(name, keys):
    """Lines of keys, and how often each is in them."""
    counts = collections.Counter(keys)
    with open(name, "w") as file:
        file.writelines("%d\n" % key for key in keys)
    return counts


def once(name, store, counts):
    """CPU seconds."""
    with open("state.json", "w") as file:
        json.dump({"name": "state", "http": None,
                   "streams": {"lines": {}, "keys": {"key": "", "partition": {"by": "hash"}, "shards": 8}, "counts": {}},
                   "stages": {
                       "read": {"plugin": "file.lines", "output": "lines", "config": {"path": name}},
                       "parse": {"plugin": "text.json", "input": "lines", "output": "keys"},
                       "count": {"plugin": "keyed.count", "input": "keys", "output": "counts", "state": {"store": store}, "memory": "16MiB",
                                 "config": {"emit": "final"}},
                       "write": {"plugin": "file.write", "input": "counts", "config": {"path": "out.jsonl"}}}}, file)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = run("run", "state.json", "--fresh", timeout=3600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    check(result.returncode == 0, result.stderr)
    check({r["key"]: r["value"] for r in read_records("out.jsonl")} == counts, "%s, %s: the counts are wrong" % (name, store))
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


folder = tempfile.mkdtemp(prefix="weir-state-bench-")
os.chdir(folder)
chooser = random.Random(3)
weights = list(itertools.accumulate(1 / rank ** 1.2 for rank in range(1, KEYS + 1)))
inputs = {"uniform": make("uniform", [chooser.randrange(KEYS) for _ in range(RECORDS)]),
          "zipf": make("zipf", chooser.choices(range(KEYS), cum_weights=weights, k=RECORDS))}
for name, counts in inputs.items():
    found = {"memory": [], "rocksdb": []}
    for _ in range(ROUNDS):
        for store in found:
            found[store].append(once(name, store, counts))
    base = min(found["memory"])
    for store, figures in found.items():
        print("fsync  %-7s %-7s %d records of %d keys: %.2f CPU seconds (best of %d), %.2f of memory"
              % (name, store, RECORDS, len(counts), min(figures), ROUNDS, min(figures) / base), flush=True)
shutil.rmtree(folder)
