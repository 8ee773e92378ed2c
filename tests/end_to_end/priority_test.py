# SPDX-License-Identifier: Apache-2.0
"""Dispatch by priority, with the level from a field and from a header that the producer sets: what is urgent overtakes what
came before it, the lowest lane does not starve under a flood (counted in records), and a level that there is not is an error
of its record."""
import json
import os
import shutil
import subprocess
import tempfile

from weir_run import WEIR, Launcher, check, letters, read_records, status, wait_for

WEIGHTS = [16, 4, 1]
COUNTS = [3000, 300, 300]
RANGE = 33  # records of 1 KiB, of which a lane is served some 32 KiB at once


def topology():
    streams, stages = {"raw": {"external": "in"}, "strange": {"dispatch": "priority", "priority": {"field": "/level"}}, "passed": {}}, {}
    for way, priority in (("field", {"field": "/level", "weights": WEIGHTS}), ("header", {"weights": WEIGHTS})):
        streams["in_" + way] = {"external": "in", "dispatch": "priority", "priority": priority}
        streams["out_" + way] = {}
        stages["take_" + way] = {"plugin": "filter", "input": "in_" + way, "output": "out_" + way, "config": {"where": {"field": "/i", "op": "exists"}}}
        stages["write_" + way] = {"plugin": "file.write", "input": "out_" + way, "config": {"path": "out/%s.jsonl" % way}}
    stages["emit"] = {"plugin": "filter", "input": "raw", "output": "strange", "config": {"where": {"field": "/i", "op": "exists"}}}
    stages["take"] = {"plugin": "filter", "input": "strange", "output": "passed", "config": {"where": {"field": "/i", "op": "exists"}}}
    stages["write"] = {"plugin": "file.write", "input": "passed", "config": {"path": "out/passed.jsonl"}}
    with open("priority.json", "w") as file:
        json.dump({"name": "priority", "http": {"listen": "127.0.0.1:0"}, "streams": streams, "stages": stages}, file)


def produce(stream, records, code=0, end=True):
    result = subprocess.run([WEIR, "produce", stream, "--data", ".weir/priority", *(["--end"] if end else [])], text=True,
                            input="".join(json.dumps(record) + "\n" for record in records), capture_output=True, timeout=120)
    check(result.returncode == code, "produce %s ended with %d: %s" % (stream, result.returncode, result.stderr))
    return result.stderr


def flood(way):
    """The least urgent first, then the flood; all of it is there before anybody takes any."""
    records = []
    for level in (2, 1, 0):
        for i in range(COUNTS[level]):
            value = {"i": len(records), "is": level, "pad": "x" * 990}
            if way == "field":
                value["level"] = level
            record = {"value": value}
            if way == "header":
                record["headers"] = {"priority": level}
            records.append(record)
    said = produce("in_" + way, [{"value": {"i": -1, "level": 3}, "headers": {"priority": "high"}}], code=1, end=False)
    check("line 1: the stream's priority is a whole number from 0 (the most urgent) to 2" in said, said)
    produce("in_" + way, records)


def check_order(way):
    levels = [record["value"]["is"] for record in read_records("out/%s.jsonl" % way)]
    check([levels.count(level) for level in range(3)] == COUNTS, "%s: %s of each level" % (way, [levels.count(i) for i in range(3)]))
    numbers = [record["value"]["i"] for record in read_records("out/%s.jsonl" % way)]
    for level in range(3):
        own = [number for number, its in zip(numbers, levels) if its == level]
        check(own == sorted(own), "%s: level %d is out of order" % (way, level))
    flood_end = max(place for place, level in enumerate(levels) if level == 0)
    lowest = [place for place, level in enumerate(levels[:flood_end]) if level == 2]
    # Not last, though the flood is ten times as long: and not first, though it came first.
    share = 3000 // 16
    check(share - 2 * RANGE <= len(lowest) <= share + 2 * RANGE,
          "%s: %d of the lowest lane went before the end of the flood, its share is %d" % (way, len(lowest), share))
    waits = [later - before - 1 for before, later in zip([-1] + lowest, lowest)]
    bound = (16 + 4) * RANGE + 2 * RANGE
    check(max(waits) <= bound, "%s: a record of the lowest lane waited for %d others, above %d" % (way, max(waits), bound))
    print("%s: the lowest lane waited for at most %d records of the others (bound %d), and %d of its %d went before the end of the flood"
          % (way, max(waits), bound, len(lowest), COUNTS[2]), flush=True)


folder = tempfile.mkdtemp(prefix="weir-priority-")
os.chdir(folder)
topology()
launcher = Launcher("priority.json", "--stages", "none", log="log.txt")
wait_for("the broker", lambda: os.path.exists(".weir/priority/endpoint.json"))
for name in ("field", "header"):
    flood(name)
produce("raw", [{"value": {"i": 0, "level": 1}}, {"value": {"i": 1, "level": 3}}, {"value": {"i": 2, "level": "high"}}, {"value": {"i": 3}},
                {"value": {"i": 4, "level": None}}])
launcher.interrupt()
check(launcher.wait(60) == 0, "it did not stop cleanly: " + open("log.txt").read()[-2000:])
launcher = Launcher("priority.json", "--hold", log="log.txt")
wait_for("the end", lambda: (status(".weir/priority") or {}).get("state") == "finished")
bad = letters("priority")
check(sorted(letter["value"]["i"] for letter in bad) == [1, 2] and all("the stream's priority is a whole number" in letter["reason"] for letter in bad),
      "the dead letters are %s" % bad)
launcher.interrupt()
check(launcher.wait(60) == 0, "it did not end cleanly: " + open("log.txt").read()[-2000:])
for name in ("field", "header"):
    check_order(name)
check(sorted(record["value"]["i"] for record in read_records("out/passed.jsonl")) == [0, 3, 4], "what names a level, or none, did not pass")
shutil.rmtree(folder)
print("ok")
