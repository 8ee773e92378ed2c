# SPDX-License-Identifier: Apache-2.0
"""Hot keys that are split: records by Zipf's law, from a stage and from a producer outside, are counted, summed and reduced by
several workers, while workers and the broker are killed, one stage is scaled and one is upgraded. Every key's result is what a loop
over the input gives, once; the running counts of a key only rise, and end with it. The status names the keys that are hot.

hot_keys_test.py RECORDS KILLS [SEED]"""
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

from weir_run import WEIR, Launcher, check, kill_at_random, letters, metrics, read_records, run, status, wait_for

RECORDS, KILLS = int(sys.argv[1]), int(sys.argv[2])
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 1
KEYS, SHARDS = 5000, 16
DATA = ".weir/hot"
os.chdir(tempfile.mkdtemp(prefix="weir-hot-keys-"))

chooser = random.Random(SEED)
# What a key is called says nothing of how frequent it is, and values are in no order.
names = ["key%d" % (rank * 7919 % 100_003) for rank in range(KEYS)]
chosen = chooser.choices(names, weights=[1 / (rank + 1) ** 1.3 for rank in range(KEYS)], k=RECORDS)
records = [(key, chooser.randint(-1000, 1000)) for key in chosen]
values = collections.defaultdict(list)
for key, value in records:
    values[key].append(value)
