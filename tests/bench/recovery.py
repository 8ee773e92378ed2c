# SPDX-License-Identifier: Apache-2.0
"""How quickly Weir is back: a broker with a backlog, the shards of a killed worker, shards that move to other workers and to other versions
of a library, and commits beside snapshots.

WEIR_BIN=build/release/bin python3 tests/bench/recovery.py broker [MEBIBYTES] [MEMORY]  default 10240 and the default of broker.memory
WEIR_BIN=build/release/bin python3 tests/bench/recovery.py shards [KEYS] [KILLS]        default 100000 20
WEIR_BIN=build/release/bin python3 tests/bench/recovery.py scaling [KEYS] [ROUNDS]      default 1000000 3
WEIR_BIN=build/release/bin python3 tests/bench/recovery.py upgrading [KEYS] [ROUNDS]    default 1000000 3
WEIR_BIN=build/release/bin python3 tests/bench/recovery.py commits [KEYS] [SECONDS]     default 3000000 30

Each figure stands beside a baseline of the same run; one that misses its target fails the run at its end. TMPDIR says on which disk."""
import collections
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
from targets import conclude, target  # noqa: E402
from weir_run import Launcher, check, get, metrics, run, status, wait_for  # noqa: E402

MEBI = 1 << 20
SHARDS = 32
HTTP = {"listen": "127.0.0.1:0"}
folder = None


def write_topology(name, topology):
    with open(name + ".json", "w") as file:
        json.dump({"name": name, "http": HTTP, **topology}, file)
    return name + ".json"


def say(text):
    print("fsync  " + text, flush=True)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(seconds):
    return "p50 %.0f ms, p99 %.0f ms, most %.0f ms of %d" % (
        percentile(seconds, 0.5) * 1e3, percentile(seconds, 0.99) * 1e3, max(seconds) * 1e3, len(seconds))


def stage(data, name):
    return next((stage for stage in (status(data) or {}).get("stages", []) if stage["name"] == name), {})


# A broker with a backlog.

def drop_caches():
    """Whether what follows really comes from the disk."""
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w") as caches:
            caches.write("3")
        return True
    except OSError:
        return False


def io_of(pid):
    with open("/proc/%d/io" % pid) as io:
        return {name: int(value) for name, value in (line.split(": ") for line in io)}


def copy_newest(journal):
    """What no start gets around: the newest segment read and written anew, and synced."""
    newest = max((name for name in os.listdir(journal) if name.startswith("segment")),
                 key=lambda name: os.stat(os.path.join(journal, name)).st_mtime_ns)
    start = time.monotonic()
    with open(os.path.join(journal, newest), "rb") as segment:
        content = segment.read()
    with open("copy", "wb") as copy:
        copy.write(content)
        copy.flush()
        os.fdatasync(copy.fileno())
    seconds = time.monotonic() - start
    os.remove("copy")
    return seconds


def waiting_bytes(data):
    return next((stream["bytes"] for stream in (status(data) or {}).get("streams", []) if stream["name"] == "in"), 0)


