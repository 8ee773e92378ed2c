# SPDX-License-Identifier: Apache-2.0
"""weir upgrade: a stage gets another version of its library while records flow, and goes back, also with its workers, the broker
or everyone killed while its shards move: every running total of every key is exact and in order. What the new version cannot read,
or is not fit for, is refused before anything moves; one that dies over and over gives its place back by itself. What was chosen
holds over restarts, whatever becomes of the file that it came as, until the topology leads to another one."""
import collections
import json
import os
import random
import shutil
import signal
import sys
import tempfile

from weir_run import Feeder, Launcher, broker_endpoint, check, children_of, join, role_of, run, status, wait_for

KEYS, SHARDS = 300, 12
DATA = ".weir/upgrade"
VERSIONS = {int(os.path.basename(path).rsplit("_", 1)[1].split(".")[0]): path for path in sys.argv[1:]}
SAME, NEXT, TEXT, DIES, PICKY, DEMANDS, KEYLESS, DECLARES, GIVES_UP, WEARS_OUT = range(1, 11)

folder = tempfile.mkdtemp(prefix="weir-upgrade-")
os.chdir(folder)
chooser = random.Random(18)
LIBRARY = os.path.abspath("tally.so")  # a file that is replaced, as whoever builds anew does


def install(version, path=LIBRARY):
    shutil.copy(VERSIONS[version], path + ".new")
    os.rename(path + ".new", path)
    return path


def write_topology(name, fused=False):
    streams = {"numbers": {"external": "in", "partition": {"by": "hash"}, "shards": SHARDS}, "totals": {"partition": {"by": "hash"}}}
    stages = {"total": {"plugin": "test.tally", "input": "numbers", "output": "totals", "workers": 2},
              "write": {"plugin": "file.write", "input": "totals", "config": {"path": "out.jsonl"}}}
    if fused:
        streams = {**streams, "keyed": {"transport": "fused"}}
        stages["total"] = {**stages["total"], "input": "keyed"}
        stages["pass"] = {"plugin": "filter", "input": "numbers", "output": "keyed", "workers": 2,
                          "config": {"where": {"field": "", "op": ">=", "value": 0}}}
    with open(name, "w") as topology:
        json.dump({"name": "upgrade", "http": {"listen": "127.0.0.1:0"}, "broker": {"listen": "tcp://127.0.0.1:0"}, "libraries": [LIBRARY],
                   "streams": streams, "stages": stages}, topology)
    return name


def log():
    with open("log.txt") as text:
        return text.read()


def upgrade(*arguments, code=0):
    result = run("upgrade", *arguments, "--data", DATA)
    check(result.returncode == code, "upgrade %s ended with %d: %s%s" % (arguments, result.returncode, result.stderr, log()[-3000:]))
    return result.stderr


def to(version, *more, code=0):
    return upgrade("total", "--library", VERSIONS[version], *more, code=code)


def stage_of(name):
    return next((stage for stage in (status(DATA) or {}).get("stages", []) if stage["name"] == name), {})


def name_of(version):
    return os.path.basename(VERSIONS[version])


def runs_with():
    return stage_of("total").get("library", {}).get("name")


def workers(stage="total"):
    return [worker for worker in (status(DATA) or {}).get("workers", []) if worker["stage"] == stage]


def shares(stage="total"):
    return sorted(len(worker["shards"]) for worker in workers(stage) if worker["state"] == "running")


def written():
    return stage_of("write").get("records_in", 0)


def dealt(stage="total"):
    """Both workers share the shards; how many each has follows what comes in them."""
    found = shares(stage)
    return len(found) == 2 and sum(found) == SHARDS and found[0] >= SHARDS / 4


def runs_as_wanted():
    wait_for("the workers", lambda: launcher.process.poll() is not None or dealt() and not outdated())
    check(launcher.process.poll() is None, "the topology has ended: " + log()[-3000:])


