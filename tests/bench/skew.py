# SPDX-License-Identifier: Apache-2.0
"""What it brings to share shards out by their load, and to split hot keys: keys by Zipf's law over 32 shards and four workers, and the
part of all records that the busiest worker has, while each has eight shards and when shards have moved. Then, as fast as they can,
the same with "hot_keys": "split" and without, and the processor time of the stage and of those that send to it. The result is
checked. Parts and ratios, not times, so that it says the same on any machine.

WEIR_BIN=build/release/bin python3 tests/bench/skew.py [RATE]     default 20000 records a second"""
import collections
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
from targets import conclude, target  # noqa: E402
from weir_run import Launcher, check, children_of, metrics, read_records, role_of, status, wait_for  # noqa: E402

RATE = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
KEYS, SHARDS, WORKERS = 10_000, 32, 4


def by_worker(data):
    return {dict(labels)["worker"]: value for (name, labels), value in metrics(data).items()
            if name == "weir_stage_records_in_total" and dict(labels)["stage"] == "count"}


def busiest(data, records):
    """Its part of the next so many records."""
    before = by_worker(data)
    def taken():
        now = by_worker(data)
        return {worker: now[worker] - before.get(worker, 0) for worker in now}
    found = wait_for("records", lambda: (lambda some: some if sum(some.values()) >= records else None)(taken()))
    return max(found.values()) / sum(found.values())


def keys_of(skew, seed):
    chooser = random.Random(seed)
    return chooser.choices(range(KEYS), weights=[1 / (rank + 1) ** skew for rank in range(KEYS)], k=20_000)


def write_topology(keys, hot_keys, repeat, **rate):
    with open("skew.json", "w") as file:
        json.dump({
            "name": "skew", "http": {"listen": "127.0.0.1:0"},
            "streams": {"in": {"partition": {"by": "hash", "hot_keys": hot_keys}, "shards": SHARDS}, "counts": {}},
            "stages": {
                "make": {"plugin": "generate.values", "output": "in",
                         "config": {"records": [{"key": key, "value": 1} for key in keys], "repeat": repeat, **rate}},
                "count": {"plugin": "keyed.count", "input": "in", "output": "counts", "workers": WORKERS, "config": {"emit": "final"}},
                "write": {"plugin": "file.write", "input": "counts", "config": {"path": "skew.jsonl"}}}}, file)


def check_counts(keys, repeat):
    counts = {record["key"]: record["value"] for record in read_records("skew.jsonl")}
    check(counts == {key: repeat * times for key, times in collections.Counter(keys).items()}, "the counts are wrong")


def measure(skew, seed):
    keys = keys_of(skew, seed)
    hottest = max(collections.Counter(keys).values()) / len(keys)
    write_topology(keys, "none", 30, rate=RATE)
    data = ".weir/skew"
    launcher = Launcher("skew.json", "--fresh", log="log.txt")
    held = lambda: [len(worker["shards"]) for worker in (status(data) or {"workers": []})["workers"] if worker["stage"] == "count"]
    wait_for("all workers", lambda: held() == [SHARDS // WORKERS] * WORKERS and sum(by_worker(data).values()) > 0)
    dealt = busiest(data, RATE // 2)
    moving = lambda: next(stage["shards_moving"] for stage in status(data)["stages"] if stage["name"] == "count")
    taken = sum(by_worker(data).values())
    wait_for("shards to have moved", lambda: sum(by_worker(data).values()) > taken + 8 * RATE and moving() == 0)
    shared = busiest(data, 4 * RATE)
    shards = sorted(held())
    check(launcher.wait(120) == 0, open("log.txt").read()[-2000:])
    check_counts(keys, 30)
    # The best that whole keys allow: a fourth, or what the hottest key alone has.
    best = max(1 / WORKERS, hottest)
    print("fsync  Zipf %.1f: the busiest of %d workers has %.2f of the records with %d shards each, %.2f where they have %s; no less than %.2f is possible"
          % (skew, WORKERS, dealt, SHARDS // WORKERS, shared, " ".join(map(str, shards)), best), flush=True)
    return shared / best


def seconds_of(pid):
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def flat_out(skew, hot_keys):
    """The busiest worker's part of the second half of the records, and microseconds of processor time for a record, of those who send
    and of those who count."""
    keys, repeat = keys_of(skew, 7), 300
    data, records = ".weir/skew", len(keys) * repeat
    write_topology(keys, hot_keys, repeat)
    launcher = Launcher("skew.json", "--fresh", "--hold", log="log.txt")
    spent, half = {}, {}
    def ended():
        for pid, arguments in children_of(launcher.process.pid).items():
            if role_of(arguments) in ("make", "count"):
                with contextlib.suppress(OSError):
                    spent[pid] = seconds_of(pid)
        if not half and sum((now := by_worker(data)).values()) > records / 2:
            half.update(now)
        return (status(data) or {}).get("state") == "finished"
    wait_for("the end", ended, 300)
    taken = {worker: number - half[worker] for worker, number in by_worker(data).items()}
    hot = next(stream for stream in status(data)["streams"] if stream["name"] == "in").get("hot_keys", {"ratio": 0})
    launcher.interrupt()
    check(launcher.wait(120) == 0, open("log.txt").read()[-2000:])
    check_counts(keys, repeat)
    return max(taken.values()) / sum(taken.values()), 1e6 * sum(spent.values()) / records, hot["ratio"]


os.chdir(tempfile.mkdtemp(prefix="weir-bench-skew-"))
for skew in (1.0, 1.2, 1.5, 2.0):
    target("the busiest worker, of the least that is possible, Zipf %.1f" % skew, measure(skew, 7), 1.3)
for skew in (1.0, 1.2, 1.5, 2.0):
    (plain, plain_us, _), (split, split_us, ratio) = flat_out(skew, "none"), flat_out(skew, "split")
    print("fsync  Zipf %.1f, as fast as they can: the busiest of %d workers has %.2f of the records, %.2f with hot keys split, which have %.2f of them; "
          "%.2f us of processor time a record in who sends and who counts, %.2f with hot keys split"
          % (skew, WORKERS, plain, split, ratio, plain_us, split_us), flush=True)
    target("the busiest worker with hot keys split, of an even share, Zipf %.1f" % skew, split * WORKERS, 1.3)
    target("processor time with hot keys split, of that without, Zipf %.1f" % skew, split_us / plain_us, 1.6)
shutil.rmtree(os.getcwd())
conclude()
