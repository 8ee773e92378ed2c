# SPDX-License-Identifier: Apache-2.0
"""What it brings to learn boundaries: numbers as keys that lie close together around a place, or around another one from half of them on, over 8 shards by range. The
part of the records that the busiest shard has, by boundaries that divide the numbers into equal stretches, and by those that are
learned. Then what it costs: as fast as they can, records a second by boundaries that fit, and learned. The result is checked.
Parts and ratios, not times, so that it says the same on any machine.

WEIR_BIN=build/release/bin python3 tests/bench/ranges.py [RATE]     default 20000 records a second"""
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
from targets import conclude, target  # noqa: E402
from weir_run import WEIR, Launcher, check, read_records, run, status, wait_for  # noqa: E402

RATE = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
SHARDS, KEYS, SECONDS = 8, 8000, 12
FIXED = [KEYS // SHARDS * shard for shard in range(1, SHARDS)]


def write_topology(boundaries, external, **stages):
    with open("ranges.json", "w") as file:
        json.dump({"name": "ranges", "http": {"listen": "127.0.0.1:0"},
                   "streams": {"in": {"partition": {"by": "range", "boundaries": boundaries}, "shards": SHARDS, **external}, "counts": {}},
                   "stages": {"count": {"plugin": "keyed.count", "input": "in", "output": "counts", "workers": 2, "config": {"emit": "final"}},
                              "write": {"plugin": "file.write", "input": "counts", "config": {"path": "counts.jsonl"}}, **stages}}, file)


def check_counts(counted):
    counts = {record["key"]: record["value"] for record in read_records("counts.jsonl")}
    check(counts == counted, "the counts are wrong")


def busiest(places, boundaries):
    """The part of the records of the shard that has most of them."""
    chooser = random.Random(7)
    keys = [min(KEYS - 1, max(0, int(chooser.gauss(place, KEYS / 50)))) for place in places for _ in range(RATE * SECONDS // len(places))]
    for shard in range(SHARDS):
        if os.path.exists("shard-%d.jsonl" % shard):
            os.remove("shard-%d.jsonl" % shard)
    write_topology(boundaries, {"external": "in"},
                   all={"plugin": "file.write", "input": "in", "workers": 2, "config": {"path": "shard-{shard}.jsonl"}})
    launcher = Launcher("ranges.json", "--fresh", log="log.txt")
    wait_for("the topology", lambda: launcher.process.poll() is not None or status(".weir/ranges"))
    producer = subprocess.Popen([WEIR, "produce", "in", "--data", ".weir/ranges", "--name", "p", "--end"], stdin=subprocess.PIPE, text=True)
    start = time.monotonic()
    for at in range(0, len(keys), RATE // 100):
        producer.stdin.write("".join('{"key": %d, "value": 1}\n' % key for key in keys[at:at + RATE // 100]))
        producer.stdin.flush()
        time.sleep(max(0.0, start + at / RATE - time.monotonic()))  # the rate is what is asked for
    producer.stdin.close()
    check(producer.wait(120) == 0 and launcher.wait(120) == 0, open("log.txt").read()[-2000:])
    check_counts(collections.Counter(keys))
    shards = []
    for shard in range(SHARDS):
        if os.path.exists("shard-%d.jsonl" % shard):
            with open("shard-%d.jsonl" % shard) as lines:
                shards.append(sum(1 for _ in lines))
    check(sum(shards) == len(keys), "the shards have %s" % shards)
    return max(shards) / sum(shards)


def flat_out(boundaries):
    """How long it takes to count keys that are spread evenly, as fast as they come."""
    keys, repeat = [(7 * number) % KEYS for number in range(20_000)], 400
    write_topology(boundaries, {}, make={"plugin": "generate.values", "output": "in",
                                         "config": {"records": [{"key": key, "value": 1} for key in keys], "repeat": repeat}})
    start = time.monotonic()
    result = run("run", "ranges.json", "--fresh")
    took = time.monotonic() - start
    check(result.returncode == 0, result.stderr)
    check_counts({key: repeat * times for key, times in collections.Counter(keys).items()})
    return took


os.chdir(tempfile.mkdtemp(prefix="weir-bench-ranges-"))
for what, places, most in (("stand still", [KEYS * 5 // 16], 2), ("leap once", [KEYS * 3 // 16, KEYS * 13 // 16], 3)):
    fixed, learned = busiest(places, FIXED), busiest(places, "auto")
    print("fsync  keys that %s, %d shards: the busiest has %.2f of the records by equal stretches, %.2f by learned boundaries; %.2f is even"
          % (what, SHARDS, fixed, learned, 1 / SHARDS), flush=True)
    target("the busiest shard by learned boundaries, of an even part, keys that %s" % what, learned * SHARDS, most)
ratio = sorted(flat_out("auto") / flat_out(FIXED) for _ in range(3))[1]
print("fsync  keys spread evenly, as fast as they can: with learned boundaries %.2f times as long as with written ones" % ratio, flush=True)
target("the time with learned boundaries, of that with written ones", ratio, 2)
shutil.rmtree(os.getcwd())
conclude()