def flows(records=2_000):
    goal = written() + records
    wait_for("records at the sink", lambda: written() >= goal)


def begin(*more, topology="upgrade.json"):
    started = Launcher(topology, *more, log="log.txt")
    wait_for("the topology", lambda: started.process.poll() is not None or dealt() or dealt("pass"))
    check(started.process.poll() is None, log()[-3000:])
    return started


def processes(stage="total"):
    return [pid for pid, arguments in children_of(launcher.process.pid).items() if role_of(arguments) == stage]


def outdated():
    return [worker for worker in workers() if worker.get("outdated")]


def totals(feeder):
    """What the sink has is every total of every key, in order; how often a version made one."""
    expected, place, made = collections.Counter(), collections.Counter(), collections.Counter()
    lines = 0
    with open("out.jsonl") as out:
        for line in out:
            record = json.loads(line)
            key, (version, total) = record["key"], record["value"]
            expected[key] += key + place[key] * KEYS  # of one producer the order of a key is kept
            place[key] += 1
            check(total == expected[key], "key %s: total %d where %d was due" % (key, total, expected[key]))
            made[version] += 1
            lines += 1
    check(lines == feeder.numbers, "%d running totals of %d records" % (lines, feeder.numbers))
    return made


install(SAME)
write_topology("upgrade.json")
launcher = begin()
feeder = Feeder("numbers", DATA, KEYS)
flows()

# What cannot be is refused with a sentence, and nothing moves.
before = sorted((worker["pid"], tuple(worker["shards"])) for worker in workers())
with open("no.so", "w") as file:
    file.write("no library")
for arguments, words in [
        (("ttoal", "--library", VERSIONS[NEXT]), 'has no stage "ttoal"'),
        (("total", "--library", "missing.so"), "missing.so cannot be read"),
        (("total", "--library", "no.so"), "no.so cannot be used"),
        (("total", "--back"), "has nothing to go back to"),
        (("write", "--library", VERSIONS[NEXT]), 'has no plugin "file.write"'),
        (("total", "--library", VERSIONS[KEYLESS]), 'stage "total" is keyed, and the new test.tally is not'),
        (("total", "--library", VERSIONS[DEMANDS]), 'the config of stage "total" is none for the new test.tally'),
        (("total", "--library", VERSIONS[PICKY]), "this one does not like its config"),
        (("total", "--library", VERSIONS[TEXT]), "cannot go on with the state of the key that is the integer"),
        (("total", "--library", VERSIONS[TEXT], "--dry-run"), "expected a string, found the integer")]:
    said = upgrade(*arguments, code=1)
    check(words in said, "no %r in: %s" % (words, said))
check(upgrade("total", code=2) and upgrade("total", "--back", "--library", "x.so", code=2), "both or neither")
said = to(NEXT, "--dry-run")
check("could run with %s instead of tally.so: all %d values of its state can be read" % (name_of(NEXT), KEYS) in said, said)
check(before == sorted((worker["pid"], tuple(worker["shards"])) for worker in workers()), "something has moved")
check("upgrade" not in stage_of("total") and runs_with() == "tally.so", "%s" % stage_of("total"))
check(os.listdir(os.path.join(DATA, "libraries")) == [stage_of("total")["library"]["hash"]], "a refused library was kept")

# There, and back.
said = to(NEXT, "--wait")
check("total is to run with %s instead of tally.so: all %d values" % (name_of(NEXT), KEYS) in said, said)
check(runs_with() == name_of(NEXT) and not outdated(), "%s %s" % (stage_of("total"), workers()))
runs_as_wanted()
check(not {pid for pid, _ in before} & {worker["pid"] for worker in workers()}, "a worker of before is still there")
wait_for("those of before to end", lambda: len(processes()) == 2)
check(stage_of("total")["restarts"] == 0, "who was replaced counts as restarted: %s" % stage_of("total"))
flows()
check("runs with %s already" % name_of(NEXT) in to(NEXT), "nothing to do")
said = upgrade("total", "--back", "--wait")
check("is to run with tally.so instead of %s" % name_of(NEXT) in said and runs_with() == "tally.so", said)
flows()

