# SPDX-License-Identifier: Apache-2.0
"""What the ways to dispatch an unkeyed stream cost: the same records through a stage of two workers, checked one by one, as
fast as they go. The baseline is least_loaded, in the same run.

WEIR_BIN=build/release/bin python3 tests/bench/dispatch.py [RECORDS]     default 2000000"""
import collections
import json
import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
from weir_run import check, read_records, run  # noqa: E402

RECORDS = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
VALUES = [{"urgency": i % 3, "pad": "x" * 70} for i in range(1000)]  # about 100 bytes with the frame


def seconds_of(dispatch):
    stream = {"dispatch": dispatch, "shards": 3}
    if dispatch == "priority":
        stream["priority"] = {"field": "/urgency"}
    with open(dispatch + ".json", "w") as file:
        json.dump({"name": dispatch, "http": None, "streams": {"in": stream, "out": {"partition": {"by": "hash"}, "key": "/urgency"}, "counts": {}},
                   "stages": {
                       "make": {"plugin": "generate.values", "output": "in", "config": {"values": VALUES, "repeat": RECORDS // len(VALUES)}},
                       "pass": {"plugin": "filter", "input": "in", "output": "out", "workers": 2, "config": {"where": {"field": "/urgency", "op": "exists"}}},
                       "count": {"plugin": "keyed.count", "input": "out", "output": "counts", "config": {"emit": "final"}},
                       "write": {"plugin": "file.write", "input": "counts", "config": {"path": dispatch + ".jsonl"}}}}, file)
    start = time.monotonic()
    result = run("run", dispatch + ".json", "--fresh", timeout=1800)
    took = time.monotonic() - start
    check(result.returncode == 0, result.stderr)
    wanted = collections.Counter({level: count * (RECORDS // len(VALUES)) for level, count in collections.Counter(v["urgency"] for v in VALUES).items()})
    check({r["key"]: r["value"] for r in read_records(dispatch + ".jsonl")} == dict(wanted), "%s: the counts are wrong" % dispatch)
    return took


folder = tempfile.mkdtemp(prefix="weir-dispatch-bench-")
os.chdir(folder)
baseline = None
for way in ("least_loaded", "round_robin", "priority"):
    best = min(seconds_of(way) for _ in range(3))
    baseline = baseline or best
    print("fsync  %s, %d records of 100 bytes, 2 workers: %.2f s from command to exit (best of 3), %.2f million records/s, %.2f of least_loaded"
          % (way, RECORDS, best, RECORDS / best / 1e6, baseline / best), flush=True)
shutil.rmtree(folder)
