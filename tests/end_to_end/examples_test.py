# SPDX-License-Identifier: Apache-2.0
"""The examples, from a JSON file to results, against the shell and plain Python."""
import bisect
import collections
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

from weir_run import Launcher, check, get, letters, metrics, read_records, run, status, wait_for

SOURCE = os.environ["WEIR_SOURCE"]


def at_once(*stages):
    """An example whose sources leave a person some seconds needs none here."""
    return [part for stage in stages for part in ("--set", "/stages/%s/config/rate=1000000000" % stage)]


def example(name, *args):
    path = os.path.join("examples", name + ".json")
    result = run("run", path, "--set", '/http={"listen": "127.0.0.1:0"}', *args)
    check(result.returncode == 0, "%s ended with %d: %s" % (name, result.returncode, result.stderr))
    return result


def wordcount():
    result = example("wordcount")
    # The line of the documentation, counted by the shell.
    shell = "cat /usr/share/common-licenses/* | tr -cs 'A-Za-z' '\\n' | tr 'A-Z' 'a-z' | grep . | sort | uniq -c"
    wanted = {}
    for line in subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True).stdout.splitlines():
        count, word = line.split()
        wanted[word] = int(count)
    records = read_records("examples/out/counts.jsonl")
    check(len(records) == len(wanted), "a word came twice")
    check({r["key"]: r["value"] for r in records} == wanted, "the counts differ from the shell's")
    lines = int(subprocess.run(["bash", "-c", "cat /usr/share/common-licenses/* | wc -l"], capture_output=True, text=True).stdout)
    check("finished wordcount in" in result.stderr and "%d records in, %d out, 0 dead letters" % (lines, len(wanted)) in result.stderr,
          "the last line is " + result.stderr.strip().splitlines()[-1])


def a_finished_topology_does_not_run_again():
    before = os.stat("examples/out/counts.jsonl").st_mtime_ns
    result = example("wordcount")
    check("finished already" in result.stderr, "it does not say that it has finished: " + result.stderr)
    said = run("status", "--data", ".weir/wordcount").stdout
    check(said.startswith("wordcount: not running; finished"), "its status is " + said)
    for change in ("/stages/count/memory=32MiB", "/stages/read/commit_after=20ms", "/broker/interval=20ms"):
        result = example("wordcount", "--set", change)
        check("finished already" in result.stderr, "with %s it does not say that it has finished: %s" % (change, result.stderr))
    check(os.stat("examples/out/counts.jsonl").st_mtime_ns == before, "the output was touched")


def sums():
    example("sum")
    wanted = collections.defaultdict(int)
    for number in range(1, 11):
        wanted[number % 10] += number
    last = {}
    for record in read_records("examples/out/sum.jsonl"):
        last[record["key"]] = record["value"]
    check(last == dict(wanted), "the sums are %s" % last)


def weblog():
    result = example("weblog")
    pattern = re.compile(r'^(\S+) (\S+) (\S+) \[([^\]]+)\] "(\S+) (\S+) ([^"]*)" (\d{3}) (\S+) "([^"]*)" "([^"]*)"$')
    with open("examples/data/access.log") as log:
        lines = log.read().splitlines()
    bad = [line for line in lines if not pattern.match(line)]
    check(len(lines) == 2000 and len(bad) == 13, "the log has %d lines, %d of them malformed" % (len(lines), len(bad)))
    check("2000 records in" in result.stderr and "13 dead letters" in result.stderr, result.stderr.strip().splitlines()[-1])
    letters = json.loads(run("dead-letters", "list", "--json", "--data", ".weir/weblog").stdout)
    check(sorted(letter["value"] for letter in letters) == sorted(bad), "the dead letters are not the malformed lines")