# A version that cannot live gives its place back, and no record is laid to it.
for version, words in [(DIES, "its workers died 5 times"), (WEARS_OUT, "its workers died 5 times"), (GIVES_UP, "this one has had enough")]:
    if version == WEARS_OUT:  # it may run for a while, and commits before each death
        to(version)
        said = "total runs with tally.so again: " + wait_for("it to be given up", lambda: stage_of("total").get("upgrade", {}).get("why"))
    else:
        said = to(version, "--wait", code=1)
    check("total runs with tally.so again: %s was given up" % name_of(version) in said and words in said, said)
    runs_as_wanted()
    check(stage_of("total")["upgrade"]["by"] == "itself" and stage_of("total")["dead_letters"] == 0, "%s" % stage_of("total"))
    flows()
deaths = len([line for line in log().splitlines() if "worker total/" in line and "ended by signal 6" in line])
check(deaths <= 10, "%d deaths until two versions were given up, which may have five each" % deaths)
check("nothing to go back to" in upgrade("total", "--back", code=1), "not to one that was given up")

# Two files of one name are told apart.
os.mkdir("beside")
said = upgrade("total", "--library", install(NEXT, os.path.abspath("beside/tally.so")), "--wait")
hashes = [stage_of("total")["upgrade"]["before"]["hash"][:8], stage_of("total")["library"]["hash"][:8]]
check("is to run with tally.so (%s) instead of tally.so (%s)" % (hashes[1], hashes[0]) in said, said)
upgrade("total", "--back", "--wait")

# Somebody is killed while shards move.
version = SAME
for victim in ["old", "new", "broker", "old", "new", "broker", "everyone", "old", "new", "everyone"]:
    version = NEXT if version == SAME else SAME
    hash_before = stage_of("total")["library"]["hash"]
    pids = {worker["pid"] for worker in workers()}
    to(version)
    if victim in ("old", "new"):
        def candidates():
            return [pid for pid, arguments in children_of(launcher.process.pid).items()
                    if role_of(arguments) == "total" and (pid in pids) == (victim == "old")]
        moment = chooser.randrange(0, SHARDS)
        wait_for("a shard to move", lambda: sum(len(worker["shards"]) for worker in workers() if worker["pid"] not in pids) >= moment)
        for pid in candidates()[:1]:
            os.kill(pid, signal.SIGKILL)
    elif victim == "broker":
        os.kill(wait_for("the broker", lambda: launcher.find("broker")), signal.SIGKILL)
        wait_for("a broker", lambda: status(DATA))
    else:
        launcher.kill_everyone()
        launcher = Launcher("upgrade.json", log="log.txt")
        wait_for("a broker", lambda: status(DATA))
    to(version, "--wait")
    runs_as_wanted()
    check(stage_of("total")["library"]["hash"] != hash_before, "%s" % stage_of("total"))
    flows()
check("was given up" not in log().split("this one has had enough")[-1].split("\n", 1)[1], "a kill is laid to the library")

# Types that differ in C++ and read each other's values do so here, too.
to(DECLARES, "--wait")
flows()
said = to(NEXT, code=1)
check("cannot go on with the state" in said and "expected an integer, found the float" in said, said)
check(runs_with() == name_of(DECLARES), "%s" % stage_of("total"))

feeder.end()
check(launcher.wait(120) == 0, log()[-3000:])
made = totals(feeder)
check(set(made) == {SAME, NEXT, DECLARES, WEARS_OUT}, "%s" % made)
check(run("dead-letters", "list", "--json", "--data", DATA).stdout.strip() == "[]", "dead letters")
check("finished" in run("status", "--data", DATA).stdout, "it has finished")
print("ok: %d running totals are exact" % feeder.numbers)

