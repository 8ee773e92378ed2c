# SPDX-License-Identifier: Apache-2.0
"""A first start on a disk without room ends with a sentence that says what to do; with what the documents name it serves, and
waits for room for records. Where no file system of our own can be mounted it says that and is skipped."""
import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile

from weir_run import Launcher, check, run, wait_for

folder = tempfile.mkdtemp(prefix="weir-first-")
os.chdir(folder)
os.mkdir("disk")


def mount(size, *options):
    return subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join([*options, "size=%dk" % size]), "tmpfs", os.path.abspath("disk")],
                          capture_output=True, text=True)


mounted = mount(4)
if mounted.returncode != 0:
    print("skipped: no file system can be mounted here: " + mounted.stderr)
    shutil.rmtree(folder)
    sys.exit(77)
atexit.register(subprocess.run, ["umount", "-l", os.path.join(folder, "disk")], check=False)

RECORDS = 200_000
with open("first.json", "w") as topology:
    json.dump({
        "name": "first", "http": None, "broker": {"data_dir": "disk/data"}, "streams": {"numbers": {}},
        "stages": {
            "make": {"plugin": "generate.sequence", "output": "numbers", "config": {"from": 1, "to": RECORDS}},
            "write": {"plugin": "file.write", "input": "numbers", "config": {"path": "out.jsonl"}}}}, topology)

with open("disk/ballast", "wb") as ballast:
    ballast.write(bytes(4096))
for size in (4, 8, 12, 16, 64, 512, 1024):  # each step is a file, or a part of one, further
    check(mount(size, "remount").returncode == 0, "remount")
    done = run("run", "first.json")
    check(done.returncode == 1, "with %d KiB run ended with %d: %s" % (size, done.returncode, done.stderr))
    check("there is no room to write " + os.path.abspath("disk/data") in done.stderr and "a first one needs 128 KiB and a 64th of" in done.stderr and
          "--data" in done.stderr, "with %d KiB: %s" % (size, done.stderr))
shutil.rmtree("disk/data")
check(mount(4 + 128 + 1024, "remount").returncode == 0, "remount")
launcher = Launcher("first.json", log="log.txt")
wait_for("records to wait for room", lambda: "is full: sources and producers wait" in open("log.txt").read())
check(mount(256 * 1024, "remount").returncode == 0, "remount")
check(launcher.wait() == 0, open("log.txt").read())
with open("out.jsonl") as out:
    check([json.loads(line)["value"] for line in out] == list(range(1, RECORDS + 1)), "other results")
print("refused without room, served with what the documents name, and waited for more", flush=True)