def broker():
    mebibytes = int(sys.argv[2]) if len(sys.argv) > 2 else 10240
    pad = "x" * 960
    records = [{"key": n, "value": {"n": n, "pad": pad}} for n in range(1000)]
    topology = write_topology("backlog", {
        **({"broker": {"memory": sys.argv[3]}} if len(sys.argv) > 3 else {}),
        "streams": {"in": {"partition": {"by": "hash"}, "shards": SHARDS, "max_backlog": "1TiB"}, "sums": {}},
        "stages": {
            "make": {"plugin": "generate.values", "output": "in", "config": {"records": records, "repeat": 0}},
            "sum": {"plugin": "keyed.sum", "input": "in", "output": "sums", "workers": 2, "config": {"field": "/n", "emit": "final"}},
            "write": {"plugin": "file.write", "input": "sums", "config": {"path": "sums.jsonl"}}}})
    data = ".weir/backlog"
    journal = data + "/journal"
    start = time.monotonic()
    launcher = Launcher(topology, "--stages", "make", log="log.txt")
    wait_for("the backlog", lambda: waiting_bytes(data) >= mebibytes * MEBI, 3600)
    filled = time.monotonic() - start
    peak = peak_mib(launcher.find("broker"))
    launcher.kill_everyone()  # while it writes
    if len(sys.argv) > 3 and sys.argv[3] == "64MiB":
        target("memory of the broker", peak, 128, " MiB")
    held = sum(os.stat(os.path.join(journal, name)).st_size for name in os.listdir(journal))
    say("broker: %.1f GiB of journal in %d files, filled in %.0f s by a broker of %.0f MiB at most, everyone killed while it is written"
        % (held / 1024 ** 3, len(os.listdir(journal)), filled, peak))
    back = []
    for cold in (True, False) * 3:
        what = "cold" if cold and drop_caches() else "the kernel's cache not dropped" if cold else "warm"
        baseline = copy_newest(journal)
        if cold:
            drop_caches()
        start = time.monotonic()
        launcher = Launcher(topology, log="log.txt")
        # That of the broker killed before is removed by the next start.
        wait_for("the broker", lambda: launcher.find("broker"), 60)
        pid = launcher.find("broker")
        wait_for("its endpoint", lambda: open_endpoint(data) == pid and get(data, "/metrics"), 60)
        answers = time.monotonic() - start
        io = io_of(pid)
        wait_for("health", lambda: get(data, "/healthz") == "ok\n", 60)
        healthy = time.monotonic() - start
        wait_for("a commit", lambda: stage(data, "sum").get("records_in", 0) > 0, 60)
        committed = time.monotonic() - start
        back.append(committed)
        peak = peak_mib(pid)
        recovery = next(value for (name, _), value in metrics(data).items() if name == "weir_broker_recovery_seconds")
        launcher.kill_everyone()
        say("broker back, %s: recovery %.2f s, answers after %.2f s, healthy after %.2f s, commits after %.2f s; "
            "%.0f MB read (%.0f MB from disk), %.0f MB written, peak %.0f MiB; baseline (newest segment copied) %.2f s"
            % (what, recovery, answers, healthy, committed, io["rchar"] / 1e6, io["read_bytes"] / 1e6, io["wchar"] / 1e6,
               peak, baseline))
        os.remove(data + "/endpoint.json")
    target("the longest until a broker is back and commits", max(back), 2, " s")


def peak_mib(pid):
    with open("/proc/%d/status" % pid) as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def open_endpoint(data):
    try:
        with open(os.path.join(data, "endpoint.json")) as endpoint:
            return json.load(endpoint)["pid"]
    except (OSError, ValueError):
        return None


# The shards of a killed worker.

def write_keyed(name, keys, rate):
    """Loads the state of so many keys, then goes on at a rate; key k is in shard k mod SHARDS."""
    return write_topology(name, {
        "streams": {"in": {"partition": {"by": "modulo"}, "shards": SHARDS}, "sums": {}},
        "stages": {
            "load": {"plugin": "generate.sequence", "output": "in", "config": {"from": 0, "to": keys - 1}},
            "drip": {"plugin": "generate.sequence", "output": "in", "config": {"rate": rate, "key_modulo": keys}},
            "sum": {"plugin": "keyed.sum", "input": "in", "output": "sums", "workers": 2},
            "write": {"plugin": "file.write", "input": "sums", "config": {"path": "sums.jsonl"}}}})


class Follower:
    """What the sink has flushed, as it comes: reads behind what was read."""

    def __init__(self, path):
        self.file = open(path, "rb")
        self.file.seek(0, os.SEEK_END)
        self.rest = b""

    def keys(self):
        """The keys of the lines that came since."""
        lines = (self.rest + self.file.read()).split(b"\n")
        self.rest = lines.pop()
        return [int(line[7:line.index(b",")]) for line in lines if line]  # {"key":N,...


