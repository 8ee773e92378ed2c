# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at random moments to broker, launcher and every stage's worker: counts and output stay exact.

kills_test.py final|every MEGABYTES KILLS_PER_VICTIM [SEED]"""
import collections
import json
import os
import random
import re
import sys
import tempfile
import time

from weir_run import Launcher, check, check_running_counts, make_text, read_records, run, status, wait_for

EMIT, MEGABYTES, KILLS = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
SEED = int(sys.argv[4]) if len(sys.argv) > 4 else 1


def committed(data, stage):
    """How many records the stage has committed since the directory began; -1 while nobody can say."""
    said = status(data)
    for found in (said or {}).get("stages", []):
        if found["name"] == stage:
            return found["records_in"] + found["records_out"]
    return -1


def main():
    folder = tempfile.mkdtemp(prefix="weir-kills-")
    os.chdir(folder)
    counts, lines = make_text("input.txt", MEGABYTES, SEED)
    with open("kills.json", "w") as topology:
        json.dump({
            "name": "kills", "http": {"listen": "127.0.0.1:0"},
            "streams": {"lines": {}, "words": {"partition": {"by": "hash"}, "shards": 32}, "counts": {}},
            "stages": {
                "read": {"plugin": "file.lines", "output": "lines", "config": {"path": "input.txt"}},
                "split": {"plugin": "text.words", "input": "lines", "output": "words", "workers": 2},
                "count": {"plugin": "keyed.count", "input": "words", "output": "counts", "workers": 2, "config": {"emit": EMIT}},
                "write": {"plugin": "file.write", "input": "counts", "config": {"path": "out.jsonl"}}}}, topology)
    victims = ["broker", "launcher", "read", "split", "count"] + (["write"] if EMIT == "every" else [])
    chooser = random.Random(SEED)
    # The source ends first, so it is killed first.
    plan = [victim for victim in victims if victim != "read"] * KILLS
    chooser.shuffle(plan)
    plan = ["read"] * KILLS + plan
    data = ".weir/kills"
    launcher = Launcher("kills.json", log="log.txt")
    done = collections.Counter()
    for victim in plan:
        if launcher.process.poll() is not None:
            break
        time.sleep(chooser.uniform(0.02, 0.3))  # the moment of the kill, not a wait for anything
        stage = {"broker": "count", "launcher": "count"}.get(victim, victim)
        before = committed(data, stage)
        if victim == "launcher":
            launcher.kill()
            launcher.wait()
            launcher = Launcher("kills.json", log="log.txt")
        else:
            # It may be about to start again after the kill before.
            pid = wait_for("a process of " + victim, lambda: launcher.find(victim) or launcher.process.poll() is not None)
            if launcher.process.poll() is not None:
                break
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
        # It counts only if its stage commits again.
        ended = lambda: launcher.process.poll() is not None
        wait_for("a commit of %s after the kill of %s" % (stage, victim), lambda: ended() or committed(data, stage) > max(before, 0), 60)
        if not ended():
            done[victim] += 1
    code = launcher.wait(600)
    check(code == 0, "weir run ended with %d: %s" % (code, open("log.txt").read()[-2000:]))
    print("kills that a commit followed:", dict(done), "of", len(plan), flush=True)
    for victim in victims:
        # A short run may end before every victim has had its turn; a long one must give each at least four.
        check(MEGABYTES < 100 or done[victim] >= 4, "too few kills of %s: give it more input" % victim)
    check(sum(done.values()) >= 2, "too few kills: give it more input")
    text = open("log.txt").read()
    last = re.findall(r"finished kills in .*: (\d+) records in, (\d+) out, (\d+) dead letters", text)
    check(last and last[-1][0] == str(lines) and last[-1][2] == "0", "the last line says %s, not %d records in" % (last, lines))
    if EMIT == "final":
        records = read_records("out.jsonl")
        check(len(records) == len(counts), "%d records for %d words" % (len(records), len(counts)))
        check({r["key"]: r["value"] for r in records} == dict(counts), "the counts differ from the input's")
    else:
        check_running_counts("out.jsonl", counts)
    letters = run("dead-letters", "list", "--json", "--data", data)
    check(letters.returncode == 0 and json.loads(letters.stdout) == [], "dead letters: " + letters.stdout + letters.stderr)
    print("exact: %d lines, %d words" % (lines, sum(counts.values())))


main()
