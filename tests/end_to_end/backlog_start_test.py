# SPDX-License-Identifier: Apache-2.0
"""A start reads what is behind the last checkpoint, not what waits: killed with a long backlog, a broker is back after it
has read a few segments, and the backlog is then worked off exactly. backlog_start_test.py MEBIBYTES_OF_BACKLOG"""
import json
import os
import shutil
import sys
import tempfile

from weir_run import Launcher, check, read_records, status, wait_for

MEBI = 1 << 20
SEGMENT = 8 * MEBI
SEGMENTS_READ_MAX = 16
KEYS = 1000
backlog = int(sys.argv[1]) * MEBI
check(backlog >= 2 * SEGMENTS_READ_MAX * SEGMENT, "so little says nothing")

folder = tempfile.mkdtemp(prefix="weir-backlog-")
os.chdir(folder)
records = [{"key": n, "value": {"n": n, "pad": "x" * 480}} for n in range(KEYS)]
repeat = backlog // (500 * KEYS)
with open("backlog.json", "w") as topology:
    json.dump({
        "name": "backlog", "http": {"listen": "127.0.0.1:0"},
        "broker": {"segment_size": "%dB" % SEGMENT, "transaction_bytes_max": "1MiB"},
        "streams": {"in": {"partition": {"by": "hash"}, "max_backlog": "64GiB"}, "sums": {}},
        "stages": {
            "make": {"plugin": "generate.values", "output": "in", "config": {"records": records, "repeat": repeat}},
            "sum": {"plugin": "keyed.sum", "input": "in", "output": "sums", "workers": 2, "config": {"field": "/n", "emit": "final"}},
            "write": {"plugin": "file.write", "input": "sums", "config": {"path": "sums.jsonl"}}}}, topology)
DATA = ".weir/backlog"
JOURNAL = DATA + "/journal"


def waits():
    return next((stream["bytes"] for stream in (status(DATA) or {}).get("streams", []) if stream["name"] == "in"), 0)


def bytes_read_at_start():
    """What a broker has read when it serves, with nobody to serve."""
    alone = Launcher("backlog.json", "--stages", "none", log="log.txt")
    wait_for("the broker", lambda: waits() or alone.process.poll() is not None)
    check(alone.process.poll() is None, open("log.txt").read())
    with open("/proc/%d/io" % alone.find("broker")) as io:
        read = int(next(line for line in io if line.startswith("rchar")).split()[1])
    alone.kill_everyone()
    return read


launcher = Launcher("backlog.json", "--stages", "make", log="log.txt")
wait_for("the backlog", lambda: waits() >= backlog * 9 // 10, 300)
launcher.kill_everyone()  # while it writes
os.remove(DATA + "/endpoint.json")
held = sum(os.stat(os.path.join(JOURNAL, name)).st_size for name in os.listdir(JOURNAL) if name.startswith("segment"))
check(held >= backlog * 9 // 10, "only %d bytes of journal for a backlog of %d" % (held, backlog))
first = bytes_read_at_start()
os.remove(DATA + "/endpoint.json")
second = bytes_read_at_start()
for read in (first, second):
    # What was written while the last checkpoint was made, and the newest segment several times (its end, its marks, its
    # copy): some segments, whatever waits.
    check(read <= SEGMENTS_READ_MAX * SEGMENT, "a start with a backlog of %d bytes read %d" % (held, read))

launcher = Launcher("backlog.json", log="log.txt")
check(launcher.wait(600) == 0, open("log.txt").read()[-2000:])
found = {record["key"]: record["value"] for record in read_records("sums.jsonl")}
check(found == {n: n * repeat for n in range(KEYS)}, "the sums are wrong")
print("ok: %.0f MiB of journal, a start read %.1f MiB, the next %.1f MiB" % (held / MEBI, first / MEBI, second / MEBI))
shutil.rmtree(folder)