def snapshots(data):
    """{name: bytes}"""
    found = {}
    for entry in os.scandir(data + "/journal"):
        if entry.name.startswith("snapshot"):
            try:
                found[entry.name] = entry.stat().st_size
            except OSError:  # replaced by a newer one meanwhile
                continue
    return found


def load(name, keys, rate):
    """A running topology whose state has so many keys."""
    launcher = Launcher(write_keyed(name, keys, rate), "--fresh", log="log.txt")
    wait_for("the load", lambda: stage(".weir/" + name, "load").get("state") == "finished", 600)
    for behind in ("sum", "write"):
        wait_for("its sums", lambda: stage(".weir/" + name, behind).get("backlog_records", 1 << 60) < rate / 10, 600)
    return launcher


def holder_of(data):
    """{shard: (worker, pid)} of the keyed stage."""
    return {shard: (worker["worker"], worker["pid"]) for worker in json.loads(get(data, "/api/workers") or "[]")
            if worker["stage"] == "sum" for shard in worker["shards"]}


def longest_silence(follower, shards, from_time, seconds, event=None):
    """For each shard the longest time around `event` in which nothing of it came out; nobody is asked meanwhile."""
    last = dict.fromkeys(range(SHARDS), None)
    silence = collections.defaultdict(float)
    fired = None
    end = from_time + seconds
    while True:
        now = time.monotonic()
        for shard in {key % SHARDS for key in follower.keys()}:
            if last[shard] is not None:
                silence[shard] = max(silence[shard], now - last[shard])
            last[shard] = now
        if event and fired is None and now >= from_time + 1 and None not in last.values():
            event()
            fired = now
            silence.clear()
        if now >= end and (fired is None or all(last[shard] > fired and silence[shard] > 0 for shard in shards)):
            # What has been silent until now counts too.
            for shard in shards:
                silence[shard] = max(silence[shard], now - last[shard])
            return [silence[shard] for shard in shards]
        check(now < end + 60, "a shard gave nothing for a minute")
        time.sleep(0.001)


def shards():
    keys = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    kills = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    data = ".weir/shards"
    launcher = load("shards", keys, 20_000)
    follower = Follower("sums.jsonl")
    quiet, moved, others, whole = [], [], [], []
    quiet += longest_silence(follower, range(SHARDS), time.monotonic(), 5)
    for n in range(kills):
        held = wait_for("all shards held", lambda: (lambda held: held if len(held) == SHARDS and len(set(held.values())) == 2
                                                    else None)(holder_of(data)), 60)
        victim = sorted(set(held.values()))[n % 2]
        concerned = [shard for shard, holder in held.items() if holder == victim]
        silence = dict(zip(range(SHARDS), longest_silence(follower, range(SHARDS), time.monotonic(), 4,
                                                          lambda: os.kill(victim[1], signal.SIGKILL))))
        moved += [silence[shard] for shard in concerned]
        others += [silence[shard] for shard in silence if shard not in concerned]
        whole.append(max(silence[shard] for shard in concerned))
    kept = max(snapshots(data).values(), default=0)
    launcher.interrupt()
    launcher.wait(60)
    say("shards, %d keys, a snapshot of %.0f MB, 20000 records/s, 1 worker of 2 killed %d times; longest silence at the sink:" % (keys, kept / 1e6, kills))
    say("  a shard of the killed worker: " + spread(moved))
    say("  the last of its shards: " + spread(whole))
    say("  a shard of the other worker: " + spread(others))
    say("  baseline, nobody killed: " + spread(quiet))
    target("p99 of a killed worker's shards", percentile(moved, 0.99), 1, " s")


# Shards that move.

def state_bytes(data):
    """{worker: bytes} of the keyed stage."""
    return {dict(labels)["worker"]: value for (name, labels), value in metrics(data).items()
            if name == "weir_stage_state_bytes" and ("stage", "sum") in labels and value > 0}


