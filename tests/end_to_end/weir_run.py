# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: running topologies, finding their processes, and independent computations."""
import atexit
import collections
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

BIN = os.path.abspath(os.environ.get("WEIR_BIN") or sys.exit("set WEIR_BIN to the folder of the programs"))
WEIR = os.path.join(BIN, "weir")


def fail(sentence):
    print("FAILED:", sentence, flush=True)
    sys.exit(1)


def check(condition, sentence):
    if not condition:
        fail(sentence)


def wait_for(what, condition, seconds=60, instead=None):
    """Waits until condition() is true, at most so long; says what was missing, and what instead() says of what there is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    fail("waited %s s in vain for %s%s" % (seconds, what, "; instead: %s" % instead() if instead else ""))


def run(*args, timeout=300, **more):
    return subprocess.run([WEIR, *args], timeout=timeout, capture_output=True, text=True, **more)


def parent_of(pid):
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return int(stat.read().rsplit(")", 1)[1].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def children_of(pid):
    """Processes whose parent is pid: {pid: arguments}."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or parent_of(int(entry)) != pid:
            continue
        try:
            with open("/proc/%s/cmdline" % entry, "rb") as command:
                found[int(entry)] = [part.decode() for part in command.read().split(b"\0") if part]
        except OSError:
            continue
    return found


def role_of(arguments):
    """"broker", or the stage that a worker runs, or nothing."""
    if not arguments:
        return None
    name = os.path.basename(arguments[0])
    if name == "weir-broker":
        return "broker"
    if name == "weir-stage" and "--stage" in arguments:
        return arguments[arguments.index("--stage") + 1]
    return None


def make_text(path, megabytes, seed, words=20000):
    """Lines of words in lower case, and how often each word is in them, counted while they are made."""
    chooser = random.Random(seed)
    vocabulary = sorted({"".join(chooser.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(chooser.randint(2, 9)))
                         for _ in range(words)})
    counts = collections.Counter()
    lines = 0
    size = 0
    with open(path, "w") as text:
        while size < megabytes * 1_000_000:
            chosen = chooser.choices(vocabulary, k=12_000)
            counts.update(chosen)
            block = "".join(" ".join(chosen[i:i + 12]) + "\n" for i in range(0, len(chosen), 12))
            lines += len(chosen) // 12
            text.write(block)
            size += len(block)
    return counts, lines


def read_records(path):
    with open(path) as lines:
        return [json.loads(line) for line in lines]


def check_running_counts(path, counts):
    """The running counts that a sink wrote, line by line: of each key 1, 2, 3 ... up to its number, each once."""
    seen = collections.Counter()
    with open(path) as out:  # one at a time: there may be millions
        for line in out:
            record = json.loads(line)
            seen[record["key"]] += 1
            check(record["value"] == seen[record["key"]],
                  "%s: total %s came as number %d" % (record["key"], record["value"], seen[record["key"]]))
    check(seen == counts, "the totals differ from the input's")


def get(data, path):
    """What the running topology answers on its HTTP port; nothing while it cannot."""
    try:
        with open(os.path.join(data, "endpoint.json")) as endpoint:
            address = json.load(endpoint)["http"]
        return urllib.request.urlopen(address + path, timeout=10).read().decode()
    except (OSError, ValueError):
        return None


def status(data):
    text = get(data, "/api/status")
    return json.loads(text) if text else None


def metrics(data):
    """{(name, labels): value} from the running topology's /metrics."""
    text = get(data, "/metrics") or ""
    found = {}
    for line in text.splitlines():
        match = re.match(r"([a-z_]+)(?:\{(.*)\})? (\S+)$", line)
        if match:
            labels = dict(re.findall(r'(\w+)="([^"]*)"', match.group(2) or ""))
            found[(match.group(1), tuple(sorted(labels.items())))] = float(match.group(3))
    return found


# Of the topology `name`, which runs on .weir/NAME.

def waits(name):
    """Records that wait, over all stages; -1 while nobody answers."""
    found = status(".weir/" + name)
    return sum(stage["backlog_records"] for stage in found["stages"]) if found else -1


def worked_off(name):
    wait_for("everything to be worked off", lambda: waits(name) == 0)


def letters(name):
    """Its dead letters, as `weir dead-letters list --json` gives them."""
    result = run("dead-letters", "list", "--json", "--data", ".weir/" + name)
    check(result.returncode == 0, result.stderr)
    return json.loads(result.stdout)


