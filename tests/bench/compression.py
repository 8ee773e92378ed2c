# SPDX-License-Identifier: Apache-2.0
"""What compression costs and saves: the same lines through a keyed stream in turns with none, lz4 and zstd, each result checked.
CPU seconds are of all processes of a run; bytes are those of the stream. The baseline is none, in the same run.

WEIR_BIN=build/release/bin python3 tests/bench/compression.py [MEGABYTES] [ROUNDS]     default 100, 3"""
import json
import os
import random
import re
import resource
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
from weir_run import check, read_records, run  # noqa: E402

MEGABYTES = float(sys.argv[1]) if len(sys.argv) > 1 else 100
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
LOG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "topologies", "examples", "data", "access.log")


def once(how):
    """CPU seconds and bytes of the stream."""
    with open(how + ".json", "w") as file:
        json.dump({"name": how, "http": None,
                   "streams": {"lines": {"compression": how}, "picked": {}},
                   "stages": {
                       "read": {"plugin": "file.lines", "output": "lines", "config": {"path": "input.log"}},
                       "pick": {"plugin": "filter", "input": "lines", "output": "picked", "config": {"where": {"field": "", "op": "matches", "value": " 404 .*weir-last"}}},
                       "write": {"plugin": "file.write", "input": "picked", "config": {"path": how + ".jsonl"}}}}, file)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = run("run", how + ".json", "--fresh", timeout=1800)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    check(result.returncode == 0, result.stderr)
    check(len(read_records(how + ".jsonl")) == 1 and "%d records in" % LINES in result.stderr, "%s: the result is wrong: %s" % (how, result.stderr))
    said = json.loads(run("status", "--json", "--data", ".weir/" + how).stdout)
    taken = next(stream["bytes"] for stream in said["streams"] if stream["name"] == "lines")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, taken


folder = tempfile.mkdtemp(prefix="weir-compression-bench-")
with open(LOG) as log:
    text = log.read()
os.chdir(folder)
chooser = random.Random(1)
times = int(MEGABYTES * 1e6 / len(text)) + 1
with open("input.log", "w") as log:
    # The same lines again and again would be found again: who asked, when and for how much differs.
    for _ in range(times):
        for line in text.splitlines():
            _, _, rest = line.partition(" ")
            rest = re.sub(r":\d\d:\d\d ", ":%02d:%02d " % (chooser.randrange(60), chooser.randrange(60)), rest, count=1)
            rest = re.sub(r'" (\d+) \d+ ', lambda found: '" %s %d ' % (found.group(1), chooser.randrange(50000)), rest, count=1)
            log.write("10.%d.%d.%d %s\n" % (chooser.randrange(256), chooser.randrange(256), chooser.randrange(256), rest))
    log.write('x - - [-] "GET / HTTP/1.1" 404 0 "weir-last" "-"\n')
LINES = times * text.count("\n") + 1
found = {how: [] for how in ("none", "lz4", "zstd")}
for _ in range(ROUNDS):
    for how in found:
        found[how].append(once(how))
base_cpu, base_bytes = min(cpu for cpu, _ in found["none"]), found["none"][0][1]
for how, figures in found.items():
    cpu, taken = min(cpu for cpu, _ in figures), figures[0][1]
    print("fsync  %-4s %d lines of %d bytes: %.2f CPU seconds (best of %d), %.2f of none; %.1f MB in the stream, %.2f of none"
          % (how, LINES, len(text) // text.count("\n"), cpu, ROUNDS, cpu / base_cpu, taken / 1e6, taken / base_bytes), flush=True)
shutil.rmtree(folder)
