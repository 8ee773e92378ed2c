# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C in the middle stops cleanly and emits nothing that is due at the end; the next run goes on and is exact."""
import json
import os
import re
import shutil
import tempfile

from weir_run import Launcher, check, children_of, make_text, read_records, run, status, wait_for

folder = tempfile.mkdtemp(prefix="weir-resume-")
os.chdir(folder)
counts, lines = make_text("input.txt", 30, 11)
with open("resume.json", "w") as topology:
    json.dump({
        "name": "resume", "http": {"listen": "127.0.0.1:0"},
        "streams": {"lines": {}, "words": {"partition": {"by": "hash"}, "shards": 8}, "counts": {}},
        "stages": {
            "read": {"plugin": "file.lines", "output": "lines", "config": {"path": "input.txt"}},
            "split": {"plugin": "text.words", "input": "lines", "output": "words"},
            "count": {"plugin": "keyed.count", "input": "words", "output": "counts", "config": {"emit": "final"}},
            "write": {"plugin": "file.write", "input": "counts", "config": {"path": "out.jsonl"}}}}, topology)


def counted():
    stages = (status(".weir/resume") or {}).get("stages", [])
    return sum(stage["records_in"] for stage in stages if stage["name"] == "count")


launcher = Launcher("resume.json", log="log.txt")
wait_for("the first counts", lambda: counted() > 0)
check(run("run", "resume.json").returncode == 1, "a second run on the same directory did not fail")
processes = list(children_of(launcher.process.pid))
launcher.interrupt()
check(launcher.wait(30) == 0, "Ctrl-C did not end it with 0: " + open("log.txt").read())
check(re.search(r"stopped resume, run again to go on: [1-9]\d* records wait", open("log.txt").read()), open("log.txt").read()[-500:])
check(not os.path.exists("out.jsonl") or os.path.getsize("out.jsonl") == 0, "something was emitted before the end")
wait_for("the end of all children", lambda: not any(os.path.exists("/proc/%d" % pid) for pid in processes), 5)
result = run("run", "resume.json")
check(result.returncode == 0, result.stderr)
records = read_records("out.jsonl")
check(len(records) == len(counts) and {r["key"]: r["value"] for r in records} == dict(counts), "the counts differ from the input's")
check("%d records in, %d out, 0 dead letters" % (lines, len(counts)) in result.stderr, result.stderr.strip().splitlines()[-1])

# An unclean end of the launcher takes everyone along.
launcher = Launcher("resume.json", "--fresh", log="log.txt")
wait_for("the first counts", lambda: counted() > 0)
processes = list(children_of(launcher.process.pid))
launcher.kill()
launcher.wait()
wait_for("the end of all orphans", lambda: not any(os.path.exists("/proc/%d" % pid) for pid in processes), 5)
shutil.rmtree(folder)
print("ok")
