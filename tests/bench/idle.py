# SPDX-License-Identifier: Apache-2.0
"""What a topology costs to which nothing comes: processor time and memory of each process.

WEIR_BIN=build/release/bin python3 tests/bench/idle.py [SECONDS]     default 20

The processor time is the scheduler's, so that short turns count. TMPDIR says on which disk. The baseline, of the same
run, is a process that wakes a hundred times a second and does nothing."""
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
from targets import conclude, target  # noqa: E402
from weir_run import Launcher, children_of, role_of, status, wait_for  # noqa: E402

WAKES = 100
WAKER = "import time\nwhile True: time.sleep(%r)" % (1 / WAKES)
TOPOLOGY = {
    "name": "idle", "http": {"listen": "127.0.0.1:0"},
    "streams": {"numbers": {"external": "in"}, "keyed": {"partition": {"by": "hash"}, "shards": 8}, "totals": {}},
    "stages": {
        "pass": {"plugin": "filter", "input": "numbers", "output": "keyed", "config": {"where": {"field": "", "op": ">=", "value": 0}}},
        "total": {"plugin": "keyed.sum", "input": "keyed", "output": "totals", "workers": 2},
        "write": {"plugin": "file.write", "input": "totals", "config": {"path": "out.jsonl"}}}}


def used(pid):
    """Seconds on a processor, and how often it came there, of all threads."""
    seconds, turns = 0, 0
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, thread)) as line:
            on_cpu, _, slices = line.read().split()
        seconds += int(on_cpu) / 1e9
        turns += int(slices)
    return seconds, turns


def peak_mib(pid):
    with open("/proc/%d/status" % pid) as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20
    folder = tempfile.mkdtemp(prefix="weir-idle-")
    os.chdir(folder)
    with open("idle.json", "w") as file:
        json.dump(TOPOLOGY, file)
    launcher = Launcher("idle.json", log="log.txt")
    wait_for("the workers", lambda: sum(worker["state"] == "running" for worker in (status(".weir/idle") or {"workers": []})["workers"]) == 4)
    waker = subprocess.Popen([sys.executable, "-c", WAKER])
    processes = {launcher.process.pid: "weir", **{pid: role_of(arguments) for pid, arguments in children_of(launcher.process.pid).items()}}
    time.sleep(3)  # what a start leaves to be done
    before = {pid: used(pid) for pid in [*processes, waker.pid]}
    began = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    after = {pid: used(pid) for pid in before}
    print("machine: %s, %d cores, %s, load %.1f" % (platform.machine(), os.cpu_count(), platform.platform(), os.getloadavg()[0]))

    def tell(name, pids, memory):
        share = sum(after[pid][0] - before[pid][0] for pid in pids) / took
        turns = sum(after[pid][1] - before[pid][1] for pid in pids) / took
        print("%-24s %5.2f %% of a core, %5.0f turns a second%s" % (name, 100 * share, turns, memory))
        return share

    for pid, name in sorted(processes.items(), key=lambda entry: entry[1]):
        tell(name, [pid], ", peak %.0f MiB" % peak_mib(pid))
    whole = tell("all of it", list(processes), "")
    tell("baseline, %d a second" % WAKES, [waker.pid], "")
    waker.kill()
    launcher.interrupt()
    launcher.wait(60)
    os.chdir("/")
    shutil.rmtree(folder)
    target("CPU of an idle topology", 100 * whole, 1, " % of a core")


main()
conclude()
