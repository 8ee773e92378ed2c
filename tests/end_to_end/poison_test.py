# SPDX-License-Identifier: Apache-2.0
"""Records that throw, kill, hang, hoard and flood: each becomes one dead letter, and all others are exact."""
import collections
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

from weir_run import WEIR, Launcher, check, letters, read_records, run, status, wait_for

LIBRARY = sys.argv[1]
folder = tempfile.mkdtemp(prefix="weir-poison-")
os.chdir(folder)

# Under the sanitizers signals and allocations that fail end a process in another way.
SANITIZED = bool(os.environ.get("WEIR_SANITIZE"))
if SANITIZED:
    # What these plugins do on purpose is no finding: signals are left alone, and reports are looked through here.
    alone = ":".join("handle_%s=0" % name for name in ("segv", "abort", "sigbus", "sigfpe", "sigill"))
    for options in ("ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
        os.environ[options] = ":".join(filter(None, (os.environ.get(options), alone, "log_path=%s/report" % folder)))


def no_findings():
    for name in os.listdir(folder):
        if name.startswith("report."):
            with open(name, errors="replace") as report:
                text = report.read()
            check("out of memory" in text or "failed to allocate" in text, "a sanitizer reports: " + text[:5000])


# Whoever hoards must come to its limit before its deadline, though it shares the machine.
ON_A_BUSY_MACHINE = {"deadline": "1s", "memory": "16MiB"}

# What the reason of the letter must say.
POISONS = {
    "throw": "it tastes bad",
    "segv": "signal 11 (SIGSEGV)",
    "abort": "signal 6 (SIGABRT)",
    "bus": "signal 7 (SIGBUS)",
    "fpe": "signal 8 (SIGFPE)",
    "ill": "signal 4 (SIGILL)",
    "trap": "signal 5 (SIGTRAP)",
    "sys": "signal 31 (SIGSYS)",
    "xcpu": "signal 24 (SIGXCPU)",
    "xfsz": "signal 25 (SIGXFSZ)",
    "pipe": "Broken pipe",
    "wanted pipe": "signal 13 (SIGPIPE)",
    "exit": "exit 3",
    "exit well": "exit 0",
    "loop": "exit 68 (its deadline had passed)",
    "allocate": "std::bad_alloc: it takes more memory than one record may",
    "emit": "what one record causes is more than half of transaction_bytes_max",
}


def topology(name, on_error=None, workers=2, keyed=True, settings=None):
    """Records from outside through the stage that they poison, counted by key behind it."""
    with open(name + ".json", "w") as file:
        json.dump({
            "name": name, "http": {"listen": "127.0.0.1:0"}, "libraries": [LIBRARY],
            "broker": {"transaction_bytes_max": "1MiB"},
            "streams": {"lines": {"external": "in", **({"partition": {"by": "hash"}, "shards": 4} if keyed else {})},
                        "good": {"partition": {"by": "hash"}, "shards": 4}, "counts": {}},
            "stages": {
                "eat": {"plugin": "test.poison", "input": "lines", "output": "good", "workers": workers,
                        **({"on_error": on_error} if on_error else {}), **(settings or {})},
                "count": {"plugin": "keyed.count", "input": "good", "output": "counts"},
                "write": {"plugin": "file.write", "input": "counts", "config": {"path": name + ".jsonl"}}}}, file)


def feed(name, records):
    """Runs the topology on the records, to its end; what it said, and how it ended."""
    launcher = Launcher(name + ".json", log=name + ".log")
    wait_for("the topology", lambda: status(".weir/" + name))
    text = "".join(json.dumps(record) + "\n" for record in records)
    produced = subprocess.run([WEIR, "produce", "lines", "--data", ".weir/" + name, "--end"], input=text,
                              capture_output=True, text=True, timeout=120)
    code = launcher.wait()
    with open(name + ".log") as log:
        return code, log.read() + produced.stderr


def exact(name, records):
    """All that is no poison was counted once; and in order of its key."""
    wanted = collections.Counter(record["key"] for record in records if not record["value"].startswith("poison"))
    totals = collections.Counter()
    for record in read_records(name + ".jsonl"):
        totals[record["key"]] += 1
        check(record["value"] == totals[record["key"]], "%s: total %s came as number %d" % (name, record["value"], totals[record["key"]]))
    check(totals == wanted, "%s: %s instead of %s" % (name, totals, wanted))


def food(count, poison_every=0, poisons=()):
    records = [{"key": i % 10, "value": "food %d" % i} for i in range(count)]
    for i, poison in enumerate(poisons):
        records[(i + 1) * poison_every]["value"] = "poison " + poison
    return records


def each_becomes_one_letter(name, poisons, retries, keyed, settings=None):
    records = food(20_000, 500, list(poisons) * 2)
    topology(name, {"retries": retries}, keyed=keyed, settings=settings)
    begun = time.monotonic()
    code, said = feed(name, records)
    check(code == 0, said[-3000:])
    found = letters(name)
    wanted = collections.Counter(record["value"] for record in records if record["value"].startswith("poison"))
    check(collections.Counter(letter["value"] for letter in found) == wanted, "%s: letters %s" % (name, found))
    check(len({(letter["shard"], letter["offset"]) for letter in found}) == len(found), "a place has two letters")
    for letter in found:
        words = POISONS[letter["value"][7:]]
        check(words in letter["reason"] or (SANITIZED and "it killed" in letter["reason"]), "%s: %s" % (letter["value"], letter["reason"]))
        check(letter["attempts"] == retries + 1, "%d attempts: %s" % (letter["attempts"], letter))
        check((letter["stage"], letter["stream"]) == ("eat", "lines"), "wrong place: %s" % letter)
    exact(name, records)
    print("%s: %d letters, %.1f s, %s" % (name, len(found), time.monotonic() - begun, said.strip().splitlines()[-1]), flush=True)


def skipped_and_failed():
    records = food(3000, 500, ["segv", "throw", "exit"])
    topology("skip", {"then": "skip"})
    code, said = feed("skip", records)
    check(code == 0, said[-3000:])
    check(letters("skip") == [], "a letter of a record that was to be skipped")
    exact("skip", records)
    topology("fail", {"then": "fail"})
    code, said = feed("fail", records)
    check(code == 1, "it ended with %d: %s" % (code, said[-3000:]))
    check(re.search(r'stage "eat" fails at a record of "lines", shard \d+, offset \d+', said), said[-2000:])


def a_finish_that_hangs_fails_the_stage():
    topology("hangs", settings={"plugin": "test.hangs_in_finish", "deadline": "200ms", "workers": 1, "config": {}})
    code, said = feed("hangs", food(100))
    check(code == 1, "it ended with %d: %s" % (code, said[-3000:]))
    words = r"stage eat is given up on: worker 0 died 5 times in a row without a commit, last by exit 68 \(its deadline had passed\) while in finish of stage eat"
    check(re.search(words, said), said[-2000:])
    print("a finish that hangs fails its stage", flush=True)


def kills_from_outside_lay_nothing_to_records():
    chooser = random.Random(20)
    topology("outside", workers=1)
    launcher = Launcher("outside.json", log="outside.log")
    wait_for("the topology", lambda: status(".weir/outside"))
    producer = subprocess.Popen([WEIR, "produce", "lines", "--data", ".weir/outside", "--name", "feeder", "--end"],
                                stdin=subprocess.PIPE, text=True)
    records = food(2000)
    text = "".join(json.dumps(record) + "\n" for record in records)
    victim = None
    for _ in range(20):
        producer.stdin.write(text)
        producer.stdin.flush()
        victim = wait_for("another worker", lambda: launcher.find("eat") not in (None, victim) and launcher.find("eat"))
        time.sleep(chooser.uniform(0, 0.1))  # the moment of the kill, not a wait for anything
        os.kill(victim, chooser.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
    producer.stdin.close()
    check(producer.wait(120) == 0, "produce failed")
    check(launcher.wait() == 0, open("outside.log").read()[-3000:])
    # Who is asked to go may do so in order.
    ends = re.findall(r"worker eat/0 ended by (?:signal|exit 0)", open("outside.log").read())
    check(len(ends) >= 20, "only %d of the 20 kills killed" % len(ends))
    check(letters("outside") == [], "dead letters: %s" % letters("outside")[:3])
    exact("outside", records * 20)
    print("20 kills from outside, no letter", flush=True)


def past_the_broker(name, transport="send_receive", workers=2):
    """Over send_receive the sender gives the same records again and again."""
    with open(name + ".json", "w") as file:
        json.dump({
            "name": name, "http": {"listen": "127.0.0.1:0"}, "libraries": [LIBRARY], "broker": {"transaction_bytes_max": "1MiB"},
            "streams": {"lines": {"external": "in"}, "past": {"transport": transport}, "good": {}},
            "stages": {
                "pass": {"plugin": "filter", "input": "lines", "output": "past", "config": {"where": {"field": "", "op": "exists"}}},
                "eat": {"plugin": "test.poison", "input": "past", "output": "good", "workers": workers, "on_error": {"retries": 1}, **ON_A_BUSY_MACHINE},
                "write": {"plugin": "file.write", "input": "good", "config": {"path": name + ".jsonl"}}}}, file)


def arrived(name, records):
    """All that is no poison has arrived, some of it twice, maybe, and nothing else."""
    wanted = {record["value"] for record in records if not record["value"].startswith("poison")}
    got = [record["value"] for record in read_records(name + ".jsonl")]
    check(set(got) == wanted, "%s: %d of %d arrived" % (name, len(set(got) & wanted), len(wanted)))
    return len(got) - len(wanted)


def a_killer_sent_again_becomes_one_letter():
    records = food(20_000, 500, [poison for poison in POISONS] * 2)
    past_the_broker("again")
    begun = time.monotonic()
    code, said = feed("again", records)
    check(code == 0, said[-3000:])
    found = letters("again")
    wanted = collections.Counter(record["value"] for record in records if record["value"].startswith("poison"))
    check(collections.Counter(letter["value"] for letter in found) == wanted, "letters %s" % found)
    for letter in found:
        words = POISONS[letter["value"][7:]]
        check(words in letter["reason"] or (SANITIZED and "it killed" in letter["reason"]), "%s: %s" % (letter["value"], letter["reason"]))
        check((letter["stage"], letter["stream"], letter["attempts"]) == ("eat", "past", 2), "%s" % letter)
    twice = arrived("again", records)
    print("sent again: %d letters, %.1f s, %d records twice" % (len(found), time.monotonic() - begun, twice), flush=True)


def a_killer_that_is_lost_is_counted(transport, workers):
    records = food(120_000, 30_000, ["segv", "exit", "loop"])
    past_the_broker(transport, transport, workers)
    code, said = feed(transport, records)
    check(code == 0, said[-3000:])
    check(letters(transport) == [], "%s" % letters(transport))
    got = [record["value"] for record in read_records(transport + ".jsonl")]
    check(got and len(set(got)) == len(got) and not any(value.startswith("poison") for value in got), "twice, or a poison")
    lost = next(stream["lost_records"] for stream in json.loads(run("status", "--json", "--data", ".weir/" + transport).stdout)["streams"]
                if stream["name"] == "past")
    check(lost == len(records) - len(got) and lost >= 3, "%d of %d arrived, and %d count as lost" % (len(got), len(records), lost))
    print("%s: 3 killers, no letter, %d records lost and counted" % (transport, lost), flush=True)


def kills_from_outside_lay_nothing_to_records_sent_again():
    chooser = random.Random(21)
    past_the_broker("outside_again")
    launcher = Launcher("outside_again.json", log="outside_again.log")
    wait_for("the topology", lambda: status(".weir/outside_again"))
    producer = subprocess.Popen([WEIR, "produce", "lines", "--data", ".weir/outside_again", "--name", "feeder", "--end"],
                                stdin=subprocess.PIPE, text=True)
    records = [{"key": 0, "value": "food %d" % i} for i in range(40_000)]
    victim = None
    for part in range(20):
        producer.stdin.write("".join(json.dumps(record) + "\n" for record in records[part * 2000:part * 2000 + 2000]))
        producer.stdin.flush()
        victim = wait_for("another worker", lambda: launcher.find("eat") not in (None, victim) and launcher.find("eat"))
        time.sleep(chooser.uniform(0, 0.1))  # the moment of the kill, not a wait for anything
        os.kill(victim, signal.SIGKILL)
    producer.stdin.close()
    check(producer.wait(120) == 0, "produce failed")
    check(launcher.wait() == 0, open("outside_again.log").read()[-3000:])
    check(letters("outside_again") == [], "dead letters: %s" % letters("outside_again")[:3])
    print("20 kills from outside over send_receive, no letter, %d records twice" % arrived("outside_again", records), flush=True)


each_becomes_one_letter("shards", POISONS, 0, True, ON_A_BUSY_MACHINE)
each_becomes_one_letter("ranges", POISONS, 2, False, ON_A_BUSY_MACHINE)
a_finish_that_hangs_fails_the_stage()
skipped_and_failed()
kills_from_outside_lay_nothing_to_records()
a_killer_sent_again_becomes_one_letter()
kills_from_outside_lay_nothing_to_records_sent_again()
a_killer_that_is_lost_is_counted("push_pull", 2)
a_killer_that_is_lost_is_counted("pub_sub", 1)
no_findings()
