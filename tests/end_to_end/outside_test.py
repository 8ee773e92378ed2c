# SPDX-License-Identifier: Apache-2.0
"""Groups outside a topology: `weir consume`, a program in Python and one in C++ get every record, shard by shard in order,
and acknowledge it for good, through kills of consumers, broker and workers; a run waits for them; a group that never comes
back is dropped; the status and the metrics say what waits."""
import collections
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from weir_run import WEIR, Launcher, check, metrics, restart, run, status, wait_for

CONSUMER = sys.argv[1]  # tests/end_to_end/programs/consumer.cc
SOURCE = os.environ["WEIR_SOURCE"]
HTTP = {"listen": "127.0.0.1:0"}
SHARDS = 4


def write(name, count, rate=None, stream=None, **more):
    config = {"from": 1, "to": count, "key_modulo": 16}
    if rate:
        config["rate"] = rate
    with open(name + ".json", "w") as file:
        json.dump({"name": name, "http": HTTP,
                   "streams": {"numbers": {}, "out": {"external": "out", "partition": {"by": "modulo"}, "shards": SHARDS, **(stream or {})},
                               **more.get("streams", {})},
                   "stages": {"take": {"plugin": "generate.sequence", "output": "numbers", "config": config},
                              "pass": {"plugin": "filter", "input": "numbers", "output": "out", "workers": 1,
                                       "config": {"where": {"field": "", "op": ">", "value": 0}}}, **more.get("stages", {})}}, file)


def consume(name, group="g", *more, **options):
    return subprocess.Popen([WEIR, "consume", "out", "--data", ".weir/" + name, "--group", group, *more], stdin=subprocess.DEVNULL,
                            stdout=options.get("stdout", subprocess.PIPE), stderr=subprocess.PIPE, text=True)


def groups(name):
    for stream in (status(".weir/" + name) or {"streams": []})["streams"]:
        if stream["name"] == "out":
            return {group["name"]: group for group in stream["groups"]}
    return {}


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def check_all(found, count, what):
    """Every number once, and those of a key, which lie in one shard, in order."""
    values = collections.Counter(record["value"] for record in found)
    check(values == {n: 1 for n in range(1, count + 1)}, "%s: %d records, %d different, of %d" % (what, len(found), len(values), count))
    last = {}
    for record in found:
        check(last.get(record["key"], 0) < record["value"], "%s: key %d out of order" % (what, record["key"]))
        last[record["key"]] = record["value"]


def check_at_least_once(found, count, what):
    """Every number, and in each shard only what was not acknowledged again: going back never skips forward."""
    check({record["value"] for record in found} == set(range(1, count + 1)), "%s: not every record came" % what)
    reached = collections.defaultdict(int)
    for record in found:
        check(record["offset"] <= reached[record["shard"]], "%s: shard %d skipped from %d to %d" % (
            what, record["shard"], reached[record["shard"]], record["offset"]))
        reached[record["shard"]] = max(reached[record["shard"]], record["offset"] + 1)


def a_run_waits_for_its_groups():
    write("waits", 1000)
    launcher = Launcher("waits.json", log="waits.log")
    wait_for("the topology to be worked off but for its groups",
             lambda: "of stream out wait for a first group: weir consume out --group NAME" in open("waits.log").read())
    check(launcher.process.poll() is None, "it did not wait for a first group")
    gauge = ("weir_stream_backlog_records", (("group", ""), ("stream", "out"), ("topology", "waits")))
    check(metrics(".weir/waits").get(gauge) == 1000, "what waits for a first group is not shown")
    first = consume("waits", "g", "--count", "100")
    out, said = first.communicate(timeout=60)
    check(first.returncode == 0 and len(lines(out)) == 100, "--count 100 gave %d: %s" % (len(lines(out)), said))
    check("100 records consumed and acknowledged by group g" in said and "group g is new" in said, said)
    check(groups("waits")["g"]["backlog_records"] == 900, str(groups("waits")))
    gauge = ("weir_stream_backlog_records", (("group", "g"), ("stream", "out"), ("topology", "waits")))
    check(metrics(".weir/waits").get(gauge) == 900, "the backlog of the group is not shown")
    check("g" in run("status", "--data", ".weir/waits").stdout, "weir status does not show it")
    launcher.interrupt()
    check(launcher.process.wait(60) == 0, "Ctrl-C while it waited was not clean")
    at_rest = run("consume", "out", "--data", ".weir/waits", "--group", "g")
    check(at_rest.returncode == 1 and "900 records wait for group g" in at_rest.stderr, at_rest.stderr)
    launcher = Launcher("waits.json", log="waits.log")
    wait_for("the broker", lambda: status(".weir/waits"))
    rest = consume("waits")
    more, said = rest.communicate(timeout=60)
    check(rest.returncode == 0 and "stream out has ended" in said, said)
    check_all(lines(out) + lines(more), 1000, "two consumers one behind the other")
    check(launcher.process.wait(60) == 0, "the run did not end with its last group")
    again = run("consume", "out", "--data", ".weir/waits", "--group", "g")
    check(again.returncode == 0 and again.stdout == "" and "has consumed all of it" in again.stderr, again.stderr)


