# SPDX-License-Identifier: Apache-2.0
"""A topology that changes between two runs: a sink is added, removed, put back; stages and streams change places; all of
it also with everyone killed around the change. Running sums are computed a second time here, and every file compared."""
import json
import os
import random
import re
import shutil
import tempfile

from weir_run import Launcher, check, read_records, run, status, wait_for

RECORDS = 60_000
KEYS = 16

folder = tempfile.mkdtemp(prefix="weir-topology-change-")
os.chdir(folder)


def write_topology(name, sinks, rate=15_000, front=False):
    """A file with these sinks behind the running sums; `front`: the newest thing stands first in the file."""
    stages = {
        "numbers": {"plugin": "generate.sequence", "output": "ns",
                    "config": {"from": 1, "to": RECORDS, "key_modulo": KEYS, "rate": rate}},
        "sum": {"plugin": "keyed.sum", "input": "ns", "output": "sums"},
        **{sink: {"plugin": "file.write", "input": "sums", "config": {"path": sink + ".jsonl"}} for sink in sinks}}
    streams = {"ns": {"partition": {"by": "hash"}, "shards": 8}, "sums": {}}
    if front:
        stages = dict(reversed(stages.items()))
        streams = dict(reversed(streams.items()))
    with open(name, "w") as topology:
        json.dump({"name": "changes", "http": {"listen": "127.0.0.1:0"},
                   "broker": {"segment_size": "1MiB", "transaction_bytes_max": "64KiB"},
                   "streams": streams, "stages": stages}, topology)
    return name


def lines_of(path):
    try:
        with open(path) as lines:
            return sum(1 for _ in lines)
    except OSError:
        return 0


def stage_of(name):
    return next((stage for stage in (status(".weir/changes") or {}).get("stages", []) if stage["name"] == name), None)


def run_until(topology, what, condition, log):
    """A run that is stopped cleanly as soon as the condition holds. What it said."""
    launcher = Launcher(topology, log=log)
    wait_for(what, lambda: launcher.process.poll() is not None or condition())
    launcher.interrupt()
    check(launcher.wait(60) == 0, "it did not end cleanly: " + open(log).read()[-1000:])
    return open(log).read()


def check_sums(path):
    """Of each key the running sums of its numbers, each once and in order."""
    sums = [0] * KEYS
    counts = [0] * KEYS
    for record in read_records(path):
        key = record["key"]
        number = counts[key] * KEYS + (key or KEYS)
        counts[key] += 1
        sums[key] += number
        check(record["value"] == sums[key], "%s: key %d: %s where %d was due" % (path, key, record["value"], sums[key]))
    check(sum(counts) == RECORDS, "%s: %d records of %d" % (path, sum(counts), RECORDS))


def check_suffix(path, begin, end=None):
    """What a sink that came later wrote is what the first one wrote from there on, as far as both have come by now."""
    late, due = read_records(path), read_records("write.jsonl")[begin:]
    both = min(len(late), len(due))
    check(late[:both] == due[:both], "%s differs from write.jsonl from line %d on" % (path, begin))
    check(end is None or len(late) == len(due) == end - begin, "%s has %d lines" % (path, len(late)))


# Only one sink.
write_topology("one.json", ["write"])
run_until("one.json", "the first sums", lambda: lines_of("write.jsonl") > 5_000, "1.txt")

# A second one, in front of everything else in the file: it starts at the oldest record that is kept, and says so.
write_topology("two.json", ["write", "audit"], front=True)
said = run_until("two.json", "sums in both files", lambda: lines_of("audit.jsonl") > 5_000, "2.txt")
started = re.search(r'stage "audit" is new on stream "sums", which holds older records: it starts at the oldest that is kept '
                    r'\(shard 0 at offset (\d+); \d+ records wait for it\)', said)
check(started, "it did not say where the new stage starts: " + said)
begin = int(started.group(1))
check(5_000 <= begin < RECORDS, "a strange place to start: %d" % begin)
check_suffix("audit.jsonl", begin)
audited = begin + lines_of("audit.jsonl")

# It goes again: it rests, and the others go on without it.
resting = Launcher("one.json", log="3.txt")
wait_for("the first sink to go on", lambda: lines_of("write.jsonl") > audited + 3_000)
check(stage_of("audit")["state"] == "resting" and stage_of("audit")["backlog_records"] == 0, "no resting stage: %s" % stage_of("audit"))
check(stage_of("write")["state"] == "running", "%s" % stage_of("write"))
resting.interrupt()
check(resting.wait(60) == 0, open("3.txt").read())
check('stage "audit" is not in the topology any more' in open("3.txt").read(), open("3.txt").read())
check(re.search(r"^audit +file.write +resting", run("status", "one.json").stdout, re.M), run("status", "one.json").stdout)
check(lines_of("audit.jsonl") + begin == audited, "a stage that rests wrote something")
check_suffix("audit.jsonl", begin)

