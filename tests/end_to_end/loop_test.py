# SPDX-License-Identifier: Apache-2.0
"""Loops: records come round until nothing does any more, exactly once through kills and stops, with a small max_backlog on
the back edge; what a graph reaches, beside a breadth-first search; the end comes by itself, and behind it nothing goes round."""
import collections
import json
import os
import random
import shutil
import sys
import tempfile

from weir_run import Launcher, check, read_records, restart, run, status, wait_for

LIBRARY = sys.argv[1]
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 7
JOBS, ROUNDS = 3000, 12
HTTP = {"listen": "127.0.0.1:0"}


def write(name, topology):
    with open(name + ".json", "w") as file:
        json.dump({"name": name, "http": HTTP, **topology}, file)


def attempts(name, **more):
    keyed = {"partition": {"by": "hash"}, "shards": 8}
    write(name, {"streams": {"jobs": keyed, "again": {**keyed, "loop": True, "max_backlog": "2KiB"}, "attempts": {}, "done": {}}, "stages": {
        "take": {"plugin": "generate.sequence", "output": "jobs", "config": {"from": 1, "to": JOBS, **more}},
        "attempt": {"plugin": "keyed.count", "input": ["jobs", "again"], "output": "attempts", "workers": 2},
        "retry": {"plugin": "filter", "input": "attempts", "output": "again", "workers": 2,
                  "config": {"where": {"field": "", "op": "<", "value": ROUNDS}}},
        "finish": {"plugin": "filter", "input": "attempts", "output": "done",
                   "config": {"where": {"field": "", "op": "==", "value": ROUNDS}}},
        "write": {"plugin": "file.write", "input": "done", "config": {"path": "out/%s.jsonl" % name}}}})


def check_attempts(name):
    found = collections.Counter((record["key"], record["value"]) for record in read_records("out/%s.jsonl" % name))
    check(found == {(job, ROUNDS): 1 for job in range(1, JOBS + 1)}, "%s: %d jobs are done, %d of them once" % (
        name, len(found), sum(1 for times in found.values() if times == 1)))
    result = run("status", "--data", ".weir/" + name, "--json")
    streams = {stream["name"]: stream for stream in json.loads(result.stdout)["streams"]}
    check(streams["attempts"]["records"] == JOBS * ROUNDS, "%d attempts" % streams["attempts"]["records"])
    check(streams["again"]["records"] == JOBS * (ROUNDS - 1), "%d came round" % streams["again"]["records"])


def ends_by_itself():
    attempts("calm")
    result = run("run", "calm.json", timeout=300)
    check(result.returncode == 0, result.stderr)
    check("finished calm" in result.stderr, result.stderr)
    check_attempts("calm")
    again = run("run", "calm.json", timeout=60)
    check(again.returncode == 0 and "has finished already" in again.stderr, again.stderr)


def survives_kills_and_stops():
    attempts("killed", rate=2000)
    launcher = Launcher("killed.json", log="killed.log")
    roles = ["attempt", "retry", "finish", "write", "broker", "take"]
    for role in roles:
        before = (status(".weir/killed") or {"streams": []})["streams"]
        wait_for("progress", lambda: (status(".weir/killed") or {"streams": []})["streams"] != before)
        if launcher.process.poll() is not None:
            break
        if role != "take" or launcher.find("take"):
            restart(launcher, role)
    # Ctrl-C in the middle, everybody at once, and on.
    launcher.interrupt()
    check(launcher.process.wait(60) == 0, "the stop was not clean")
    launcher = Launcher("killed.json", log="killed.log")
    wait_for("progress", lambda: status(".weir/killed"))
    launcher.kill_everyone()
    launcher = Launcher("killed.json", log="killed.log")
    check(launcher.process.wait(300) == 0, "it did not come to its end: see killed.log")
    check_attempts("killed")


def reaches_what_a_search_reaches():
    chooser = random.Random(SEED)
    nodes = 400
    edges = [(chooser.randrange(nodes), chooser.randrange(nodes)) for _ in range(500)]
    neighbours = collections.defaultdict(list)
    for begin, end in edges:
        neighbours[begin].append(end)
    wanted, queue = {0, 1}, [0, 1]
    while queue:
        for node in neighbours[queue.pop()]:
            if node not in wanted:
                wanted.add(node)
                queue.append(node)
    keyed = {"partition": {"by": "hash"}, "shards": 8}
    records = [{"key": begin, "value": end} for begin, end in edges]
    write("reach", {"libraries": [LIBRARY],
                    "streams": {"edges": keyed, "starts": keyed, "visits": {**keyed, "loop": True}, "reached": {}}, "stages": {
        "graph": {"plugin": "generate.values", "output": "edges", "config": {"records": records, "rate": 2000}},
        "start": {"plugin": "generate.values", "output": "starts", "config": {"records": [{"key": 0, "value": 0}, {"key": 1, "value": 1}]}},
        "reach": {"plugin": "test.reach", "inputs": {"edges": "edges", "visits": ["starts", "visits"]},
                  "outputs": {"reached": "reached", "visit": "visits"}, "workers": 2},
        "write": {"plugin": "file.write", "input": "reached", "config": {"path": "out/reached.jsonl"}}}})
    result = run("run", "reach.json", timeout=300)
    check(result.returncode == 0, result.stderr)
    found = [record["key"] for record in read_records("out/reached.jsonl")]
    check(sorted(found) == sorted(wanted), "reached %d nodes, a search %d" % (len(found), len(wanted)))


def refuses_what_comes_behind_the_end():
    write("late", {"libraries": [LIBRARY], "streams": {"in": {}, "again": {"loop": True}, "out": {}}, "stages": {
        "take": {"plugin": "generate.sequence", "output": "in", "config": {"to": 9}},
        "send": {"plugin": "test.stubborn", "input": ["in", "again"], "outputs": {"out": "out", "again": "again"}},
        "write": {"plugin": "file.write", "input": "out", "config": {"path": "out/late.jsonl"}}}})
    result = run("run", "late.json", timeout=120)
    check(result.returncode == 1, "ended with %d: %s" % (result.returncode, result.stderr))
    check('it emits to stream "again", which has ended' in result.stderr, result.stderr)


def main():
    print("seed", SEED)
    folder = tempfile.mkdtemp(prefix="weir-loop-")
    os.chdir(folder)
    ends_by_itself()
    reaches_what_a_search_reaches()
    refuses_what_comes_behind_the_end()
    survives_kills_and_stops()
    os.chdir("/")
    shutil.rmtree(folder)


main()
