# SPDX-License-Identifier: Apache-2.0
"""Memory stays bounded whatever waits: a backlog is built up while nobody reads, then worked off by small workers.
memory_test.py MEBIBYTES_OF_BACKLOG"""
import json
import os
import shutil
import sys
import tempfile

from weir_run import Launcher, check, children_of, metrics, role_of, status, wait_for

MEBI = 1 << 20
BROKER_MAX = 192 * MEBI
WORKER_MAX = 64 * MEBI
BYTES_PER_RECORD = 20  # of a number with its key and timestamp
backlog = int(sys.argv[1]) * MEBI
records = backlog // BYTES_PER_RECORD

folder = tempfile.mkdtemp(prefix="weir-memory-")
os.chdir(folder)
with open("memory.json", "w") as topology:
    json.dump({
        "name": "memory", "http": {"listen": "127.0.0.1:0"},
        "streams": {"numbers": {"partition": {"by": "hash"}, "max_backlog": "4GiB"}, "sums": {}},
        "stages": {
            "number": {"plugin": "generate.sequence", "output": "numbers", "memory": "32MiB",
                       "config": {"from": 1, "to": records, "key_modulo": 1000}},
            "sum": {"plugin": "keyed.sum", "input": "numbers", "output": "sums", "workers": 2, "memory": "32MiB", "config": {"emit": "final"}},
            "write": {"plugin": "file.write", "input": "sums", "memory": "32MiB", "config": {"path": "out.jsonl"}}}}, topology)
DATA = ".weir/memory"
peaks = {}


def look():
    """The greatest resident size of every process by its role, as the kernel remembers it."""
    for pid, arguments in children_of(launcher.process.pid).items():
        role = role_of(arguments)
        try:
            with open("/proc/%d/status" % pid) as lines:
                peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
        except (OSError, StopIteration):
            continue
        if role is not None:
            peaks[role] = max(peaks.get(role, 0), peak)


def seen(condition):
    look()
    return condition()


def state():
    return (status(DATA) or {}).get("state")


# Nobody reads: everything waits.
launcher = Launcher("memory.json", "--stages", "number", log="log.txt")
wait_for("the backlog", lambda: seen(lambda: any(stage["name"] == "number" and stage["state"] == "finished"
                                                 for stage in (status(DATA) or {}).get("stages", []))), 600)
found = metrics(DATA)
written = sum(value for (name, labels), value in found.items() if name == "weir_stream_bytes_total" and ("stream", "numbers") in labels)
check(written >= backlog, "%d bytes wait, not %d" % (written, backlog))
launcher.interrupt()
check(launcher.wait(60) == 0, open("log.txt").read()[-1000:])
# A start reads the index of it, and then works it off.
launcher = Launcher("memory.json", log="log.txt")
wait_for("the end", lambda: seen(lambda: launcher.process.poll() is not None), 900)
check(launcher.wait() == 0, open("log.txt").read()[-1000:])

sums = [0] * 1000
for key in range(1000):
    count = (records - key) // 1000 + (1 if key else 0)
    first = key or 1000
    sums[key] = count * first + 1000 * count * (count - 1) // 2
with open("out.jsonl") as out:
    results = [json.loads(line) for line in out]
check(len(results) == 1000 and all(sums[result["key"]] == result["value"] for result in results), "the sums are wrong")
said = ", ".join("%s %.0f MiB" % (role, peak / MEBI) for role, peak in sorted(peaks.items()))
for role, peak in peaks.items():
    allowed = BROKER_MAX if role == "broker" else WORKER_MAX
    check(peak < allowed, "%s took %d bytes, allowed are %d (%s)" % (role, peak, allowed, said))
check(set(peaks) == {"broker", "number", "sum", "write"}, "not every process was seen: " + said)
print("ok: %.0f MiB of backlog, peaks: %s" % (written / MEBI, said))
shutil.rmtree(folder)