def every_group_gets_all_in_any_language():
    write("two", 20000)
    # A group that is there before the first record misses none, whoever else consumes.
    launcher = Launcher("two.json", "--stages", "none", log="two.log")
    wait_for("the broker", lambda: status(".weir/two"))
    for group in ("by_weir", "by_python", "by_cpp"):
        entered = consume("two", group, "--timeout", "1ms")
        check(entered.wait(60) == 0, entered.stderr.read())
    launcher.interrupt()
    check(launcher.process.wait(60) == 0, "the stop was not clean")
    launcher = Launcher("two.json", log="two.log")
    wait_for("the broker", lambda: status(".weir/two"))
    programs = {"weir": [WEIR, "consume", "out", "--data", ".weir/two", "--group", "by_weir"],
                "python": ["/usr/bin/python3", os.path.join(SOURCE, "sdk", "wire", "consume.py"), ".weir/two", "out", "by_python"],
                **{"cpp%d" % i: [CONSUMER, ".weir/two", "out", "by_cpp"] for i in range(3)}}
    processes = {what: subprocess.Popen(arguments, stdout=open(what + ".jsonl", "w")) for what, arguments in programs.items()}
    found = {}
    for what, process in processes.items():
        check(process.wait(240) == 0, "%s ended with %d" % (what, process.returncode))
        found[what] = lines(open(what + ".jsonl").read())
    check_all(found["weir"], 20000, "weir consume")
    check_all(found["python"], 20000, "consume.py")
    shared = found["cpp0"] + found["cpp1"] + found["cpp2"]
    check_all(sorted(shared, key=lambda record: (record["shard"], record["offset"])), 20000, "three consumers of a group")
    check(launcher.process.wait(60) == 0, "the run did not end with its groups")


def nothing_is_lost_through_kills():
    count = 30000
    write("kills", count, rate=4000)
    launcher = Launcher("kills.json", log="kills.log")
    wait_for("the broker", lambda: status(".weir/kills"))
    paths, processes = [], []

    def start():
        paths.append("out-%d.jsonl" % len(paths))
        with open(paths[-1], "w") as file:
            processes.append(consume("kills", "g", "--position", stdout=file))

    start()
    for kill in ("pass", "consumer", "broker", "consumer"):
        before = sum(os.path.getsize(path) for path in paths)
        wait_for("records", lambda: sum(os.path.getsize(path) for path in paths) > before + 20000)
        if kill != "consumer":
            restart(launcher, kill)
            continue
        processes[-1].send_signal(signal.SIGKILL)
        processes[-1].wait()
        start()
    check(processes[-1].wait(240) == 0, processes[-1].stderr.read())
    check(launcher.process.wait(60) == 0, "the run did not end")
    found = []
    for path in paths:
        text = open(path).read()
        found += lines(text[:text.rfind("\n") + 1])  # the last line of a killed one may be cut
    check_at_least_once(found, count, "kills")
    # A consumer that went on over a broker's death was given nothing twice.
    for path in paths:
        text = open(path).read()
        mine = [(record["shard"], record["offset"]) for record in lines(text[:text.rfind("\n") + 1])]
        check(len(mine) == len(set(mine)), "one consumer got a record twice")


