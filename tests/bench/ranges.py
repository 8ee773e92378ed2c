# SPDX-License-Identifier: Apache-2.0
"""What it brings to learn boundaries: numbers as keys that lie close together around a place, which moves on, over 8 shards by range. The
part of the records that the busiest shard has, by boundaries that divide the numbers into equal stretches, and by those that are
learned. Then what it costs: as fast as they can, records a second by boundaries that fit, and learned. The result is checked.
Parts and ratios, not times, so that it says the same on any machine.

WEIR_BIN=build/release/bin python3 tests/bench/ranges.py [RATE]     default 20000 records a second"""
import collections
import json
import os
import random
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
from targets import conclude, target  # noqa: E402
from weir_run import check, read_records, run  # noqa: E402

RATE = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
SHARDS, KEYS = 8, 8000
FIXED = [KEYS // SHARDS * shard for shard in range(1, SHARDS)]


def keys_around(places, seed):
    """20,000 keys, as many around each of the places, one place behind the other."""
    chooser = random.Random(seed)
    each = 20_000 // len(places)
    return [min(KEYS - 1, max(0, int(chooser.gauss(place, KEYS / 50)))) for place in places for _ in range(each)]


def go(keys, boundaries, repeat, **rate):
    """How many records each shard has had, and how long it took."""
    stages = {"make": {"plugin": "generate.values", "output": "in",
                       "config": {"records": [{"key": key, "value": 1} for key in keys], "repeat": repeat, **rate}},
              "count": {"plugin": "keyed.count", "input": "in", "output": "counts", "workers": 2, "config": {"emit": "final"}},
              "write": {"plugin": "file.write", "input": "counts", "config": {"path": "counts.jsonl"}},
              "all": {"plugin": "file.write", "input": "in", "workers": 2, "config": {"path": "shard-{shard}.jsonl"}}}
    if not rate:
        del stages["all"]
    with open("ranges.json", "w") as file:
        json.dump({"name": "ranges", "http": {"listen": "127.0.0.1:0"},
                   "streams": {"in": {"partition": {"by": "range", "boundaries": boundaries}, "shards": SHARDS}, "counts": {}},
                   "stages": stages}, file)
    start = time.monotonic()
    result = run("run", "ranges.json", "--fresh")
    took = time.monotonic() - start
    check(result.returncode == 0, result.stderr)
    counts = {record["key"]: record["value"] for record in read_records("counts.jsonl")}
    check(counts == {key: repeat * times for key, times in collections.Counter(keys).items()}, "the counts are wrong")
    shards = []
    for shard in range(SHARDS if rate else 0):
        try:
            with open("shard-%d.jsonl" % shard) as lines:
                shards.append(sum(1 for _ in lines))
        except FileNotFoundError:
            shards.append(0)
    return shards, took


os.chdir(tempfile.mkdtemp(prefix="weir-bench-ranges-"))
for what, places in (("stand still", [KEYS // 3]), ("move on", [KEYS // 8, KEYS // 2, KEYS * 7 // 8])):
    # Each place for as long as it takes to follow it, and longer.
    keys = keys_around(places, 7)
    stretched = [key for place in range(len(places)) for _ in range(10) for key in keys[place * len(keys) // len(places):(place + 1) * len(keys) // len(places)]]
    (fixed, _), (learned, _) = (go(stretched, boundaries, 1, rate=RATE) for boundaries in (FIXED, "auto"))
    parts = [max(shards) / sum(shards) for shards in (fixed, learned)]
    print("fsync  keys that %s, %d shards: the busiest has %.2f of the records by equal stretches, %.2f by learned boundaries; %.2f is even"
          % (what, SHARDS, *parts, 1 / SHARDS), flush=True)
    target("the busiest shard by learned boundaries, of an even part, keys that %s" % what, parts[1] * SHARDS, 2)
keys = [(7 * number) % KEYS for number in range(20_000)]
pairs = [(go(keys, FIXED, 200)[1], go(keys, "auto", 200)[1]) for _ in range(3)]
ratio = sorted(learned / fixed for fixed, learned in pairs)[1]
print("fsync  keys spread evenly, as fast as they can: with learned boundaries %.2f of the time with written ones" % ratio, flush=True)
target("the time with learned boundaries, of that with written ones", ratio, 1.5)
shutil.rmtree(os.getcwd())
conclude()
