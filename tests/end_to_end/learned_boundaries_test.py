# SPDX-License-Identifier: Apache-2.0
"""Boundaries that are learned: records whose keys drift, from files and from a producer outside, are counted and summed by several
workers and written as they come, while workers and the broker are killed and boundaries move. Every key's result is what a loop
over the input gives, once; the running counts of a key are 1, 2, 3 ... in order; and behind the drift the busiest shard has little more than
its part, where with the boundaries from before it would have all.

learned_boundaries_test.py RECORDS KILLS [SEED]"""
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading

from weir_run import WEIR, Launcher, check, check_running_counts, kill_at_random, letters, metrics, read_records, run, status, wait_for

RECORDS, KILLS = int(sys.argv[1]), int(sys.argv[2])
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 1
SHARDS = 8
DATA = ".weir/ranges"
os.chdir(tempfile.mkdtemp(prefix="weir-learned-boundaries-"))

chooser = random.Random(SEED)
PHASES = [(1_000, 60), (1_400, 100), (9_000, 400), (100, 40)]  # where keys lie: around what, and how far


def key_of(place):
    centre, width = PHASES[min(int(place * len(PHASES)), len(PHASES) - 1)]
    number = max(0, int(chooser.gauss(centre, width)))
    # Some are floats, and some strings, which stand behind all numbers.
    return number + 0.5 if number % 17 == 0 else "k%04d" % number if number % 5 == 0 else number


records = [(key_of(i / RECORDS), chooser.randint(-1000, 1000)) for i in range(RECORDS)]
values = collections.defaultdict(list)
for key, value in records:
    values[key].append(value)
