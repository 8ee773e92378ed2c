# SPDX-License-Identifier: Apache-2.0
"""weir scale: stages get more workers and fewer while records flow, also with a worker or the broker killed while their
shards move, and from another machine's side: every running total of every key is exact and in order. The number holds over
restarts until the file says another one."""
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

from weir_run import WEIR, Feeder, Launcher, broker_endpoint, check, children_of, join, role_of, run, status, wait_for

# Each shard has as many keys: shards are shared out by what they have to do, and so evenly only where that is the same.
KEYS, SHARDS = 504, 12
DATA = ".weir/scale"

folder = tempfile.mkdtemp(prefix="weir-scale-")
os.chdir(folder)


def write_topology(name, total=2):
    with open(name, "w") as topology:
        json.dump({
            "name": "scale", "http": {"listen": "127.0.0.1:0"}, "broker": {"listen": "tcp://127.0.0.1:0"},
            "streams": {"numbers": {"external": "in"}, "keyed": {"partition": {"by": "modulo"}, "shards": SHARDS}, "steps": {"transport": "fused"},
                        "totals": {"partition": {"by": "hash"}}, "seen": {}},
            "stages": {
                "pass": {"plugin": "filter", "input": "numbers", "output": "keyed",
                         "config": {"where": {"field": "", "op": ">=", "value": 0}}},
                "total": {"plugin": "keyed.sum", "input": "keyed", "output": "steps", "workers": total},
                "keep": {"plugin": "filter", "input": "steps", "output": "totals", "workers": total,
                         "config": {"where": {"field": "", "op": ">=", "value": 0}}},
                "write": {"plugin": "file.write", "input": "totals", "config": {"path": "out.jsonl"}},
                # Beside them, since several workers of a stage without keys overtake each other.
                "look": {"plugin": "filter", "input": "numbers", "output": "seen", "config": {"where": {"field": "", "op": ">=", "value": 0}}},
                "list": {"plugin": "file.write", "input": "seen", "config": {"path": "seen.jsonl"}}}}, topology)
    return name


def scale(stage, number, *more, code=0):
    result = run("scale", stage, str(number), "--data", DATA, *more)
    check(result.returncode == code, "scale %s %s ended with %d: %s%s" % (stage, number, result.returncode, result.stderr, open("log.txt").read()[-2000:]))
    return result.stderr


def stage_of(name):
    return next((stage for stage in (status(DATA) or {}).get("stages", []) if stage["name"] == name), {})


def shares(stage="total"):
    """How many shards each running worker of the stage has."""
    return sorted(len(worker["shards"]) for worker in (status(DATA) or {}).get("workers", [])
                  if worker["stage"] == stage and worker["state"] == "running")


def even(held, number):
    return len(held) == number and sum(held) == SHARDS and max(held) - min(held) <= 1


def processes(stage, parent):
    return [pid for pid, arguments in children_of(parent).items() if role_of(arguments) == stage]


def written():
    return stage_of("write").get("records_in", 0)


def flows():
    goal = written() + 2_000
    wait_for("records at the sink", lambda: written() >= goal)


def kill(pid):
    os.kill(pid, signal.SIGKILL)


launcher = Launcher(write_topology("scale.json"), log="log.txt")
wait_for("the topology", lambda: launcher.process.poll() is not None or shares() == [6, 6])
feeder = Feeder("numbers", DATA, KEYS)
flows()

# Up and down; every worker runs, and shares the shards evenly, once the command has ended.
check("is to have 4 workers instead of 2" in scale("total", 4, "--wait"), "it says what it does")
check(shares() == [3, 3, 3, 3], "uneven: %s" % shares())
check(stage_of("total")["workers_wanted"] == 4 and stage_of("total")["workers"] == 4, "%s" % stage_of("total"))
check(stage_of("keep")["workers"] == 4, "the stage fused to it has the same workers: %s" % stage_of("keep"))
flows()
scale("total", 1, "--wait")
check(shares() == [SHARDS], "uneven: %s" % shares())
wait_for("the others to end", lambda: len(processes("total", launcher.process.pid)) == 1)
check("as before" in scale("total", 1), "nothing to do")
scale("look", 3, "--wait")
flows()
check(stage_of("look")["workers"] == 3, "%s" % stage_of("look"))
scale("look", 2, "--wait")

# Somebody dies while shards move.
for number, victim in [(5, "total"), (2, "total"), (6, "broker"), (1, "broker"), (4, "everyone of it")]:
    before = shares()
    scale("total", number)
    wait_for("a shard to move", lambda: shares() != before)
    if victim == "everyone of it":
        for pid in processes("total", launcher.process.pid):
            kill(pid)
    else:
        kill(wait_for(victim, lambda: launcher.find(victim)))
        wait_for("a broker", lambda: status(DATA))
    scale("total", number, "--wait")  # it says so once it is true, whatever happened
    # Who was killed may come back behind that, and take its place again from one that was needed meanwhile.
    wait_for("even shares", lambda: even(shares(), number), instead=lambda: "%s\n%s" % (status(DATA), open("log.txt").read()[-3000:]))
    wait_for("the others to end", lambda: len(processes("total", launcher.process.pid)) == number)
    flows()