def partitions():
    example("partitions")
    with open("examples/partitions.json") as file:
        orders = json.load(file)["stages"]["take"]["config"]["values"]

    def expect(name, shards, key, shard_of):
        """Shard by shard, in order: what out/NAME-SHARD.jsonl holds."""
        found = [[] for _ in range(shards)]
        for path in glob.glob("examples/out/%s-*.jsonl" % name):
            found[int(re.search(r"(\d+)\.jsonl", path).group(1))] = [(r["key"], r["value"]) for r in read_records(path)]
        wanted = [[(key(order), order) for order in orders if shard_of(order) == shard] for shard in range(shards)]
        check(found == wanted, "%s: the shards hold %s, not %s" % (name, found, wanted))

    expect("order", 3, lambda o: o["order"], lambda o: o["order"] % 3)
    expect("amount", 3, lambda o: o["amount"], lambda o: bisect.bisect_right([10, 100.5], o["amount"]))
    expect("initial", 3, lambda o: o["customer"], lambda o: bisect.bisect_right([b"e", b"q"], o["customer"].encode()))
    # xxhash.xxh3_64_intdigest(msgpack.packb(key)) * 4 >> 64, with the libraries of tests/golden/make_keys.py.
    customers = {"ada": 3, "bob": 3, "quinn": 1, "eve": 3, "zoe": 2, "hal": 2}
    pairs = {"at ada": 2, "at hal": 1, "de ada": 1, "de bob": 0, "de hal": 0, "de quinn": 1, "de zoe": 3, "fr bob": 0, "fr eve": 2,
             "fr quinn": 0, "fr zoe": 1}
    expect("customer", 4, lambda o: o["customer"], lambda o: customers[o["customer"]])
    expect("country", 4, lambda o: [o["country"], o["customer"]], lambda o: pairs[o["country"] + " " + o["customer"]])


def priority():
    example("priority")
    with open("examples/priority.json") as file:
        tickets = json.load(file)["stages"]["open"]["config"]["values"]
    found = collections.defaultdict(list)
    for record in read_records("examples/out/answered.jsonl"):
        found[record["value"].get("urgency", 2)].append((record["timestamp"], record["value"]))
    for level in range(3):
        wanted = [(1000 * (6 * turn + i), ticket) for turn in range(1000) for i, ticket in enumerate(tickets) if ticket.get("urgency", 2) == level]
        check(found[level] == wanted, "the tickets of urgency %d are others, or in another order" % level)


def attempts():
    example("attempts")
    done = sorted((record["key"], record["value"]) for record in read_records("examples/out/done.jsonl"))
    check(done == [(job, 5) for job in range(1, 101)], "the jobs that are done: %s" % done)


def compression():
    keep = [part for stream in ("plain", "lz4", "zstd") for part in ("--set", '/streams/%s/retention={"size": "10MiB"}' % stream)]
    example("compression", *keep)
    with open("examples/data/access.log") as log:
        lines = log.read().splitlines()
    check([record["value"] for record in read_records("examples/out/compression.jsonl")] == lines, "the lines are others")
    said = json.loads(run("status", "--json", "--data", ".weir/compression").stdout)
    taken = {stream["name"]: stream["bytes"] for stream in said["streams"]}
    check(taken["lz4"] < taken["plain"] / 2 and taken["zstd"] < taken["lz4"], "the streams take %s" % taken)
    # A tap shows records whatever they were carried in.
    for stream in ("plain", "lz4", "zstd"):
        shown = run("tail", stream, "--data", ".weir/compression", "--from", "start", "--count", "1500")
        check([json.loads(line)["value"] for line in shown.stdout.splitlines()] == lines[:1500], "%s: a tap shows other lines" % stream)


def fused():
    """Both ways give what Python gives, and of the fused steps only what comes out of the last is in the journal."""
    pattern = re.compile(r'^(\S+) .*"\S+ (\S+) [^"]*" 200 (\d+) ')
    with open("examples/data/access.log") as log:
        wanted = [match.groups() for match in map(pattern.match, log) if match]
    example("fused")
    for name in ("fused", "queued"):
        with open("examples/out/%s.csv" % name) as file:
            rows = [tuple(line.split(",")) for line in file.read().splitlines()]
        check(rows[0] == ("host", "path", "bytes") and rows[1:] == wanted, "%s.csv has other rows" % name)
    said = json.loads(run("status", "--json", "--data", ".weir/fused").stdout)
    taken = {stream["name"]: stream["bytes"] for stream in said["streams"]}
    check(taken["lines"] == taken["served"] == 0, "what is fused lies in the journal: %s" % taken)
    check(taken["queued_lines"] > taken["queued_served"] > taken["fields"] == taken["queued_fields"] > 0, "the streams take %s" % taken)


def large_state():
    example("large_state")
    wanted = {key: key + (key + 100_000 if key + 100_000 <= 200_000 else 0) for key in range(100_000)}
    wanted[0] = 300_000
    records = read_records("examples/out/large_state.jsonl")
    check(len(records) == len(wanted) and {r["key"]: r["value"] for r in records} == wanted, "the sums are others")
    check(len(os.listdir(".weir/large_state/state/sum")) == 4, "the state is not where it should be")


