# SPDX-License-Identifier: Apache-2.0
"""A disk that is filled to its last byte: sources wait, and what is queued is drained from the end, down to the last
record that a sink can have; as far as that frees segments the topology goes on meanwhile. It says so, and when there is
room again everything is exact. Where no file system of our own can
be mounted it says that and is skipped."""
import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile

from weir_run import Launcher, check, check_running_counts, metrics, run, status, wait_for

RECORDS = 6_000_000
KEYS = 1000
DISK_MIB = 160
SEGMENT_MIB = 8

folder = tempfile.mkdtemp(prefix="weir-full-")
os.chdir(folder)
os.mkdir("disk")
mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % DISK_MIB, "tmpfs", "disk"], capture_output=True, text=True)
if mounted.returncode != 0:
    print("skipped: no file system can be mounted here: " + mounted.stderr)
    shutil.rmtree(folder)
    sys.exit(77)
atexit.register(subprocess.run, ["umount", "-l", os.path.join(folder, "disk")], check=False)

with open("full.json", "w") as topology:
    json.dump({
        "name": "full", "http": {"listen": "127.0.0.1:0"},
        "broker": {"segment_size": "%dMiB" % SEGMENT_MIB, "transaction_bytes_max": "256KiB", "data_dir": "disk/data"},
        "streams": {"numbers": {"partition": {"by": "hash"}, "max_backlog": "16MiB"}, "counts": {"max_backlog": "16MiB"}},
        "stages": {
            "number": {"plugin": "generate.sequence", "output": "numbers",
                       "config": {"from": 0, "to": RECORDS - 1, "key_modulo": KEYS}},
            "count": {"plugin": "keyed.count", "input": "numbers", "output": "counts"},
            "write": {"plugin": "file.write", "input": "counts", "config": {"path": "out.jsonl"}}}}, topology)


def written():
    stages = (status("disk/data") or {}).get("stages", [])
    return sum(stage["records_in"] for stage in stages if stage["name"] == "write")


def fill():
    with open("disk/ballast", "ab", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            pass


told = set()


def look():
    if any(name == "weir_broker_disk_full" and value == 1 for (name, _), value in metrics("disk/data").items()):
        told.add("metric")
        if "the disk is full" in run("status", "full.json").stdout:
            told.add("status")


launcher = Launcher("full.json", log="log.txt")
wait_for("records", lambda: written() > 10_000)
fill()


def drained():
    """What has reached the sink's stream is written: the sink is through, and nothing more comes by itself."""
    look()
    if launcher.process.poll() is not None:
        return True
    stages = {stage["name"]: stage for stage in (status("disk/data") or {}).get("stages", [])}
    return "status" in told and stages and stages["count"]["records_out"] == stages["write"]["records_in"]


wait_for("the sink to be through, on a full disk", drained, 120)
check(shutil.disk_usage("disk").free < SEGMENT_MIB << 20, "there was room for a segment")
os.remove("disk/ballast")
check(launcher.wait() == 0, open("log.txt").read()[-3000:])
log = open("log.txt").read()
check("is full: sources and producers wait until there is room; nothing is lost" in log, "the log does not say it: " + log[-3000:])
check(told == {"metric", "status"}, "it was told by %s only" % told)
check_running_counts("out.jsonl", {key: RECORDS // KEYS for key in range(KEYS)})
subprocess.run(["umount", "-l", "disk"], check=False)
shutil.rmtree(folder)
print("ok: %d records through a disk of %d MiB that was full" % (RECORDS, DISK_MIB))