# It is back, but what it missed was consumed by all others and is gone: refused, with what can be done.
refused = run("run", "two.json")
check(refused.returncode == 1, refused.stderr)
for part in ['stage "audit" is back, but', "records of stream \"sums\"", "are gone", "give the stage another name", "--fresh"]:
    check(part in refused.stderr, "missing %r in: %s" % (part, refused.stderr))

# Under another name it starts where records are left; what the old one had stays there.
write_topology("three.json", ["write", "again"])
said = run_until("three.json", "sums in the third file", lambda: lines_of("again.jsonl") > 3_000, "4.txt")
again = int(re.search(r'stage "again" is new on stream "sums".* \(shard 0 at offset (\d+)', said).group(1))
check_suffix("again.jsonl", again)
check(run("status", "three.json").stdout.count("resting") == 1, run("status", "three.json").stdout)

# Everyone is killed around further changes, back and forth.
chooser = random.Random(5)
for life in range(6):
    name = write_topology("life.json", ["write", "again"] + (["x%d" % life] if life % 2 == 0 else []), front=life % 3 == 0)
    launcher = Launcher(name, log="life%d.txt" % life)
    moment = chooser.choice(["the journal", "an endpoint", "a worker", "a commit"])
    before = lines_of("write.jsonl")
    wait_for(moment, {
        "the journal": lambda: launcher.find("broker"),
        "an endpoint": lambda: os.path.exists(".weir/changes/endpoint.json"),
        "a worker": lambda: launcher.find("write"),
        "a commit": lambda: lines_of("write.jsonl") > before or launcher.process.poll() is not None}[moment])
    launcher.kill_everyone()

# The end: exact for those that were there all the time, also in front of a stage that comes behind the end.
write_topology("last.json", ["write", "again"], rate=15_000)
result = run("run", "last.json")
check(result.returncode == 0, result.stderr)
check_sums("write.jsonl")
check_suffix("again.jsonl", again, RECORDS)
check("%d records in" % RECORDS in result.stderr, result.stderr)

# A stage that comes when all has ended sees the end; one that left then and comes back is complete already.
write_topology("behind.json", ["write", "late"])
result = run("run", "behind.json")
check(result.returncode == 0, result.stderr)
check(os.path.exists("late.jsonl") and lines_of("late.jsonl") == 0, "the late sink did not see the end")
result = run("run", "last.json")
check(result.returncode == 0 and "finished changes" in result.stderr, result.stderr)
check_suffix("again.jsonl", again, RECORDS)

# What is not sound is refused with its reason, and leaves the directory as it was.
for change, words in [
        (lambda file: file["streams"]["ns"].update(shards=4), '"shards" of stream "ns" differs'),
        (lambda file: file["stages"]["sum"].update(plugin="keyed.count"), 'state of stage "sum" was made by plugin "keyed.sum"'),
        (lambda file: file["stages"]["numbers"]["config"].update(to=7), 'of stage "numbers" were made by another configuration'),
        (lambda file: file["stages"].update(more={"plugin": "generate.sequence", "output": "ns", "config": {"to": 3}}),
         'stream "ns" has ended, so that stage "more" cannot write to it')]:
    with open("last.json") as topology:
        wrong = json.load(topology)
    change(wrong)
    with open("wrong.json", "w") as topology:
        json.dump(wrong, topology)
    refused = run("run", "wrong.json")
    check(refused.returncode == 1 and words in refused.stderr, "not refused with %r: %s" % (words, refused.stderr))
check(run("run", "last.json").returncode == 0, "a refusal changed the directory")
checked = run("journal", "check", "--data", ".weir/changes")
check(checked.returncode == 0, checked.stdout + checked.stderr)

# A directory of the format before: its weir.json said what its journal did not. It is opened, and is of this format then.
owner_path = ".weir/changes/weir.json"
with open(owner_path) as file:
    owner = json.load(file)
check(owner["format"] == 2 and "begins_with" not in owner, "%s" % owner["format"])
with open(owner_path, "w") as file:
    json.dump({**owner, "format": 1}, file)
check(run("run", "last.json").returncode == 0, "a directory of format 1 was not opened")
with open(owner_path) as file:
    upgraded = json.load(file)
check(upgraded["format"] == 2 and upgraded["begins_with"] == owner["topology"], "it was not brought up to format 2")
with open(owner_path, "w") as file:
    json.dump({**owner, "format": 3}, file)
refused = run("run", "last.json")
check(refused.returncode == 1 and "has format 3, this Weir reads formats 1 to 2" in refused.stderr, refused.stderr)

shutil.rmtree(folder)
print("ok")