outside, inside = records[:RECORDS // 5], records[RECORDS // 5:]
with open("inside.jsonl", "w") as file:
    file.writelines(json.dumps({"k": key, "v": value}) + "\n" for key, value in inside)
with open("outside.jsonl", "w") as file:
    file.writelines(json.dumps({"value": {"k": key, "v": value}}) + "\n" for key, value in outside)

reduced = {"count": ("keyed.count", {}, len), "sum": ("keyed.sum", {"field": "/v"}, sum),
           "least": ("keyed.reduce", {"op": "min", "field": "/v"}, min), "most": ("keyed.reduce", {"op": "max", "field": "/v"}, max),
           "mean": ("keyed.reduce", {"op": "avg", "field": "/v"}, lambda all: sum(all) / len(all))}
stages = {"read": {"plugin": "file.lines", "output": "lines", "config": {"path": "inside.jsonl"}},
          "parse": {"plugin": "text.json", "input": "lines", "output": "keyed", "workers": 2},
          "running": {"plugin": "keyed.count", "input": "keyed", "output": "counts", "workers": 2},
          "write_running": {"plugin": "file.write", "input": "counts", "config": {"path": "running.jsonl"}}}
streams = {"lines": {}, "counts": {"partition": {"by": "hash"}}, "keyed": {
    "partition": {"by": "hash", "hot_keys": "split"}, "shards": SHARDS, "key": "/k", "external": "in", "compression": "lz4"}}
for name, (plugin, config, _) in reduced.items():
    stages[name] = {"plugin": plugin, "input": "keyed", "output": "by_" + name, "workers": 2, "config": {**config, "emit": "final"}}
    stages["write_" + name] = {"plugin": "file.write", "input": "by_" + name, "config": {"path": name + ".jsonl"}}
    streams["by_" + name] = {}
stages["least"]["state"] = {"store": "rocksdb"}
# One of them gives its results to the next stage in its own worker.
streams["by_sum"] = {"transport": "fused"}
streams["sums"] = {}
stages["keep"] = {"plugin": "filter", "input": "by_sum", "output": "sums", "workers": 2,
                  "config": {"where": {"field": "", "op": "exists"}}}
stages["write_sum"]["input"] = "sums"
with open("hot.json", "w") as file:
    json.dump({"name": "hot", "http": {"listen": "127.0.0.1:0"}, "streams": streams, "stages": stages}, file)


def stage_of(name):
    return next((stage for stage in (status(DATA) or {}).get("stages", []) if stage["name"] == name), {})


def consumed():
    return stage_of("count").get("records_in", 0)


def hot_keys():
    return next(stream for stream in status(DATA)["streams"] if stream["name"] == "keyed")["hot_keys"]


launcher = Launcher("hot.json", "--hold", log="log.txt")
wait_for("the topology", lambda: launcher.process.poll() is not None or status(DATA))
producer = subprocess.Popen([WEIR, "produce", "keyed", "--data", DATA, "--name", "outside"], stdin=open("outside.jsonl"),
                            stderr=open("produce.txt", "a"))
wait_for("records", lambda: consumed() > RECORDS // 50)
seen = wait_for("the hottest key to be told", lambda: (lambda hot: hot if hot["keys"] else None)(hot_keys()))
check(run("scale", "count", "4", "--data", DATA).returncode == 0, "it cannot be scaled")
# Who merges such records is given another library: the same with a byte behind its end. None of them has finished, since what
# comes from outside has not ended.
shutil.copy(os.path.join(os.path.dirname(WEIR), "../lib/weir/keyed.so"), "other.so")
with open("other.so", "ab") as file:
    file.write(b"\n")
upgraded = run("upgrade", "running", "--library", "other.so", "--data", DATA)
check(upgraded.returncode == 0, "it cannot be upgraded: " + upgraded.stderr)
done = kill_at_random(launcher, ["broker", "parse", "count", "sum", "running"] * KILLS, consumed, SEED, RECORDS)
check(run("scale", "count", "3", "--data", DATA).returncode == 0, "it cannot be scaled")
check(producer.wait(300) == 0, open("produce.txt").read())
ended = run("produce", "keyed", "--data", DATA, "--end", stdin=subprocess.DEVNULL)
check(ended.returncode == 0, "the stream cannot be ended: " + ended.stderr)
wait_for("the end", lambda: launcher.process.poll() is not None or (status(DATA) or {}).get("state") == "finished", 300)
check(launcher.process.poll() is None, "it failed: " + open("log.txt").read()[-2000:])
print("killed:", dict(done), flush=True)
check(sum(done.values()) >= min(KILLS, 2), "too few kills: give it more records")

# Each record is one record of each stage, however its key was dealt with.
end = status(DATA)
for stage in [*reduced, "running"]:
    check(stage_of(stage)["records_in"] == RECORDS, "%s: %s" % (stage, stage_of(stage)))
    check(stage_of(stage)["records_out"] == stage_of("write_" + stage)["records_in"], "%s: %s" % (stage, stage_of(stage)))
check(letters("hot") == [], "there are dead letters")
streams = {stream["name"]: stream for stream in end["streams"]}
check(streams["keyed"]["records"] + streams["keyed.hot"]["records"] == RECORDS, "records are missing in %s" % streams)
hot = streams["keyed"]["hot_keys"]
check(hot["ratio"] == streams["keyed.hot"]["records"] / RECORDS, "%s" % hot)
told = [value for (name, labels), value in metrics(DATA).items()
        if name == "weir_stream_hot_key_ratio" and dict(labels)["stream"] == "keyed"]
check(told == [hot["ratio"]] or abs(told[0] - hot["ratio"]) < 1e-6, "%s" % told)
# The first is hot beyond doubt, most of its records after the first few hundred are split, and no rare key is among them.
shares = {key: len(all) / RECORDS for key, all in values.items()}
certain = sum(share for share in shares.values() if share > 2 / SHARDS / 2)
check(hot["ratio"] > 0.5 * certain, "%s of the records were split, and %s are of hot keys" % (hot["ratio"], certain))
check(seen["keys"][0]["key"] == names[0], "%s is hottest, not %s" % (names[0], seen["keys"]))
rare = [key for key in seen["keys"] if shares[key["key"]] < 1 / SHARDS / 8]
check(not rare, "called hot: %s" % rare)
check("hot keys of keyed, " in run("status", "--data", DATA).stdout, "a person is not told")
launcher.interrupt()
check(launcher.wait() == 0, open("log.txt").read()[-2000:])

for name, (_, _, loop) in reduced.items():
    found = read_records(name + ".jsonl")
    check(len(found) == len(values), "%s: %d results for %d keys" % (name, len(found), len(values)))
    for record in found:
        right = loop(values[record["key"]])
        same = abs(record["value"] - right) < 1e-9 * max(1, abs(right)) if name == "mean" else record["value"] == right
        check(same, "%s of %s is %s, not %s" % (name, record["key"], record["value"], right))
last = {}
with open("running.jsonl") as lines:
    for line in lines:
        record = json.loads(line)
        check(record["value"] > last.get(record["key"], 0), "%s fell from %s to %s" % (record["key"], last.get(record["key"]), record["value"]))
        last[record["key"]] = record["value"]
check(last == {key: len(all) for key, all in values.items()}, "the last running counts are not the counts")
shutil.rmtree(os.getcwd())
print("exact: %d records, %d keys, %.1f %% split" % (RECORDS, len(values), 100 * hot["ratio"]))
