# SPDX-License-Identifier: Apache-2.0
"""`weir run --fresh` is cut short again and again, by kills of all processes and by power cuts: what it left is the old
topology, whole, or nothing of it, and the next run comes to the exact result.

fresh_test.py ROUNDS LIBRARY [SEED]; LIBRARY is the build's power_cut.so."""
import json
import os
import random
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
import power_cut  # noqa: E402
from weir_run import Launcher, check, read_records, wait_for  # noqa: E402

ROUNDS, LIBRARY = int(sys.argv[1]), os.path.abspath(sys.argv[2])
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(1 << 32)
NUMBERS, KEYS = 60_000, 40

chooser = random.Random(SEED)
folder = tempfile.mkdtemp(prefix="weir-fresh-")
os.chdir(folder)
print("seed %d in %s" % (SEED, folder), flush=True)
disk = power_cut.Disk("disk", "log", LIBRARY)
disk.environment["WEIR_POWER_CUT_SLOW"] = "20"  # so that many ends come amid the deletion
with open("fresh.json", "w") as topology:
    json.dump({
        "name": "fresh", "http": {"listen": "127.0.0.1:0"},
        "broker": {"segment_size": "256KiB", "transaction_bytes_max": "64KiB"},
        "streams": {"keyed": {"partition": {"by": "hash"}, "shards": 4}, "totals": {}},
        "stages": {
            "number": {"plugin": "generate.sequence", "output": "keyed",
                       "config": {"from": 0, "to": NUMBERS - 1, "key_modulo": KEYS}},
            "total": {"plugin": "keyed.sum", "input": "keyed", "output": "totals", "config": {"emit": "final"}},
            "write": {"plugin": "file.write", "input": "totals", "config": {"path": "disk/out.jsonl"}}}}, topology)


def run(*args):
    return Launcher("fresh.json", "--data", "disk/fresh", *args, log="log.txt", environment=disk.environment)


lost = 0
for number in range(ROUNDS):
    launcher = run(*["--fresh"] if number else [])
    if number:
        wait_for("the broker", lambda: launcher.find("broker") or launcher.process.poll() is not None)
        time.sleep(chooser.uniform(0, 0.4))  # the moment of the end, not a wait for anything
    if number and launcher.process.poll() is None:
        launcher.kill_everyone()
        if chooser.random() < 0.7:
            lost += disk.cut(chooser)[0]
        launcher = run()
    check(launcher.wait(120) == 0, "round %d: %s" % (number, open("log.txt").read()[-3000:]))
    totals = {record["key"]: record["value"] for record in read_records("disk/out.jsonl")}
    check(totals == {key: sum(range(key, NUMBERS, KEYS)) for key in range(KEYS)}, "round %d: %s" % (number, totals))
print("%d rounds exact, %d changes of folders lost" % (ROUNDS, lost))
shutil.rmtree(folder, ignore_errors=True)