inside, outside = records[:RECORDS // 2], records[RECORDS // 2:]
with open("inside.jsonl", "w") as file:
    file.writelines(json.dumps({"k": key, "v": value}) + "\n" for key, value in inside)

streams = {"lines": {}, "counts": {"partition": {"by": "hash"}}, "sums": {}, "by_sum": {"transport": "fused"},
           "keyed": {"partition": {"by": "range", "boundaries": "auto"}, "shards": SHARDS, "key": "/k", "external": "in",
                     "compression": "lz4"}}
stages = {"read": {"plugin": "file.lines", "output": "lines", "config": {"path": "inside.jsonl"}},
          "parse": {"plugin": "text.json", "input": "lines", "output": "keyed", "workers": 2},
          "count": {"plugin": "keyed.count", "input": "keyed", "output": "counts", "workers": 2, "state": {"store": "rocksdb"}},
          "write_count": {"plugin": "file.write", "input": "counts", "config": {"path": "running.jsonl"}},
          "sum": {"plugin": "keyed.sum", "input": "keyed", "output": "by_sum", "workers": 2, "config": {"field": "/v", "emit": "final"}},
          "keep": {"plugin": "filter", "input": "by_sum", "output": "sums", "workers": 2, "config": {"where": {"field": "", "op": "exists"}}},
          "write_sum": {"plugin": "file.write", "input": "sums", "config": {"path": "sums.jsonl"}},
          "all": {"plugin": "file.write", "input": "keyed", "config": {"path": "all.jsonl"}}}
with open("ranges.json", "w") as file:
    json.dump({"name": "ranges", "http": {"listen": "127.0.0.1:0"}, "streams": streams, "stages": stages}, file)


def keyed():
    return next((stream for stream in (status(DATA) or {}).get("streams", []) if stream["name"] == "keyed"), {})


def consumed():
    return next((stage["records_in"] for stage in (status(DATA) or {}).get("stages", []) if stage["name"] == "sum"), 0)


class Outside(threading.Thread):
    """Publishes `outside` 200 at a time, a hundred times a second."""

    def __init__(self):
        super().__init__(daemon=True)
        self.producer = subprocess.Popen([WEIR, "produce", "keyed", "--data", DATA, "--name", "outside", "--end"],
                                         stdin=subprocess.PIPE, stderr=open("produce.txt", "a"), text=True)
        self.sent = 0
        self.pace = threading.Event()  # never set: what is waited for is the next turn
        self.start()

    def run(self):
        while self.sent < len(outside):
            self.producer.stdin.write("".join(json.dumps({"value": {"k": key, "v": value}}) + "\n"
                                              for key, value in outside[self.sent:self.sent + 200]))
            self.producer.stdin.flush()
            self.sent += 200
            self.pace.wait(0.01)
        self.producer.stdin.close()


launcher = Launcher("ranges.json", "--hold", log="log.txt")
wait_for("the topology", lambda: launcher.process.poll() is not None or status(DATA))
producer = Outside()
wait_for("boundaries", lambda: launcher.process.poll() is not None or keyed().get("boundaries"))
check(launcher.process.poll() is None, open("log.txt").read()[-2000:])
check(run("scale", "sum", "3", "--data", DATA).returncode == 0, "it cannot be scaled")
done = collections.Counter()
victims = ["broker", "parse", "count", "sum", "all"] * KILLS
chooser.shuffle(victims)
for number, victim in enumerate(victims):
    if producer.sent > 0.6 * len(outside):
        break
    done += kill_at_random(launcher, [victim], consumed, SEED + number)
print("killed:", dict(done), "moves:", keyed().get("boundary_moves"), flush=True)
check(sum(done.values()) >= KILLS, "too few kills: give it more records")
# The keys have come to their last place: what comes now is spread evenly, and where it was before all of it would be in one shard.
wait_for("the last phase", lambda: producer.sent >= len(outside) * 0.8)
before = wait_for("the shards", lambda: keyed().get("shard_records"))
wait_for("the producer", lambda: not producer.is_alive(), 120)
check(producer.producer.wait(300) == 0, open("produce.txt").read())
wait_for("the end", lambda: launcher.process.poll() is not None or (status(DATA) or {}).get("state") == "finished", 300)
check(launcher.process.poll() is None, "it failed: " + open("log.txt").read()[-2000:])

end = keyed()
came = [now - was for now, was in zip(end["shard_records"], before)]
check(sum(end["shard_records"]) == end["records"] == RECORDS, "records are missing in %s" % end)
check(len(end["boundaries"]) == SHARDS - 1 and end["boundary_moves"] > 10, "the boundaries have not moved: %s" % end)
check(max(came) < 2.5 * sum(came) / SHARDS, "the shards are uneven: %s came at %s" % (came, end["boundaries"]))
told = [value for (name, labels), value in metrics(DATA).items()
        if name == "weir_stream_boundary_moves_total" and dict(labels)["stream"] == "keyed"]
check(told == [end["boundary_moves"]], "%s" % told)
check("boundaries of keyed: " in run("status", "--data", DATA).stdout, "a person is not told")
check(letters("ranges") == [], "there are dead letters")
launcher.interrupt()
check(launcher.wait() == 0, open("log.txt").read()[-2000:])

counts = collections.Counter({key: len(all) for key, all in values.items()})
check_running_counts("running.jsonl", counts)
sums = read_records("sums.jsonl")
check(len(sums) == len(values), "%d sums for %d keys" % (len(sums), len(values)))
for record in sums:
    check(record["value"] == sum(values[record["key"]]), "the sum of %s is %s" % (record["key"], record["value"]))
# A sink that has no state sees each record once, and those of a key from the producer in the order in which they were sent.
written = collections.defaultdict(list)
with open("all.jsonl") as lines:
    for line in lines:
        record = json.loads(line)["value"]
        written[record["k"]].append(record["v"])
check({key: sorted(all) for key, all in written.items()} == {key: sorted(all) for key, all in values.items()}, "the sink has others")
shutil.rmtree(os.getcwd())
print("exact: %d records, %d keys, %d moves of boundaries, %s in the end" % (RECORDS, len(values), end["boundary_moves"], came))