def push_pull():
    example("push_pull", *at_once("measure"))
    check(sorted(record["value"] for record in read_records("examples/out/alarms.jsonl")) == list(range(999_001, 1_000_001)), "the alarms are others")
    streams = {stream["name"]: stream for stream in json.loads(run("status", "--json", "--data", ".weir/push_pull").stdout)["streams"]}
    check(streams["samples"]["records"] == 1_000_000 and streams["samples"]["lost_records"] == 0, "the samples: %s" % streams["samples"])
    check("lost_records" in run("status", "--data", ".weir/push_pull").stdout, "weir status says nothing of losses")
    dumped = run("journal", "dump", "--data", ".weir/push_pull").stdout
    check("records to samples, past the broker" in dumped and "records in 1 shards to alarms" in dumped, "the journal: " + dumped[-2000:])


def send_receive():
    example("send_receive", *at_once("pay"))
    check(sorted(record["value"] for record in read_records("examples/out/payments.jsonl")) == list(range(1, 20_001)), "the payments are others")
    streams = {stream["name"]: stream for stream in json.loads(run("status", "--json", "--data", ".weir/send_receive").stdout)["streams"]}
    check(streams["payments"]["transport"] == "send_receive" and streams["payments"]["records"] == 20_000, "the payments: %s" % streams["payments"])


def pub_sub():
    example("pub_sub")
    with open("examples/pub_sub.json") as file:
        rates = json.load(file)["stages"]["quote"]["config"]
    wanted = collections.Counter((rate["key"], rate["value"]) for rate in rates["records"] * rates["repeat"])
    for name, workers in (("shops", 3), ("archive", 1)):
        found = collections.Counter((record["key"], record["value"]) for record in read_records("examples/out/%s.jsonl" % name))
        check(found == {rate: workers * times for rate, times in wanted.items()}, "%s got others: %s" % (name, found))
    shown = run("status", "--json", "--data", ".weir/pub_sub")
    stream = next(stream for stream in json.loads(shown.stdout)["streams"] if stream["name"] == "rates")
    sent = sum(wanted.values())
    check((stream["records"], stream["deliveries"], stream["lost_records"]) == (sent, 4 * sent, 0), "the rates: %s" % stream)
    check("deliveries" in run("status", "--data", ".weir/pub_sub").stdout, "weir status says nothing of deliveries")
    dumped = run("journal", "dump", "--data", ".weir/pub_sub").stdout
    check("records to rates, past the broker to 4 readers" in dumped, "the journal: " + dumped[-2000:])


def scaling():
    data = ".weir/scaling"
    launcher = Launcher("examples/scaling.json", "--set", '/http={"listen": "127.0.0.1:0"}', log="scaling.txt")
    wait_for("sums", lambda: launcher.process.poll() is not None or
             any(stage["name"] == "sum" and stage["records_in"] > 10_000 for stage in (status(data) or {}).get("stages", [])))
    result = run("scale", "sum", "3", "--data", data, "--wait")
    check(result.returncode == 0 and "sum runs with 3 workers" in result.stderr, result.stderr)
    shown = run("status", "--data", data).stdout
    check("count follows its load with 1 to 4 workers" in shown, shown)
    check(launcher.wait(120) == 0, open("scaling.txt").read()[-2000:])
    sums = {record["key"]: record["value"] for record in read_records("examples/out/scaled_sums.jsonl")}
    counts = {record["key"]: record["value"] for record in read_records("examples/out/scaled_counts.jsonl")}
    check(sums == {key: sum(range(key or 500, 200_001, 500)) for key in range(500)}, "the sums are others")
    check(counts == dict.fromkeys(range(500), 400), "the counts are others")