def move_letters(how, name, *which, code=0):
    """Says `weir dead-letters HOW WHICH`; what that said."""
    result = run("dead-letters", how, "--data", ".weir/" + name, *which)
    check(result.returncode == code, "%s %s ended with %d: %s" % (how, which, result.returncode, result.stderr))
    return result.stderr


def restart(launcher, role):
    """Kills a process of the role, and waits for its successor."""
    pid = wait_for("the " + role, lambda: launcher.find(role))
    os.kill(pid, signal.SIGKILL)
    wait_for("another " + role, lambda: launcher.find(role) not in (None, pid))


class Launcher:
    """A `weir run` in the background."""

    def __init__(self, topology, *args, log=None, environment=None):
        self.log = open(log, "a") if log else subprocess.DEVNULL
        self.process = subprocess.Popen([WEIR, "run", topology, *args], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env={**os.environ, **(environment or {})})
        atexit.register(self.process.kill)  # a test that fails leaves nobody behind; the children follow

    def find(self, role):
        """A process of the role, or nothing."""
        found = [pid for pid, arguments in children_of(self.process.pid).items() if role_of(arguments) == role]
        return found[0] if found else None

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def kill(self):
        self.process.kill()

    def kill_everyone(self):
        """Launcher, broker and workers at once, as a power cut would."""
        everyone = [self.process.pid, *children_of(self.process.pid)]
        for pid in everyone:
            with contextlib.suppress(ProcessLookupError):  # children die with the launcher, too
                os.kill(pid, signal.SIGKILL)
        self.wait()
        wait_for("the end of everyone", lambda: not any(os.path.exists("/proc/%d" % pid) for pid in everyone), 10)

    def wait(self, timeout=300):
        return self.process.wait(timeout=timeout)


def kill_at_random(launcher, victims, records, seed, all_records=None):
    """SIGKILL to a process of each role in `victims`, as often as it is named, in an order and at moments of the seed's: each when
    `records()` has grown since the last, until the launcher ends, or all records are through. How many were killed, by role."""
    chooser = random.Random(seed)
    victims = list(victims)
    chooser.shuffle(victims)
    ended = lambda: launcher.process.poll() is not None or (all_records is not None and records() >= all_records)
    done = collections.Counter()
    for victim in victims:
        before = wait_for("records", lambda: records() or ended())
        wait_for("more records", lambda: ended() or records() > before, 60)
        if ended():
            break
        found = [pid for pid, arguments in children_of(launcher.process.pid).items() if role_of(arguments) == victim]
        if not found:
            continue
        time.sleep(chooser.uniform(0, 0.1))  # the moment of the kill, not a wait for anything
        with contextlib.suppress(ProcessLookupError):
            os.kill(chooser.choice(found), signal.SIGKILL)
            done[victim] += 1
    return done


def broker_endpoint(data):
    """Where the broker on this data directory is reached; nothing while it has not said so."""
    try:
        with open(os.path.join(data, "endpoint.json")) as file:
            return json.load(file)["broker"]
    except (OSError, ValueError):
        return None


def join(broker, stage, *options, log="workers.txt"):
    """A worker that no launcher has started, as on another machine."""
    return subprocess.Popen([os.path.join(BIN, "weir-stage"), "--broker", broker, "--stage", stage, *options], stdin=subprocess.DEVNULL,
                            stdout=open(log, "a"), stderr=subprocess.STDOUT)


class Feeder(threading.Thread):
    """Publishes 0, 1, 2 ... to a stream by `weir produce` under a name, each with its remainder by `keys` as key, until it is told
    to end; what a broker did not acknowledge is sent again. 200 of them a hundred times a second."""
    PORTION = 200

    def __init__(self, stream, data, keys):
        super().__init__(daemon=True)
        self.keys, self.numbers, self.ends = keys, 0, threading.Event()
        self.producer = subprocess.Popen([WEIR, "produce", stream, "--data", data, "--name", "feeder", "--end"],
                                         stdin=subprocess.PIPE, stderr=open("produce.txt", "a"), text=True)
        self.start()

    def run(self):
        while not self.ends.wait(0.01):
            self.producer.stdin.write("".join('{"key": %d, "value": %d}\n' % (number % self.keys, number)
                                              for number in range(self.numbers, self.numbers + self.PORTION)))
            self.producer.stdin.flush()
            self.numbers += self.PORTION
        self.producer.stdin.close()

    def end(self):
        self.ends.set()
        self.join()
        check(self.producer.wait(120) == 0, open("produce.txt").read())
