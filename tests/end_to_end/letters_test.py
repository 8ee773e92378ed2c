# SPDX-License-Identifier: Apache-2.0
"""Dead letters: listed, dropped and requeued, each exactly once, also when broker and workers are killed on the way."""
import collections
import json
import os
import subprocess
import sys
import tempfile

from weir_run import WEIR, Launcher, check, letters, move_letters, read_records, restart, status, wait_for, worked_off

LIBRARY = sys.argv[1]
folder = tempfile.mkdtemp(prefix="weir-letters-")
os.chdir(folder)


def write_topology(name, workers, keyed):
    """Records from outside through a stage that some of them make throw, counted by key behind it."""
    with open(name + ".json", "w") as topology:
        json.dump({
            "name": name, "http": {"listen": "127.0.0.1:0"}, "libraries": [LIBRARY],
            "streams": {"lines": {"external": "in", **({"partition": {"by": "hash"}, "shards": 4} if keyed else {})},
                        "good": {"partition": {"by": "hash"}, "shards": 4}, "counts": {}},
            "stages": {
                "eat": {"plugin": "test.poison", "input": "lines", "output": "good", "workers": workers,
                        "config": {"mended": name + ".mended"}},
                "count": {"plugin": "keyed.count", "input": "good", "output": "counts"},
                "write": {"plugin": "file.write", "input": "counts", "config": {"path": name + ".jsonl"}}}}, topology)


def produce(name, records, *more):
    text = "".join(json.dumps(record) + "\n" for record in records)
    result = subprocess.run([WEIR, "produce", "lines", "--data", ".weir/" + name, *more], input=text, capture_output=True,
                            text=True, timeout=120)
    check(result.returncode == 0, result.stderr)


def requeue_and_drop(name, workers, keyed):
    write_topology(name, workers, keyed)
    launcher = Launcher(name + ".json", log=name + ".log")
    wait_for("the topology", lambda: status(".weir/" + name))
    records = [{"key": i % 10, "value": "poison throw" if i % 7 == 3 else "food"} for i in range(400)]
    bad = sum(record["value"] != "food" for record in records)
    produce(name, records)
    wait_for("the dead letters", lambda: len(letters(name)) == bad)
    worked_off(name)
    first = letters(name)
    check(len({letter["id"] for letter in first}) == bad, "ids are not unique")
    check(all(letter["attempts"] == 1 and "tastes bad" in letter["reason"] for letter in first), "wrong: %s" % first[0])

    # What is not mended fails again, and is the same letter with one attempt more.
    again = first[0]["id"]
    check("1 dead letter requeued" in move_letters("requeue", name, again), "requeue")
    wait_for("the letter again", lambda: any(l["id"] == again and l["attempts"] == 2 for l in letters(name)))
    check(len(letters(name)) == bad, "a letter more or less")

    # Dropped: gone for good, also behind a restart of the broker. Two at once, and two that are not there.
    dropped = [first[1], first[2]]
    move_letters("drop", name, dropped[0]["id"], dropped[1]["id"])
    said = move_letters("drop", name, dropped[0]["id"], "eat/lines/0/99999", code=1)
    check("no such dead letter" in said and "2 were not dropped" in said, said)
    restart(launcher, "broker")
    wait_for("the broker", lambda: status(".weir/" + name))
    check(len(letters(name)) == bad - 2, "dropped letters came back")

    # Mended: all of the stage again, with the broker and the workers killed while they are worked off.
    open(name + ".mended", "w").close()
    move_letters("requeue", name, "--stage", "eat")
    restart(launcher, "eat")
    restart(launcher, "broker")
    worked_off(name)
    check(letters(name) == [], "letters are left: %s" % letters(name))
    produce(name, [], "--end")
    check(launcher.wait() == 0, open(name + ".log").read()[-2000:])
    for letter in dropped:
        records.remove({"key": letter["key"], "value": letter["value"]})
    wanted = collections.Counter(record["key"] for record in records)
    totals = collections.Counter()
    for record in read_records(name + ".jsonl"):
        totals[record["key"]] += 1
        check(record["value"] == totals[record["key"]], "total %s came as number %d" % (record["value"], totals[record["key"]]))
    check(totals == wanted, "%s instead of %s" % (totals, wanted))


def what_cannot_be_moved():
    name = "over"
    write_topology(name, 1, True)
    launcher = Launcher(name + ".json", "--hold", log=name + ".log")
    wait_for("the topology", lambda: status(".weir/" + name))
    produce(name, [{"key": 1, "value": "poison throw"}, {"key": 2, "value": "food"}], "--end")
    wait_for("the end", lambda: status(".weir/" + name)["state"] == "finished")
    said = move_letters("requeue", name, "--all", code=1)
    check("its shard has finished" in said and "drop it" in said, said)
    check(len(letters(name)) == 1, "the letter is gone")
    for arguments, words in ((["--stage", "eta"], 'no stage "eta"'), ):
        said = move_letters("drop", name, *arguments, code=1)
        check(words in said, said)
    move_letters("drop", name, code=2)
    launcher.interrupt()
    launcher.wait()
    said = move_letters("drop", name, "--all", code=1)
    check("nothing is running" in said and "--stages none" in said, said)
    launcher = Launcher(name + ".json", "--hold", "--stages", "none", log=name + ".log")
    wait_for("the topology", lambda: status(".weir/" + name))
    check("1 dead letter dropped" in move_letters("drop", name, "--all"), "drop with the broker alone")
    launcher.interrupt()
    launcher.wait()
    check(letters(name) == [], "the letter is still there")


requeue_and_drop("keyed", 2, True)
requeue_and_drop("ranges", 2, False)
what_cannot_be_moved()
print("exact: dead letters were requeued and dropped once each")