def upgrading():
    data = ".weir/upgrade"
    launcher = Launcher("examples/upgrade.json", "--set", '/http={"listen": "127.0.0.1:0"}', log="upgrade.txt")
    stage = lambda: next((stage for stage in (status(data) or {}).get("stages", []) if stage["name"] == "sum"), {})
    wait_for("sums", lambda: launcher.process.poll() is not None or stage().get("records_in", 0) > 10_000)
    own = next(plugin["library"] for plugin in json.loads(run("plugins", "keyed.sum", "--json").stdout) if plugin["name"] == "keyed.sum")
    with open(own, "rb") as library, open("next.so", "wb") as copy:
        copy.write(library.read() + b"\n")
    for arguments, name in [(("--library", "next.so"), "next.so"), (("--back",), os.path.basename(own))]:
        result = run("upgrade", "sum", *arguments, "--data", data, "--wait")
        check(result.returncode == 0 and "sum runs with " + name in result.stderr, result.stderr)
        check(stage()["library"]["name"] == name, "%s" % stage())
    check(launcher.wait(120) == 0, open("upgrade.txt").read()[-2000:])
    totals, last = collections.Counter(), collections.Counter()
    for record in read_records("examples/out/upgraded_sums.jsonl"):
        key = record["key"]
        last[key] = last[key] + 500 if last[key] else key or 500
        totals[key] += last[key]
        check(record["value"] == totals[key], "key %d: %d where %d was due" % (key, record["value"], totals[key]))
    check(totals == {key: sum(range(key or 500, 200_001, 500)) for key in range(500)}, "sums are missing")


def dispatch():
    """One worker of each stage stands still: who asks for the least loaded goes on without it, who takes turns waits."""
    last = 5_000_000  # so that there is time to look
    more = [part for how in ("load", "turn") for part in ("--set", "/stages/%s/config/to=%d" % (how, last),
                                                          "--set", "/stages/by_%s/config/where/value=%d" % (how, last - 1000))]
    launcher = Launcher("examples/dispatch.json", "--hold", "--set", '/http={"listen": "127.0.0.1:0"}', *more, *at_once("load", "turn"), log="log.txt")
    data = ".weir/dispatch"
    consumed = lambda stage: next((s["records_in"] for s in (status(data) or {"stages": []})["stages"] if s["name"] == stage), 0)
    wait_for("both stages to be at work", lambda: consumed("by_load") > 0 and consumed("by_turn") > 0)
    pids = {(worker["stage"], worker["worker"]): worker["pid"] for worker in status(data)["workers"]}
    stopped = [pids["by_load", 0], pids["by_turn", 0]]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    # Half a megabyte of records at most is with the one that stands still.
    wait_for("by_load to go on alone", lambda: consumed("by_load") > 0.95 * last, 9)
    waits = consumed("by_turn")
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    check(waits < 0.6 * last, "by_turn has gone on to %d though a worker whose turn it is stands still" % waits)
    wait_for("the end", lambda: (status(data) or {}).get("state") == "finished", 60)
    launcher.interrupt()
    check(launcher.wait(30) == 0, "it did not stop cleanly: " + open("log.txt").read()[-2000:])
    for how in ("load", "turn"):
        values = sorted(record["value"] for record in read_records("examples/out/by_%s.jsonl" % how))
        check(values == list(range(last - 999, last + 1)), "by_%s has other numbers" % how)


def skewed():
    data = ".weir/skewed"
    launcher = Launcher("examples/skewed.json", "--set", '/http={"listen": "127.0.0.1:0"}', log="skewed.txt")
    held = lambda: sorted(len(worker["shards"]) for worker in (status(data) or {"workers": []})["workers"] if worker["stage"] == "count")
    wait_for("the worker with the hot shard to have fewer", lambda: launcher.process.poll() is not None or held() in ([1, 7], [2, 6], [3, 5]))
    check(launcher.process.poll() is None, "it ended with equal shares: " + open("skewed.txt").read()[-2000:])
    check(launcher.wait(120) == 0, open("skewed.txt").read()[-2000:])
    counts = {record["key"]: record["value"] for record in read_records("examples/out/skewed_counts.jsonl")}
    check(counts == {"hot": 100_000, **dict.fromkeys("abcdefgh", 12_500)}, "the counts are others: %s" % counts)


def hot_keys():
    result = run("run", "examples/hot_keys.json", "--set", '/http={"listen": "127.0.0.1:0"}', *at_once("make"))
    check(result.returncode == 0, result.stderr)
    sums = {record["key"]: record["value"] for record in read_records("examples/out/hot_sums.jsonl")}
    check(sums == {"hot": 64 * 62_500, **{key: 62_500 * 2 * (place + 1) for place, key in enumerate("abcdefgh")}}, "the sums are others: %s" % sums)
    streams = {stream["name"]: stream["records"] for stream in json.loads(run("status", "--json", "--data", ".weir/hot_keys").stdout)["streams"]}
    check(streams["numbers"] + streams["numbers.hot"] == 1_000_000 and streams["numbers.hot"] > 400_000, "they were not split: %s" % streams)


