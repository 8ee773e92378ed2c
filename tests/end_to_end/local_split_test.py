# SPDX-License-Identifier: Apache-2.0
"""A file is read only by a worker on the host where it was found: a worker elsewhere does not get it, the status says
what is waited for, and a worker that comes back there goes on exactly behind the last line that counts. Another host is
a name space of its own; where none can be made the test says that and is skipped."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from weir_run import BIN, Launcher, broker_endpoint, check, read_records, status, wait_for

folder = tempfile.mkdtemp(prefix="weir-split-")
os.chdir(folder)
FAR = ["unshare", "--uts", "sh", "-c", 'hostname far.example && exec "$@"', "far"]
able = subprocess.run([*FAR, "true"], capture_output=True, text=True, check=False)
if able.returncode != 0:
    print("skipped: no name space can be made here: " + able.stderr)
    shutil.rmtree(folder)
    sys.exit(77)

with open("lines.txt", "w") as lines:
    lines.write("1\n2\n3\n")
with open("split.json", "w") as topology:
    json.dump({
        "name": "split", "http": {"listen": "127.0.0.1:0"}, "streams": {"lines": {}},
        "stages": {
            "read": {"plugin": "file.lines", "output": "lines", "workers": 2, "config": {"path": "lines.txt", "follow": True}},
            "write": {"plugin": "file.write", "input": "lines", "config": {"path": "out.jsonl"}}}}, topology)
DATA = ".weir/split"


def written(count):
    return os.path.exists("out.jsonl") and len(read_records("out.jsonl")) == count


def worker(*host):
    return subprocess.Popen([*host, os.path.join(BIN, "weir-stage"), "--broker", broker_endpoint(DATA), "--stage", "read"])


def workers():
    return [one for one in (status(DATA) or {}).get("workers", []) if one["stage"] == "read" and one["state"] == "running"]


launcher = Launcher("split.json", "--stages", "write", log="log.txt")
wait_for("the topology", lambda: status(DATA))
far = worker(*FAR)
wait_for("the lines that are there", lambda: written(3))
far.send_signal(signal.SIGKILL)
far.wait()
with open("lines.txt", "a") as lines:
    lines.write("4\n5\n")
near = worker()
wait_for("the broker to know that the one is gone and the other there", lambda: [one["pid"] for one in workers()] == [near.pid])
wait_for("the status to say what is missing", lambda: "is on far.example, where no worker" in (status(DATA) or {}).get("problem", ""))
check(written(3), "a worker read a file of another host: %s" % read_records("out.jsonl"))
far = worker(*FAR)
wait_for("all lines", lambda: written(5))
check([record["value"] for record in read_records("out.jsonl")] == ["1", "2", "3", "4", "5"], read_records("out.jsonl"))
wait_for("the status to be content", lambda: "problem" not in (status(DATA) or {"problem": ""}))
launcher.interrupt()
check(launcher.wait(30) == 0, open("log.txt").read()[-2000:])
for process in (near, far):
    process.wait(20)
shutil.rmtree(folder)
print("ok: a file is read where it is")