def silences(follower, event, rate):
    """For each shard the longest time in which nothing of it came out while event() ran, and records a second."""
    last = dict.fromkeys(range(SHARDS), None)
    silence = dict.fromkeys(range(SHARDS), 0.0)
    records, begun, done = 0, None, threading.Event()
    while True:
        over = done.is_set()
        keys, now = follower.keys(), time.monotonic()
        records += len(keys) if begun is not None else 0
        for shard in {key % SHARDS for key in keys}:
            if last[shard] is not None:
                silence[shard] = max(silence[shard], now - last[shard])
            last[shard] = now
        if begun is None and None not in last.values():
            begun, silence = now, dict.fromkeys(range(SHARDS), 0.0)
            threading.Thread(target=lambda: (event(), done.set()), daemon=True).start()
        if over:
            return [max(silence[shard], now - last[shard]) for shard in silence], records / (now - begun) / rate
        time.sleep(0.001)


def scale(data, number):
    result = run("scale", "sum", str(number), "--data", data, "--wait", "--timeout", "5m")
    check(result.returncode == 0, result.stderr)


def scaling():
    keys = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    data, rate = ".weir/scaling", 20_000
    launcher = load("scaling", keys, rate)
    follower = Follower("sums.jsonl")
    held = wait_for("the size of the state", lambda: (lambda held: held if len(held) == 2 else None)(state_bytes(data)), 60)
    quiet, before = silences(follower, lambda: time.sleep(10), rate)
    moved, stayed, added, during, took = [], [], [], [], []
    for _ in range(rounds):
        for number in (3, 2):
            holders = holder_of(data)
            start = time.monotonic()
            silent, share = silences(follower, lambda: scale(data, number), rate)
            took.append(time.monotonic() - start)
            during.append(share)
            after = holder_of(data)
            left = [shard for shard in range(SHARDS) if holders.get(shard) != after.get(shard)]
            others = [silent[shard] for shard in range(SHARDS) if shard not in left]
            moved += [silent[shard] for shard in left]
            stayed += others
            # What stops everybody, the disk or another program, is not the moving.
            added += [max(0, silent[shard] - max(others)) for shard in left]
    _, behind = silences(follower, lambda: time.sleep(10), rate)
    launcher.interrupt()
    launcher.wait(60)
    say("scaling, %d keys, %s MB of state at the workers, %d records/s, 2 workers to 3 and back %d times; longest silence at the sink:"
        % (keys, " and ".join("%.0f" % (number / 1e6) for number in held.values()), rate, rounds))
    say("  a shard that moved: " + spread(moved))
    say("  a shard that stayed meanwhile: " + spread(stayed))
    say("  a shard that moved, beyond the longest of those that stayed: " + spread(added))
    say("  baseline, all shards while nothing moved: " + spread(quiet))
    say("  records that came out, of those that came in: %.2f before, %.2f while shards moved (least %.2f), %.2f after; one scaling took %.1f s at most"
        % (before, sum(during) / len(during), min(during), behind, max(took)))
    target("p99 of a shard that moves, beyond those that stay", percentile(added, 0.99), 0.1, " s")


# Shards that move to another version of a library.

def versions():
    """Two libraries with the same stage: the one that comes with Weir, and one that differs from it and does the same."""
    plugins = json.loads(run("plugins", "keyed.sum", "--json").stdout)
    own = next(plugin["library"] for plugin in plugins if plugin["name"] == "keyed.sum")
    with open(own, "rb") as library, open("next.so", "wb") as copy:
        copy.write(library.read() + b"\n")  # behind its end: nobody reads that
    return own, os.path.abspath("next.so")


def upgrade(data, library):
    result = run("upgrade", "sum", "--library", library, "--data", data, "--wait", "--timeout", "5m")
    check(result.returncode == 0, result.stderr)