def exactly_once_by_its_own_positions():
    """The program keeps its positions with what it did, here in one file, and says them when it starts."""
    count = 20000
    write("once", count, rate=5000)
    launcher = Launcher("once.json", log="once.log")
    wait_for("the broker", lambda: status(".weir/once"))
    for _ in range(3):
        before = os.path.getsize("once.jsonl") if os.path.exists("once.jsonl") else 0
        process = subprocess.Popen([CONSUMER, ".weir/once", "out", "book", "once.jsonl"], stdout=subprocess.DEVNULL)
        wait_for("records", lambda: os.path.exists("once.jsonl") and os.path.getsize("once.jsonl") > before + 20000)
        process.send_signal(signal.SIGKILL)
        process.wait()
    process = subprocess.Popen([CONSUMER, ".weir/once", "out", "book", "once.jsonl"], stdout=subprocess.DEVNULL)
    check(process.wait(240) == 0, "the last one ended with %d" % process.returncode)
    check(launcher.process.wait(60) == 0, "the run did not end")
    check_all(lines(open("once.jsonl").read()), count, "by its own positions")


def a_group_that_stays_away_stops_the_source_until_it_is_dropped():
    write("full", 200000, stream={"max_backlog": "64KiB"})
    launcher = Launcher("full.json", log="full.log")
    wait_for("the broker", lambda: status(".weir/full"))
    first = consume("full", "away", "--count", "10")
    check(first.wait(60) == 0, first.stderr.read())
    def in_stream():
        return {stream["name"]: stream["records"] for stream in status(".weir/full")["streams"]}["out"]
    wait_for("the backlog of the group", lambda: groups("full")["away"]["backlog_records"] > 1000)
    at = wait_for("the source to stop", lambda: (lambda before: before if wait_same(in_stream, before) else 0)(in_stream()))
    check(at < 200000, "max_backlog held nothing back")
    busy = consume("full", "away")
    wait_for("it to be there", lambda: groups("full")["away"]["consumers"] == 1)
    refused = run("consume", "out", "--data", ".weir/full", "--group", "away", "--drop")
    check(refused.returncode == 1 and "end them first" in refused.stderr, refused.stderr)
    busy.send_signal(signal.SIGINT)
    check(busy.wait(60) == 0, busy.stderr.read())
    dropped = run("consume", "out", "--data", ".weir/full", "--group", "away", "--drop")
    check(dropped.returncode == 0 and "group away of stream out is forgotten" in dropped.stderr, dropped.stderr)
    check(groups("full") == {}, "it is still there")
    rest = consume("full", "next", stdout=subprocess.DEVNULL)
    check(rest.wait(240) == 0, rest.stderr.read())
    check(launcher.process.wait(60) == 0, "the run did not end")


def wait_same(ask, before):
    """Whether it stays the same while the broker's status is asked for many times."""
    return all(ask() == before for _ in range(50))


def what_is_wrong_is_a_sentence():
    write("wrong", 10, streams={"inner": {}}, stages={
        "more": {"plugin": "generate.sequence", "output": "inner", "config": {}},
        "print": {"plugin": "console.print", "input": "inner"}})
    launcher = Launcher("wrong.json", log="wrong.log")
    wait_for("the broker", lambda: status(".weir/wrong"))
    for arguments, sentence in (
            (["outt", "--group", "g"], 'there is no stream "outt"'),
            (["inner", "--group", "g"], 'no group outside may read stream "inner"; give it "external": "out"'),
            (["out", "--group", "G g"], "is no name of a group"),
            (["out", "--group", "pass"], '"pass" is the group of a stage'),
            (["out", "--group", "g", "--drop"], 'no group "g" outside the topology reads a stream "out"')):
        result = run("consume", *arguments, "--data", ".weir/wrong")
        check(result.returncode == 1 and sentence in result.stderr, "%s: %d %s" % (arguments, result.returncode, result.stderr))
    check(run("consume", "out", "--data", ".weir/nothing", "--group", "g").returncode == 1, "no directory")
    check(run("consume", "out", "--data", ".weir/wrong").returncode == 2, "no group")
    launcher.interrupt()
    launcher.process.wait(60)


def main():
    folder = tempfile.mkdtemp(prefix="weir-outside-")
    os.chdir(folder)
    for test in (a_run_waits_for_its_groups, every_group_gets_all_in_any_language, what_is_wrong_is_a_sentence,
                 a_group_that_stays_away_stops_the_source_until_it_is_dropped, exactly_once_by_its_own_positions,
                 nothing_is_lost_through_kills):
        test()
        print("ok:", test.__name__, flush=True)
    os.chdir("/")
    shutil.rmtree(folder)


main()