# What was chosen holds, and needs the file no more that it was chosen as; until the topology leads to another one.
launcher = begin("--fresh")
shutil.copy(VERSIONS[NEXT], "built.so")
upgrade("total", "--library", "built.so", "--wait")
os.remove("built.so")
launcher.kill_everyone()
launcher = begin()
check(runs_with() == "built.so", "%s" % stage_of("total"))
hashes = [stage_of("total")["upgrade"]["before"]["hash"][:8], stage_of("total")["library"]["hash"][:8]]
said = "stage total runs with built.so (%s), as `weir upgrade` has chosen, and not with %s (%s), to which the topology leads: `weir upgrade total --back` undoes the choice" % (
    hashes[1], LIBRARY, hashes[0])
check(said in log(), "no %r in %s" % (said, log()[-2000:]))
launcher.interrupt()
check(launcher.wait(60) == 0, log()[-2000:])
check("the way back is open while it runs: `weir run`" in upgrade("total", "--back", code=1), "advice that helps")
check("moving" not in run("status", "--data", DATA).stdout, run("status", "--data", DATA).stdout)
dumped = run("journal", "dump", "--data", DATA).stdout
check("library of total: built.so, by a person" in dumped, "the journal does not say so: " + dumped[:3000])
kept = os.path.join(DATA, "libraries", stage_hash := json.loads(run("status", "--json", "--data", DATA).stdout)["stages"][0]["library"]["hash"], "built.so")
os.rename(kept, "aside.so")
launcher = Launcher("upgrade.json", log="gone.txt")
check(launcher.wait(60) == 1 and "is gone or damaged: put that file there" in open("gone.txt").read(), open("gone.txt").read())
os.rename("aside.so", kept)
launcher = begin()
check(runs_with() == "built.so", "%s" % stage_of("total"))
launcher.kill_everyone()

# Workers that are started by hand have to bring that library, too; the command leaves them alone.
launcher = Launcher("upgrade.json", "--stages", "write", log="log.txt")
broker = wait_for("the broker", lambda: broker_endpoint(DATA) if status(DATA) else None)
check("no worker of stage \"total\" is started by `weir run`" in to(SAME, code=1), "it is not")
wrong = join(broker, "total", "--library", VERSIONS[SAME])
check(wrong.wait(30) == 1 and "was upgraded and runs with another library" in open("workers.txt").read(), open("workers.txt").read())
right = [join(broker, "total", "--library", VERSIONS[NEXT]) for _ in range(2)]
wait_for("both", dealt)
launcher.interrupt()
check(launcher.wait(60) == 0, log()[-2000:])
for worker in right:
    worker.wait(30)

# In a chain it is one stage of several in a process.
write_topology("fused.json", fused=True)
launcher = begin("--fresh", topology="fused.json")
feeder = Feeder("numbers", DATA, KEYS)
flows()
to(NEXT, "--wait")
check(all(worker["libraries"].endswith(stage_of("total")["library"]["hash"]) for worker in workers("pass")), "%s" % workers("pass"))
flows()
to(DIES, "--wait", code=1)
flows()
upgrade("total", "--library", VERSIONS[SAME], "--wait")
flows()
feeder.end()
check(launcher.wait(120) == 0, log()[-3000:])
check(set(totals(feeder)) == {SAME, NEXT}, "both have worked")

# Whoever puts another library where the file leads to wants that one.
launcher = begin("--fresh", topology="fused.json")
to(NEXT, "--wait")
launcher.kill_everyone()
install(DECLARES)
launcher = begin(topology="fused.json")
check(runs_with() == "tally.so" and "upgrade" not in stage_of("total"), "the file's is another one: %s" % stage_of("total"))
launcher.kill_everyone()
shutil.rmtree(folder)
print("ok: what was chosen holds")