def upgrading():
    keys = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    data, rate = ".weir/upgrading", 20_000
    own, other = versions()
    launcher = load("upgrading", keys, rate)
    follower = Follower("sums.jsonl")
    held = wait_for("the size of the state", lambda: (lambda held: held if len(held) == 2 else None)(state_bytes(data)), 60)
    quiet, before = silences(follower, lambda: time.sleep(10), rate)
    moved, during, took = [], [], []
    for _ in range(rounds):
        for library in (other, own):
            pids = {pid for _, pid in holder_of(data).values()}
            start = time.monotonic()
            silent, share = silences(follower, lambda: upgrade(data, library), rate)
            took.append(time.monotonic() - start)
            check(not pids & {pid for _, pid in holder_of(data).values()}, "a shard is still where it was")
            during.append(share)
            moved += silent
    _, behind = silences(follower, lambda: time.sleep(10), rate)
    restarts = stage(data, "sum")["restarts"]
    launcher.interrupt()
    launcher.wait(60)
    check(restarts == 0, "%d workers died" % restarts)
    say("upgrading, %d keys, %s MB of state at the workers, %d records/s, 2 workers to another version and back %d times; longest silence at the sink:"
        % (keys, " and ".join("%.0f" % (number / 1e6) for number in held.values()), rate, rounds))
    say("  a shard, all of which move: " + spread(moved))
    say("  baseline, all shards while nothing moved: " + spread(quiet))
    say("  records that came out, of those that came in: %.2f before, %.2f while shards moved (least %.2f), %.2f after; one upgrade took %.1f s at most"
        % (before, sum(during) / len(during), min(during), behind, max(took)))
    target("p99 of a shard that moves to another version", percentile(moved, 0.99), 1, " s")


# Commits beside snapshots.

def commits():
    keys = int(sys.argv[2]) if len(sys.argv) > 2 else 3_000_000
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 30
    for count in (1000, keys):
        data = ".weir/commits"
        launcher = load("commits", count, 100_000)
        gaps = {False: [], True: []}
        names = snapshots(data)
        size, last = os.stat("sums.jsonl").st_size, time.monotonic()
        busy, end = False, last + seconds
        while last < end:
            for name, bytes_now in snapshots(data).items():
                busy |= names.get(name) != bytes_now
                names[name] = bytes_now
            now, was = time.monotonic(), size
            size = os.stat("sums.jsonl").st_size
            if size != was:
                gaps[busy].append(now - last)
                last, busy = now, False
            time.sleep(0.0005)
        buckets = metrics(data)
        syncs = sorted((float(dict(labels)["le"]), value) for (name, labels), value in buckets.items()
                       if name == "weir_broker_fsync_seconds_bucket" and dict(labels)["le"] != "+Inf")
        launcher.interrupt()
        launcher.wait(60)
        say("commits, %d keys, 100000 records/s, %d snapshots in %d s; gaps between flushes of the sink:" % (count, len(names), seconds))
        for busy, what in ((False, "no snapshot grew"), (True, "a snapshot grew")):
            if gaps[busy]:
                say("  while %s: %s" % (what, spread(gaps[busy])))
        p99 = next((bound for bound, value in syncs if value >= 0.99 * syncs[-1][1]), float("inf"))
        say("  baseline: 99 of 100 syncs of the journal took less than %.3g ms" % (p99 * 1e3))


parts = {"broker": broker, "shards": shards, "scaling": scaling, "upgrading": upgrading, "commits": commits}
if len(sys.argv) < 2 or sys.argv[1] not in parts:
    sys.exit(__doc__)
folder = tempfile.mkdtemp(prefix="weir-recovery-")
os.chdir(folder)
print("machine: %s, %d cores, %s, load %.1f" % (platform.machine(), os.cpu_count(), platform.platform(), os.getloadavg()[0]), flush=True)
try:
    parts[sys.argv[1]]()
finally:
    os.chdir("/")
    shutil.rmtree(folder, ignore_errors=True)
conclude()