def ranges():
    data = ".weir/ranges"
    launcher = Launcher("examples/ranges.json", "--set", '/http={"listen": "127.0.0.1:0"}', log="ranges.txt")
    readings = lambda: next((stream for stream in (status(data) or {}).get("streams", []) if stream["name"] == "readings"), {})
    learned = wait_for("boundaries", lambda: launcher.process.poll() is not None or readings().get("boundaries"))
    check(launcher.process.poll() is None, "it ended without boundaries: " + open("ranges.txt").read()[-2000:])
    check(len(learned) == 3 and learned == sorted(learned), "they are %s" % learned)
    check("boundaries of readings: " in run("status", "--data", data).stdout, "a person is not told")
    check(launcher.wait(120) == 0, open("ranges.txt").read()[-2000:])
    counts = {record["key"]: record["value"] for record in read_records("examples/out/ranges_counts.jsonl")}
    check(counts == {**{key: 40_000 for key in range(1, 6)}, **{key: 20_000 for key in (6, 7, 8, 11, 13, 17, 22, 27, 33, 40)}},
          "the counts are others: %s" % counts)
    shards = readings_of(json.loads(run("status", "--json", "--data", data).stdout))
    check(sum(shards) == 400_000 and max(shards) < 0.4 * 400_000, "the shards are uneven: %s" % shards)


def readings_of(found):
    return next(stream["shard_records"] for stream in found["streams"] if stream["name"] == "readings")


def full_dead_letters_fail_the_stage():
    result = run("run", "examples/weblog.json", "--fresh", "--set", '/http={"listen": "127.0.0.1:0"}',
                 "--set", '/stages/parse/on_error={"kept_bytes_max": "1KiB"}')
    check(result.returncode == 1 and "kept_bytes_max" in result.stderr, "%d: %s" % (result.returncode, result.stderr))
    # What is said of the list is so, also where not one had room.
    for size in ("1KiB", "64B"):
        result = run("run", "examples/weblog.json", "--fresh", "--set", '/http={"listen": "127.0.0.1:0"}',
                     "--set", '/stages/parse/on_error={"kept_bytes_max": "%s"}' % size)
        kept = len(letters("weblog"))
        check(("list` shows those that were kept before" if kept else "none is kept and `weir dead-letters list` shows none") in result.stderr,
              "%d are kept: %s" % (kept, result.stderr))
        check(kept != 0 or re.search(r'the first is of stream "lines", shard 0, offset \d+: ', result.stderr), result.stderr)
    check(kept == 0, "%d letters have room in 64 bytes" % kept)


def stays_up_with_hold():
    launcher = Launcher("examples/wordcount.json", "--fresh", "--hold", "--set", '/http={"listen": "127.0.0.1:0"}')
    wait_for("the end", lambda: (status(".weir/wordcount") or {}).get("state") == "finished")
    found = metrics(".weir/wordcount")
    records = sum(value for (name, labels), value in found.items() if name == "weir_stage_records_in_total" and ("stage", "split") in labels)
    lines = int(subprocess.run(["bash", "-c", "cat /usr/share/common-licenses/* | wc -l"], capture_output=True, text=True).stdout)
    check(records == lines, "weir_stage_records_in_total of split is %s, the text has %s lines" % (records, lines))
    check(get(".weir/wordcount", "/healthz") == "ok\n", "not healthy")
    launcher.interrupt()
    check(launcher.wait(30) == 0, "Ctrl-C after the end is a failure")


folder = tempfile.mkdtemp(prefix="weir-examples-")
shutil.copytree(os.path.join(SOURCE, "topologies", "examples"), os.path.join(folder, "examples"), ignore=shutil.ignore_patterns("out"))
os.chdir(folder)
for test in (wordcount, a_finished_topology_does_not_run_again, sums, weblog, partitions, priority, attempts, compression, fused, large_state, push_pull, send_receive, pub_sub, dispatch, scaling, upgrading, skewed, hot_keys, ranges, full_dead_letters_fail_the_stage, stays_up_with_hold):
    test()
    print("ok:", test.__name__, flush=True)
shutil.rmtree(folder)
