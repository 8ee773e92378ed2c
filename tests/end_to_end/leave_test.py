# SPDX-License-Identifier: Apache-2.0
"""Workers of a machine beside the launcher's, which join by the broker's endpoint and are asked to go by SIGTERM or Ctrl-C while
records flow: each goes by itself, exit 0, long before the broker would miss it, what it held goes to those who stay, and
every running total of every key is exact. A second SIGTERM ends a worker at once."""
import collections
import json
import os
import shutil
import signal
import subprocess
import tempfile

from weir_run import Feeder, Launcher, broker_endpoint, check, join, metrics, status, wait_for

KEYS, SHARDS = 500, 8
DATA = ".weir/leave"
PATIENCE = 10  # seconds after which a broker takes a silent worker for dead

folder = tempfile.mkdtemp(prefix="weir-leave-")
os.chdir(folder)
with open("leave.json", "w") as topology:
    json.dump({
        "name": "leave", "http": {"listen": "127.0.0.1:0"}, "broker": {"listen": "tcp://127.0.0.1:0"},
        "streams": {"numbers": {"external": "in"}, "keyed": {"partition": {"by": "hash"}, "shards": SHARDS}, "totals": {"partition": {"by": "hash"}}},
        "stages": {
            "pass": {"plugin": "filter", "input": "numbers", "output": "keyed", "workers": 2,
                     "config": {"where": {"field": "", "op": ">=", "value": 0}}},
            "total": {"plugin": "keyed.sum", "input": "keyed", "output": "totals", "workers": 2},
            "write": {"plugin": "file.write", "input": "totals", "config": {"path": "out.jsonl"}}}}, topology)
launcher = Launcher("leave.json", "--stages", "write", log="log.txt")


def endpoint():
    check(launcher.process.poll() is None, open("log.txt").read()[-3000:])
    return broker_endpoint(DATA)


broker = wait_for("the broker", endpoint)


def holders():
    """{pid: shards} of the stage with state."""
    found = status(DATA) or {"workers": []}
    return {worker["pid"]: worker["shards"] for worker in found["workers"] if worker["stage"] == "total"}


def written():
    return sum(number for (name, labels), number in metrics(DATA).items()
               if name == "weir_stage_records_in_total" and ("stage", "write") in labels)


def pending(pid, number):
    """Whether a signal waits for the process to take it."""
    with open("/proc/%d/status" % pid) as lines:
        return any(int(line.split()[1], 16) >> (number - 1) & 1 for line in lines if line.startswith(("SigPnd", "ShdPnd")))


def leave(worker, by=signal.SIGTERM):
    worker.send_signal(by)
    try:
        code = worker.wait(PATIENCE / 2)
    except subprocess.TimeoutExpired:
        code = "not within %d s" % (PATIENCE / 2)
    check(code == 0, "a worker that was asked to go ended %s: %s" % (code, open("workers.txt").read()[-2000:]))


def all_with(pid):
    return wait_for("all shards with %d" % pid, lambda: holders() == {pid: list(range(SHARDS))}, PATIENCE / 2)


feeder = Feeder("numbers", DATA, KEYS)
passing = [join(broker, "pass"), join(broker, "pass")]
totals = [join(broker, "total"), join(broker, "total")]
left = 0
for _ in range(4):
    goal = written() + 500
    wait_for("records at the sink", lambda: written() >= goal)
    leave(totals.pop(0))
    all_with(totals[0].pid)
    leave(passing.pop(0), signal.SIGINT)
    left += 2
    totals.append(join(broker, "total"))
    passing.append(join(broker, "pass"))
    wait_for("shards with the newcomer", lambda: len(holders().get(totals[1].pid, [])) == SHARDS // 2)
# Nobody of a stage is left for a while; then somebody is.
for worker in totals:
    leave(worker)
left += 2
wait_for("no holder", lambda: not holders())
totals = [join(broker, "total")]
all_with(totals[0].pid)
# Asked twice it goes at once, whatever that means for what it has begun: here the broker cannot answer the first.
worker = join(broker, "total")
wait_for("it to hold shards", lambda: holders().get(worker.pid))
broker_pid = launcher.find("broker")
os.kill(broker_pid, signal.SIGSTOP)
worker.send_signal(signal.SIGTERM)
wait_for("the first to be heard", lambda: not pending(worker.pid, signal.SIGTERM), PATIENCE / 2)
worker.send_signal(signal.SIGTERM)
check(worker.wait(PATIENCE / 2) == -signal.SIGTERM, "asked twice it ended with %s" % worker.returncode)
os.kill(broker_pid, signal.SIGCONT)
# Nobody tells the broker; who takes its place does.
totals.append(join(broker, "total", "--worker", "1"))
wait_for("shards with its successor", lambda: len(holders().get(totals[1].pid, [])) == SHARDS // 2)

feeder.end()
check(launcher.wait(120) == 0, open("log.txt").read()[-3000:])
for worker in totals + passing:
    check(worker.wait(PATIENCE) == 0, "a worker ended with %s: %s" % (worker.returncode, open("workers.txt").read()[-2000:]))
NUMBERS = feeder.numbers
unused = {key: collections.Counter(range(key, NUMBERS, KEYS)) for key in range(KEYS)}
sums = collections.Counter()
lines = 0
with open("out.jsonl") as out:
    for line in out:
        record = json.loads(line)
        step = record["value"] - sums[record["key"]]
        sums[record["key"]] = record["value"]
        check(unused[record["key"]][step] > 0, "key %s: a step of %s, which is not in its input (any more)" % (record["key"], step))
        unused[record["key"]][step] -= 1
        lines += 1
check(lines == NUMBERS, "%d running totals of %d records" % (lines, NUMBERS))
log = open("log.txt").read()
fenced = [line for line in log.splitlines() if "lost its rights" in line]
check(len(fenced) == 1 and fenced[0].endswith("total/1 lost its rights: another process took its place"),
      "fenced is only who did not wait to be let go: %s" % fenced)
check(log.count("has left") >= left, "%d workers left, the broker tells of %d" % (left, log.count("has left")))
shutil.rmtree(folder)
print("ok: %d workers left, %d running totals are exact" % (left, lines))
