# SPDX-License-Identifier: Apache-2.0
"""A record that has its worker killed by the kernel's OOM killer becomes a dead letter, since the memory cgroup has counted it; one whose
worker is killed by SIGKILL without that does not, and after five in a row a warning names it.
out_of_memory_test.py remarked|counted POISON_LIBRARY"""
import collections
import json
import os
import re
import subprocess
import sys
import tempfile

from weir_run import WEIR, Launcher, check, letters, read_records, status, wait_for

PART, LIBRARY = sys.argv[1:]
RECORDS = 2000
CONTAINER_BYTES = 400 << 20


def write_topology(name, **stage):
    with open(name + ".json", "w") as file:
        json.dump({
            "name": name, "http": {"listen": "127.0.0.1:0"}, "libraries": [LIBRARY], "broker": {"memory": "32MiB", "segment_size": "8MiB"},
            "streams": {"lines": {"external": "in"}, "good": {}},
            "stages": {
                "eat": {"plugin": "test.poison", "input": "lines", "output": "good", **stage},
                "write": {"plugin": "file.write", "input": "good", "config": {"path": name + ".jsonl"}}}}, file)


def feed(name, poisons):
    """Publishes the records and ends the stream; those that are to come through."""
    records = [{"value": "food %d" % i} for i in range(RECORDS)]
    for offset, poison in poisons.items():
        records[offset]["value"] = "poison " + poison
    wait_for("the topology", lambda: status(".weir/" + name))
    text = "".join(json.dumps(record) + "\n" for record in records)
    fed = subprocess.run([WEIR, "produce", "lines", "--data", ".weir/" + name, "--end"], input=text, capture_output=True, text=True, timeout=120)
    check(fed.returncode == 0, fed.stderr)
    return [record["value"] for record in records]


def log_of(name):
    with open(name + ".log") as log:
        return log.read()


def remarked():
    write_topology("killed", config={"mended": "mended"})
    launcher = Launcher("killed.json", log="killed.log")
    values = feed("killed", {700: "kill"})
    warned = lambda: re.findall(r"warning: workers of stage eat were killed by SIGKILL 5 times in a row at the same record: .*", log_of("killed"))
    wait_for("the warning", warned)
    deaths = lambda: len(re.findall(r"worker eat/0 ended by signal 9 \(SIGKILL\)", log_of("killed")))
    wait_for("another death", lambda: deaths() > 5)
    said = warned()
    check(len(said) == 1, "it warns %d times" % len(said))
    check('stream "lines", shard 0, offset 700' in said[0] and '"memory"' in said[0], said[0])
    with open("mended", "w"):
        pass
    check(launcher.wait() == 0, log_of("killed")[-3000:])
    check(letters("killed") == [], "a SIGKILL that nobody counted was laid to a record: %s" % letters("killed"))
    check([record["value"] for record in read_records("killed.jsonl")] == values, "other records came through")
    print("remarked once behind five deaths, no letter, %d deaths" % deaths(), flush=True)


def container():
    """A memory cgroup below our own, of so many bytes: its folder; or why there is none."""
    with open("/proc/self/cgroup") as groups:
        paths = {controllers: path for _, controllers, path in (line.rstrip("\n").split(":", 2) for line in groups)}
    version2 = "memory" not in paths
    path = paths.get("" if version2 else "memory")
    with open("/proc/self/mountinfo") as mounts:
        for line in mounts:
            before, behind = line.split(" - ")
            kind, _, options = behind.split()
            if kind == ("cgroup2" if version2 else "cgroup") and (version2 or "memory" in options.split(",")):
                root, point = before.split()[3:5]
                below = path[len(root):] if root != "/" and path.startswith(root) else path if root == "/" else ""
                folder = os.path.join(point + below, "weir-%d" % os.getpid())
                try:
                    os.mkdir(folder)
                    with open(os.path.join(folder, "memory.max" if version2 else "memory.limit_in_bytes"), "w") as limit:
                        limit.write(str(CONTAINER_BYTES))
                except OSError as error:
                    return None, "no memory cgroup can be made: %s" % error
                return folder, ""
    return None, "there is no memory cgroup"


def counted():
    folder, why = container()
    if folder is None:
        print("skipped: " + why)
        sys.exit(77)
    try:
        # Its own bound is above what the container has, so that the kernel comes first.
        write_topology("container", memory="64GiB", on_error={"retries": 1}, config={})
        # The shell goes into it, and all that comes of it.
        process = subprocess.Popen(["sh", "-c", 'echo $$ >"$0"/cgroup.procs && exec "$@"', folder, WEIR, "run", "container.json"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open("container.log", "w"))
        values = feed("container", {500: "allocate", 1500: "allocate"})
        code = process.wait(300)
        said = log_of("container")
        if "oom_kill " not in "".join(open(os.path.join(folder, name)).read() for name in ("memory.events", "memory.oom_control")
                                      if os.path.exists(os.path.join(folder, name))):
            print("skipped: this kernel does not count OOM kills")
            sys.exit(77)
        check(code == 0, said[-3000:])
        found = letters("container")
        check([letter["offset"] for letter in found] == [500, 1500], "letters: %s" % found)
        for letter in found:
            check("out of memory" in letter["reason"] and "SIGKILL" in letter["reason"] and letter["attempts"] == 2, "letter: %s" % letter)
        out = collections.Counter(record["value"] for record in read_records("container.jsonl"))
        check(out == collections.Counter(value for value in values if not value.startswith("poison")), "other records came through")
        print("two letters of the kernel's kills; %d deaths" % said.count("which was out of memory"), flush=True)
    finally:
        wait_for("an empty cgroup", lambda: not open(os.path.join(folder, "cgroup.procs")).read(), 30)
        os.rmdir(folder)


os.chdir(tempfile.mkdtemp(prefix="weir-oom-"))
{"remarked": remarked, "counted": counted}[PART]()
