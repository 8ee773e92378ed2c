# SPDX-License-Identifier: Apache-2.0
"""What is published comes to every worker that reads it. Under SIGKILL of publishers, readers and the broker nothing
comes twice to one of them or out of its publisher's order, and what came and what is counted as lost is all that was sent
to each; a reader that stands still holds back and loses nothing; one that comes later gets the last value of each key.
pub_sub_test.py KILLS_PER_VICTIM [SEED]"""
import collections
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time

from weir_run import Launcher, check, children_of, kill_at_random, metrics, read_records, role_of, run, status, wait_for

KILLS = int(sys.argv[1])
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
NUMBERS = 200_000  # of each publisher
READERS = {"one": 1, "many": 3}


def topology(name, rate, memory="256MiB", stream={}):
    """Two sources publish odd and even numbers to two stages, of one and of three workers."""
    stages = {}
    for first, source in ((1, "odd"), (2, "even")):
        stages[source] = {"plugin": "generate.sequence", "output": "news", "memory": memory,
                          "config": {"from": first, "to": 2 * NUMBERS, "step": 2, "rate": rate}}
    for reader, workers in READERS.items():
        stages[reader] = {"plugin": "filter", "input": "news", "output": "of_" + reader, "workers": workers,
                          "config": {"where": {"field": "", "op": ">", "value": 0}}}
        stages["write_" + reader] = {"plugin": "file.write", "input": "of_" + reader, "config": {"path": "%s_%s.jsonl" % (name, reader)}}
    with open(name + ".json", "w") as file:
        json.dump({"name": name, "http": {"listen": "127.0.0.1:0"}, "stages": stages,
                   "streams": {"news": {"transport": "pub_sub", **stream}, "of_one": {}, "of_many": {}}}, file)


def stream_of(data, name="news"):
    said = status(data)
    return next((stream for stream in (said or {}).get("streams", []) if stream["name"] == name), {"records": 0, "lost_records": 0, "deliveries": 0})


def judged(name):
    """What came and what is lost, once it was checked that this is all that was sent."""
    said = json.loads(run("status", "--json", "--data", ".weir/" + name).stdout)
    stream = next(stream for stream in said["streams"] if stream["name"] == "news")
    came = 0
    for reader, workers in READERS.items():
        values = [record["value"] for record in read_records("%s_%s.jsonl" % (name, reader))]
        came += len(values)
        more = [value for value, times in collections.Counter(values).items() if times > workers]
        check(not more, "%s: %s came to %s more often than it has workers" % (name, more[:1], reader))
        check(all(0 < value <= 2 * NUMBERS for value in values), name + ": a number came that nobody sent")
        if workers > 1:
            continue
        for rest in (0, 1):
            of_one = [value for value in values if value % 2 == rest]
            wrong = next((i for i in range(1, len(of_one)) if of_one[i - 1] >= of_one[i]), None)
            check(wrong is None, "%s: %s" % (name, wrong and "%d came before %d" % (of_one[wrong - 1], of_one[wrong])))
    check(stream["records"] == 2 * NUMBERS, "%s: %d records were sent, not %d" % (name, stream["records"], 2 * NUMBERS))
    check(stream["backlog_records"] == 0, "%s: %d are still on their way" % (name, stream["backlog_records"]))
    check(came + stream["lost_records"] == stream["deliveries"],
          "%s: %d came and %d are counted as lost, of %d" % (name, came, stream["lost_records"], stream["deliveries"]))
    check(stream["deliveries"] <= 2 * NUMBERS * sum(READERS.values()), name + ": more was sent than there are readers")
    return came, stream["lost_records"]


def all_comes_to_all_where_nobody_dies():
    topology("calm", 10_000_000, stream={"compression": "lz4"})
    result = run("run", "calm.json")
    check(result.returncode == 0, result.stderr)
    check(judged("calm") == (8 * NUMBERS, 0), "records were lost, or did not come to all, though nobody died: %s" % (judged("calm"),))