check(stage_of("total")["restarts"] >= 3, "%s" % stage_of("total"))

# What cannot be is refused, and changes nothing.
for stage, number, words in [("ttoal", 2, 'has no stage "ttoal"'), ("keep", 2, 'is fused to "total" and has no workers of its own'),
                             ("write", 2, "writes to one target"), ("total", SHARDS + 1, "some would be idle"),
                             ("total", 0, "it keeps one at least"), ("look", 1025, "1024 are the most")]:
    said = scale(stage, number, code=1)
    check(words in said, "no %r in: %s" % (words, said))
check(run("scale", "total", "many", "--data", DATA).returncode == 2, "no number")
check(stage_of("total")["workers_wanted"] == 4, "%s" % stage_of("total"))
feeder.end()
check(launcher.wait(120) == 0, open("log.txt").read()[-3000:])
check("nothing is running" in scale("total", 3, code=1), "it does not run")

expected = collections.Counter()
place = collections.Counter()
lines = 0
with open("out.jsonl") as out:
    for line in out:
        record = json.loads(line)
        key = record["key"]
        expected[key] += key + place[key] * KEYS  # of one producer the order of a key is kept
        place[key] += 1
        check(record["value"] == expected[key], "key %s: total %d where %d was due" % (key, record["value"], expected[key]))
        lines += 1
check(lines == feeder.numbers, "%d running totals of %d records" % (lines, feeder.numbers))
# Whoever was killed may have a successor before the broker knows; nobody else is fenced, least of all a worker that goes.
log = open("log.txt").read()
killed = set(re.findall(r"worker (\S+) ended by signal 9", log))
fenced = re.findall(r"worker (\S+) lost its rights: (.*)", log)
check(all(worker in killed and why == "another process took its place" for worker, why in fenced), "fenced: %s\n%s" % (fenced, log[-2000:]))
exact = lines
with open("seen.jsonl") as seen:
    numbers = sorted(json.loads(line)["value"] for line in seen)
check(numbers == list(range(feeder.numbers)), "without keys: %d records of %d, not each once" % (len(numbers), feeder.numbers))


# The number holds, whoever dies or stops, until the file says another one.
def begin(topology, *more):
    started = Launcher(topology, *more, log="log.txt")
    wait_for("the topology", lambda: started.process.poll() is not None or status(DATA))
    return started


launcher = begin("scale.json", "--fresh", "--hold")
scale("total", 5, "--wait")
launcher.interrupt()
check(launcher.wait(60) == 0, open("log.txt").read()[-2000:])
dumped = run("journal", "dump", "--data", DATA).stdout
check("number of workers of total: 5, by a person" in dumped, "the journal does not say so: " + dumped[:2000])
launcher = begin("scale.json")
wait_for("five", lambda: len(shares()) == 5)
launcher.kill_everyone()
launcher = begin("scale.json")
wait_for("five", lambda: len(shares()) == 5)
launcher.kill_everyone()
launcher = begin(write_topology("other.json", total=3), "--hold")
wait_for("three", lambda: len(shares()) == 3)
check(stage_of("total")["workers_wanted"] == 3, "%s" % stage_of("total"))
check(subprocess.run([WEIR, "produce", "numbers", "--data", DATA, "--end"], stdin=subprocess.DEVNULL, timeout=60).returncode == 0, "no end")
wait_for("the end", lambda: (status(DATA) or {}).get("state") == "finished")
check("has finished" in scale("total", 2, code=1), "it has finished")
launcher.interrupt()
check(launcher.wait(60) == 0, open("log.txt").read()[-2000:])


# Workers that join by the broker's endpoint count: they find a place when there is one, and go when there is none.
launcher = Launcher("scale.json", "--fresh", "--stages", "pass,write,look,list", log="joined.txt")


def endpoint():
    check(launcher.process.poll() is None, open("joined.txt").read()[-3000:])
    return broker_endpoint(DATA)


broker = wait_for("the broker", endpoint)


joined = [join(broker, "total"), join(broker, "total")]
wait_for("both", lambda: shares() == [6, 6])
one_too_many = join(broker, "total")
check(one_too_many.wait(30) == 1, "it found a place: %s" % one_too_many.returncode)
check("has all its 2 workers; `weir scale total N` gives it more" in open("workers.txt").read(), open("workers.txt").read()[-2000:])
scale("total", 3)
joined.append(join(broker, "total"))
scale("total", 3, "--wait")
check(shares() == [4, 4, 4], "uneven: %s" % shares())
said = scale("total", 4, "--wait", "--timeout", "200ms", code=1)
check("is not there yet after 200ms: 3 of 4 workers run" in said, said)
scale("total", 1, "--wait")
wait_for("two to go", lambda: sum(worker.poll() is not None for worker in joined) == 2)
check(sorted(str(worker.poll()) for worker in joined) == ["0", "0", "None"], "they ended with %s" % [worker.poll() for worker in joined])
launcher.interrupt()
check(launcher.wait(60) == 0, open("joined.txt").read()[-2000:])
for worker in joined:
    worker.wait(30)
shutil.rmtree(folder)
print("ok: %d running totals are exact" % exact)
