# SPDX-License-Identifier: Apache-2.0
"""The journal stays short: a running total over input of many segments holds few of them, creates none once it is
warm, is exact after everything is killed, and a start reads what is behind the last checkpoints, however long the
history. space_test.py SEGMENT_MIB MULTIPLE"""
import collections
import json
import os
import shutil
import sys
import tempfile

from weir_run import Launcher, check, status, wait_for

MEBI = 1 << 20
RECORD_BYTES = 12  # of one number on its way, at least: so the input has at least MULTIPLE segments
segment = int(sys.argv[1]) * MEBI
records = segment * int(sys.argv[2]) // RECORD_BYTES
SEGMENTS_MAX = 6

folder = tempfile.mkdtemp(prefix="weir-space-")
os.chdir(folder)
with open("space.json", "w") as topology:
    json.dump({
        "name": "space", "http": {"listen": "127.0.0.1:0"},
        "broker": {"segment_size": "%dB" % segment, "transaction_bytes_max": "%dB" % min(8 * MEBI, segment // 8)},
        "streams": {"numbers": {"partition": {"by": "hash"}, "max_backlog": "%dB" % (segment // 4)},
                    "totals": {"max_backlog": "%dB" % (segment // 4)}},
        "stages": {
            "number": {"plugin": "generate.sequence", "output": "numbers",
                       "config": {"from": 1, "to": records, "key_modulo": 10}},
            "total": {"plugin": "keyed.sum", "input": "numbers", "output": "totals"},
            "write": {"plugin": "file.write", "input": "totals", "config": {"path": "out.jsonl"}}}}, topology)

JOURNAL = ".weir/space/journal"
most = 0
seen = []  # the set of segment files, each time that it changed, with the records counted then


def segments():
    try:
        names = [name for name in os.listdir(JOURNAL) if name.startswith(("segment", "spare"))]
        return frozenset((name, os.stat(os.path.join(JOURNAL, name)).st_size) for name in names)
    except OSError:
        return frozenset()


def counted():
    stages = (status(".weir/space") or {}).get("stages", [])
    return sum(stage["records_in"] for stage in stages if stage["name"] == "total")


def watch(until):
    """Looks at the files until so many records are counted, or the run is over."""
    def looked():
        global most
        now = segments()
        most = max(most, len(now))
        done = counted()
        if now and (not seen or seen[-1][1] != now):
            seen.append((done, now))
        return done >= until or launcher.process.poll() is not None
    wait_for("%d counted records" % until, looked, 600)


def bytes_read_at_start():
    """What a broker has read when it serves, with nobody to serve."""
    alone = Launcher("space.json", "--stages", "none", log="log.txt")
    wait_for("the broker", lambda: status(".weir/space"))
    with open("/proc/%d/io" % alone.find("broker")) as io:
        read = int(next(line for line in io if line.startswith("rchar")).split()[1])
    alone.interrupt()
    check(alone.wait(30) == 0, "the broker alone did not stop: " + open("log.txt").read())
    return read


launcher = Launcher("space.json", log="log.txt")
watch(records // 5)
launcher.kill_everyone()
read_early = bytes_read_at_start()

launcher = Launcher("space.json", log="log.txt")
watch(records * 4 // 5)
launcher.kill_everyone()
read_late = bytes_read_at_start()

launcher = Launcher("space.json", log="log.txt")
watch(records)
check(launcher.wait() == 0, open("log.txt").read()[-2000:])

check(most <= SEGMENTS_MAX, "%d segments were held, at most %d are allowed" % (most, SEGMENTS_MAX))
# Of the second run the first half may still warm up; behind it more than ten segments of journal are written.
second_half = [files for done, files in seen if records // 2 < done <= records * 4 // 5]
check(len(set(second_half)) <= 1, "segments were created or grew in a warm run: %s" % [sorted(f) for f in second_half])
for when, read in (("early", read_early), ("late", read_late)):
    # The kept segments once, the newest of them twice more for its copy; the history has many times that.
    check(read <= (SEGMENTS_MAX + 2) * segment + 16 * MEBI, "a start %s in the history read %d bytes, of segments of %d" % (when, read, segment))

# The running total of every key, computed here, line by line.
totals = collections.Counter()
following = {key: key or 10 for key in range(10)}
lines = 0
with open("out.jsonl") as out:
    for line in out:
        record = json.loads(line)
        key = record["key"]
        totals[key] += following[key]
        following[key] += 10
        if record["value"] != totals[key]:
            check(False, "line %d: key %d has %s, expected %d" % (lines + 1, key, record["value"], totals[key]))
        lines += 1
check(lines == records, "%d running totals of %d records" % (lines, records))
print("ok: %d records, at most %d segments of %d MiB; a start read %.1f MB early, %.1f MB late" %
      (records, most, segment // MEBI, read_early / 1e6, read_late / 1e6))
shutil.rmtree(folder)