def a_stop_loses_nothing():
    topology("stopped", 100_000)
    launcher = Launcher("stopped.json", log="log.txt")
    wait_for("some records", lambda: stream_of(".weir/stopped")["records"] > NUMBERS // 10)
    launcher.interrupt()
    check(launcher.wait(30) == 0, "it did not stop cleanly: " + open("log.txt").read()[-2000:])
    result = run("run", "stopped.json")
    check(result.returncode == 0, result.stderr)
    check(judged("stopped") == (8 * NUMBERS, 0), "a stop lost records: %s" % (judged("stopped"),))


def kills_do_what_is_promised():
    topology("kills", 20_000)
    data = ".weir/kills"
    launcher = Launcher("kills.json", log="log.txt")
    done = kill_at_random(launcher, ["odd", "even", "one", "many", "broker"] * KILLS, lambda: stream_of(data)["records"], SEED)
    check(launcher.wait(300) == 0, "weir run failed: " + open("log.txt").read()[-2000:])
    came, lost = judged("kills")
    check(len(done) == 5, "too few kills: %s" % dict(done))
    print("kills %s: %d came, %d lost" % (dict(done), came, lost), flush=True)


def a_frozen_reader_holds_back_and_loses_nothing():
    """Backpressure: what one reader does not take is not sent, and nothing is dropped at a high-water mark."""
    topology("frozen", 10_000_000, memory="2MiB")
    data = ".weir/frozen"
    launcher = Launcher("frozen.json", "--hold", log="log.txt")
    records = lambda: stream_of(data)["records"]
    wait_for("some records", lambda: records() > 0)
    frozen = next(pid for pid, arguments in children_of(launcher.process.pid).items() if role_of(arguments) == "many")
    os.kill(frozen, signal.SIGSTOP)
    moved = [records(), time.monotonic()]

    def stands_still():
        if records() != moved[0]:
            moved[:] = [records(), time.monotonic()]
        return time.monotonic() - moved[1] > 1.0
    wait_for("the publishers to be held back", stands_still)
    check(moved[0] < 2 * NUMBERS, "all was sent though one did not take it")
    os.kill(frozen, signal.SIGCONT)
    wait_for("the end", lambda: (status(data) or {}).get("state") == "finished", 120)
    found = metrics(data)
    value = lambda metric: sum(value for (name, labels), value in found.items() if name == metric)
    launcher.interrupt()
    check(launcher.wait(30) == 0, "it did not stop cleanly: " + open("log.txt").read()[-2000:])
    check(judged("frozen") == (8 * NUMBERS, 0), "records were lost though nobody died")
    check(value("weir_stream_lost_records_total") == 0, "/metrics counts losses")
    check(value("weir_stream_deliveries_total") == 8 * NUMBERS, "/metrics counts %s deliveries" % value("weir_stream_deliveries_total"))


def a_reader_that_stays_frozen_is_given_up_on_and_its_loss_is_counted():
    topology("given_up", 10_000_000, memory="2MiB")
    data = ".weir/given_up"
    launcher = Launcher("given_up.json", log="log.txt")
    wait_for("some records", lambda: stream_of(data)["records"] > 0)
    frozen = next(pid for pid, arguments in children_of(launcher.process.pid).items() if role_of(arguments) == "many")
    os.kill(frozen, signal.SIGSTOP)
    wait_for("the loss to be counted", lambda: stream_of(data)["lost_records"] > 0 or launcher.process.poll() is not None)
    with contextlib.suppress(ProcessLookupError):  # it may have been killed
        os.kill(frozen, signal.SIGCONT)
    check(launcher.wait(120) == 0, "weir run failed: " + open("log.txt").read()[-2000:])
    came, lost = judged("given_up")
    check(lost > 0, "nothing is counted as lost though a reader was given up on")
    print("given up: %d came, %d lost" % (came, lost), flush=True)


def produce(data, records):
    result = run("produce", "settings", "--data", data, input="".join(json.dumps(record) + "\n" for record in records))
    check(result.returncode == 0, result.stderr)


def who_comes_later_gets_the_last_value_of_each_key():
    with open("late.json", "w") as file:
        json.dump({
            "name": "late", "http": {"listen": "127.0.0.1:0"},
            "streams": {"settings": {"external": "in"}, "news": {"transport": "pub_sub", "last_values": "1KiB"}, "applied": {}},
            "stages": {
                "announce": {"plugin": "filter", "input": "settings", "output": "news", "config": {"where": {"field": "", "op": "exists"}}},
                "apply": {"plugin": "filter", "input": "news", "output": "applied", "workers": 2, "config": {"where": {"field": "", "op": "exists"}}},
                "write": {"plugin": "file.write", "input": "applied", "config": {"path": "late.jsonl"}}}}, file)
    data = ".weir/late"
    launcher = Launcher("late.json", log="log.txt")
    wait_for("the topology", lambda: (status(data) or {}).get("state") == "running")
    came = lambda: collections.Counter((record["key"], record["value"]) for record in read_records("late.jsonl"))
    wanted = collections.Counter()

    def expect(what, records):
        wanted.update(records)
        wait_for("%s: %s" % (what, dict(wanted)), lambda: os.path.exists("late.jsonl") and came() == wanted)

    produce(data, [{"key": key, "value": value} for key, value in (("a", 1), ("b", 1), ("a", 2), ("c", 1))])
    expect("both to have all", {("a", 1): 2, ("b", 1): 2, ("a", 2): 2, ("c", 1): 2})
    result = run("scale", "apply", "3", "--data", data)
    check(result.returncode == 0, result.stderr)
    expect("a new one to have the last values", {("a", 2): 1, ("b", 1): 1, ("c", 1): 1})
    produce(data, [{"key": "b", "value": 3}])
    expect("all three to have what is new", {("b", 3): 3})
    victim = next(pid for pid, arguments in children_of(launcher.process.pid).items() if role_of(arguments) == "apply")
    os.kill(victim, signal.SIGKILL)
    expect("its successor to have the last values", {("a", 2): 1, ("b", 3): 1, ("c", 1): 1})
    # Eight records of more than a hundred bytes: the first are forgotten, and nobody else is harmed.
    produce(data, [{"key": "k%d" % i, "value": "x" * 150} for i in range(8)])
    expect("all three to have many", {("k%d" % i, "x" * 150): 3 for i in range(8)})
    result = run("scale", "apply", "4", "--data", data)
    check(result.returncode == 0, result.stderr)
    wait_for("the fourth", lambda: sum(came().values()) > sum(wanted.values()))
    kept = sorted(key for key, value in (came() - wanted))
    check(kept == ["k%d" % i for i in range(8 - len(kept), 8)] and len(kept) in (3, 4), "of the last values %s were kept" % kept)
    check("take more than its \"last_values\"" in open("log.txt").read(), "the log does not say that some were forgotten")
    result = run("produce", "settings", "--end", "--data", data, input="")
    check(result.returncode == 0, result.stderr)
    check(launcher.wait(60) == 0, "it did not end: " + open("log.txt").read()[-2000:])
    stream = next(s for s in json.loads(run("status", "--json", "--data", data).stdout)["streams"] if s["name"] == "news")
    check(stream["records"] == 13 and stream["lost_records"] == 0, "the news: %s" % stream)


def a_stage_that_is_left_out_misses_what_is_published_meanwhile():
    topology("changed", 20_000)
    with open("changed.json") as file:
        whole = json.load(file)
    without = {**whole, "streams": {name: stream for name, stream in whole["streams"].items() if name != "of_many"},
               "stages": {name: stage for name, stage in whole["stages"].items() if "many" not in name}}
    data, before = ".weir/changed", 0
    for changed in (whole, without):
        with open("changed.json", "w") as file:
            json.dump(changed, file)
        launcher = Launcher("changed.json", log="log.txt")
        wait_for("more records", lambda: stream_of(data)["records"] > before)
        launcher.interrupt()
        check(launcher.wait(30) == 0, "it did not stop cleanly: " + open("log.txt").read()[-2000:])
        before = next(s["records"] for s in json.loads(run("status", "--json", "--data", data).stdout)["streams"] if s["name"] == "news")
    check(before < 2 * NUMBERS, "it was over before all had been tried: give it more input")
    with open("changed.json", "w") as file:
        json.dump(whole, file)
    result = run("run", "changed.json")
    check(result.returncode == 0, result.stderr)
    came, lost = judged("changed")
    check(lost == 0, "a stop lost %d records" % lost)
    check(2 * NUMBERS < came < 8 * NUMBERS, "%d came: the stage that was left out has got what it was not there for" % came)
    check(len(read_records("changed_one.jsonl")) == 2 * NUMBERS, "the stage that stayed lacks some")


def what_fails_at_three_workers_is_three_dead_letters():
    with open("letters.json", "w") as file:
        json.dump({
            "name": "letters", "http": {"listen": "127.0.0.1:0"},
            "streams": {"texts": {"transport": "pub_sub"}, "parsed": {}},
            "stages": {
                "say": {"plugin": "generate.values", "output": "texts", "config": {"values": ["1", "no JSON", "2"]}},
                "parse": {"plugin": "text.json", "input": "texts", "output": "parsed", "workers": 3},
                "write": {"plugin": "file.write", "input": "parsed", "config": {"path": "letters.jsonl"}}}}, file)
    result = run("run", "letters.json")
    check(result.returncode == 0 and "3 dead letters" in result.stderr, result.stderr)
    letters = json.loads(run("dead-letters", "list", "--json", "--data", ".weir/letters").stdout)
    check([letter["value"] for letter in letters] == ["no JSON"] * 3 and len({letter["id"] for letter in letters}) == 3, "the letters: %s" % letters)
    check(sorted(record["value"] for record in read_records("letters.jsonl")) == [1, 1, 1, 2, 2, 2], "others were parsed")


def workers_come_and_go():
    """Readers are scaled up and down while records flow: what was meant for one that leaves comes or is counted."""
    topology("scaled", 10_000)
    data = ".weir/scaled"
    launcher = Launcher("scaled.json", log="log.txt")
    records = lambda: stream_of(data)["records"]
    before = 0
    for workers in (2, 3, 1, 3):
        wait_for("more records", lambda: records() > before)
        before = records()
        result = run("scale", "many", str(workers), "--data", data, "--wait")
        check(result.returncode == 0, result.stderr)
    check(before < 2 * NUMBERS, "it was over before it was scaled: give it more input")
    check(launcher.wait(300) == 0, "weir run failed: " + open("log.txt").read()[-2000:])
    came, lost = judged("scaled")
    print("scaled: %d came, %d lost" % (came, lost), flush=True)


folder = tempfile.mkdtemp(prefix="weir-pub-sub-")
os.chdir(folder)
for test in (all_comes_to_all_where_nobody_dies, a_stop_loses_nothing, kills_do_what_is_promised, a_frozen_reader_holds_back_and_loses_nothing,
             a_reader_that_stays_frozen_is_given_up_on_and_its_loss_is_counted, who_comes_later_gets_the_last_value_of_each_key,
             a_stage_that_is_left_out_misses_what_is_published_meanwhile, what_fails_at_three_workers_is_three_dead_letters, workers_come_and_go):
    test()
    print("ok:", test.__name__, flush=True)
shutil.rmtree(folder)
