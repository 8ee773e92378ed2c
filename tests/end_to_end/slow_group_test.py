# SPDX-License-Identifier: Apache-2.0
"""A group that stands still does not pin the journal: what it needs is copied out of old segments, and nothing is lost."""
import json
import os
import shutil
import tempfile

from weir_run import Launcher, check, status, wait_for

MEBI = 1 << 20
FAST = 8_000_000  # records of twelve bytes and more: at least ninety segments
SLOW = 400
SEGMENTS_MAX = 20

folder = tempfile.mkdtemp(prefix="weir-slow-")
os.chdir(folder)
with open("slow.json", "w") as topology:
    json.dump({
        "name": "slow", "http": {"listen": "127.0.0.1:0"},
        "broker": {"segment_size": "1MiB", "transaction_bytes_max": "128KiB"},
        "streams": {"numbers": {"partition": {"by": "hash"}, "max_backlog": "256KiB"}, "totals": {},
                    "drops": {}, "done": {}},
        "stages": {
            "number": {"plugin": "generate.sequence", "output": "numbers", "config": {"from": 1, "to": FAST, "key_modulo": 10}},
            "total": {"plugin": "keyed.sum", "input": "numbers", "output": "totals", "config": {"emit": "final"}},
            "write": {"plugin": "file.write", "input": "totals", "config": {"path": "totals.jsonl"}},
            # A trickle that ends up in every segment, for a stage that has no worker at first.
            "drip": {"plugin": "generate.sequence", "output": "drops", "config": {"from": 1, "to": SLOW, "rate": 200}},
            "dawdle": {"plugin": "filter", "input": "drops", "output": "done", "config": {"where": {"field": "", "op": ">", "value": 0}}},
            "note": {"plugin": "file.write", "input": "done", "config": {"path": "done.jsonl"}}}}, topology)

most = 0


def segments():
    try:
        return len([name for name in os.listdir(".weir/slow/journal") if name.startswith("segment")])
    except OSError:
        return 0


def watch(done):
    def looked():
        global most
        most = max(most, segments())
        return done() or launcher.process.poll() is not None
    wait_for("the run", looked, 300)


def records(name, what):
    return sum(stage[what] for stage in (status(".weir/slow") or {}).get("stages", []) if stage["name"] == name)


def records_in(name):
    return records(name, "records_in")


def records_out(name):
    return records(name, "records_out")


OTHERS = ("--stages", "number,total,write,drip,note")
launcher = Launcher("slow.json", *OTHERS, log="log.txt")
watch(lambda: records_in("total") > FAST // 2)
launcher.kill_everyone()
launcher = Launcher("slow.json", *OTHERS, log="log.txt")
watch(lambda: records_in("total") == FAST and records_out("drip") == SLOW)
check(launcher.process.poll() is None, open("log.txt").read()[-2000:])
check(records_in("dawdle") == 0, "somebody read for a stage without workers")
launcher.kill_everyone()
launcher = Launcher("slow.json", log="log.txt")
check(launcher.wait() == 0, open("log.txt").read()[-2000:])

check(most <= SEGMENTS_MAX, "%d segments were held, at most %d are allowed" % (most, SEGMENTS_MAX))
with open("done.jsonl") as done:
    lines = [json.loads(line) for line in done]
check(len(lines) == SLOW, "the slow group processed %d of %d records" % (len(lines), SLOW))
with open("totals.jsonl") as totals:
    found = {record["key"]: record["value"] for record in map(json.loads, totals)}
expected = {key: sum(range(key or 10, FAST + 1, 10)) for key in range(10)}
check(found == expected, "the totals differ: %s" % found)
print("ok: at most %d segments of 1 MiB while %d records waited" % (most, SLOW))
shutil.rmtree(folder)
