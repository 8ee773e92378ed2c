# SPDX-License-Identifier: Apache-2.0
"""park_key: a record that fails takes the later ones of its key along, until they are requeued in order; others go on."""
import json
import os
import subprocess
import sys
import tempfile

from weir_run import WEIR, Launcher, check, letters, move_letters, read_records, restart, status, wait_for, worked_off

LIBRARY = sys.argv[1]
KEYS = 40
folder = tempfile.mkdtemp(prefix="weir-parked-")
os.chdir(folder)


def write_topology(name, fused=False, on_error=None, workers=2):
    """Records from outside, keyed, through the stage that some of them poison, into a file; a record's timestamp is its
    number."""
    stages = {"eat": {"plugin": "test.poison", "input": "lines", "output": "good", "workers": workers,
                      "on_error": {"then": "park_key", **(on_error or {})}, "config": {"mended": name + ".mended"}},
              "write": {"plugin": "file.write", "input": "good", "config": {"path": name + ".jsonl"}}}
    streams = {"lines": {"external": "in", "partition": {"by": "hash"}, "shards": 8}, "good": {}}
    if fused:
        streams["all"] = {"transport": "fused"}
        stages["pass"] = {"plugin": "filter", "input": "lines", "output": "all", "workers": workers,
                          "config": {"where": {"field": "", "op": "exists"}}}
        stages["eat"]["input"] = "all"
    with open(name + ".json", "w") as topology:
        json.dump({"name": name, "http": {"listen": "127.0.0.1:0"}, "libraries": [LIBRARY], "streams": streams,
                   "stages": stages}, topology)


class Feed:
    """What was produced, in order; what should come out of it."""

    def __init__(self, name):
        self.name = name
        self.records = []

    def produce(self, count, poison=None, *more):
        """`poison`: number within these records -> what it does."""
        batch = []
        for i in range(count):
            number = len(self.records)
            what = (poison or {}).get(i)
            batch.append({"key": "key %d" % (number % KEYS), "value": "poison " + what if what else "food",
                          "timestamp": number})
            self.records.append(batch[-1])
        text = "".join(json.dumps(record) + "\n" for record in batch)
        result = subprocess.run([WEIR, "produce", "lines", "--data", ".weir/" + self.name, *more], input=text,
                                capture_output=True, text=True, timeout=120)
        check(result.returncode == 0 or "--name" in more, result.stderr)

    def parked(self):
        """By an independent computation: records of a key from its first poisonous one on."""
        keys = {}
        for record in self.records:
            if record["value"] != "food" or record["key"] in keys:
                keys.setdefault(record["key"], []).append(record["timestamp"])
        return keys


def by_key(found):
    keys = {}
    for letter in found:
        keys.setdefault(letter["key"], []).append(letter["timestamp"])
    return {key: sorted(numbers) for key, numbers in keys.items()}


def check_output(name, records, without):
    """Each record once, and those of a key in their order."""
    wanted = {}
    for record in records:
        if record["timestamp"] not in without:
            wanted.setdefault(record["key"], []).append(record["timestamp"])
    found = {}
    for record in read_records(name + ".jsonl"):
        found.setdefault(record["key"], []).append(record["timestamp"])
    for key in sorted(set(wanted) | set(found)):
        check(found.get(key, []) == wanted.get(key, []),
              "%s: %s came as %s instead of %s" % (name, key, found.get(key), wanted.get(key)))


def park_and_requeue(name, fused, poisons):
    write_topology(name, fused)
    head = "pass" if fused else "eat"
    launcher = Launcher(name + ".json", log=name + ".log")
    wait_for("the topology", lambda: status(".weir/" + name))
    feed = Feed(name)
    feed.produce(800, {41: poisons[0], 42: poisons[1], 43: poisons[0], 83: poisons[1], 200: poisons[0]})
    wait_for("the parked records", lambda: by_key(letters(name)) == feed.parked())
    worked_off(name)
    found = letters(name)
    check(len({letter["id"] for letter in found}) == len(found), "ids are not unique")
    first = {key: numbers[0] for key, numbers in feed.parked().items()}
    for letter in found:
        if letter["timestamp"] == first[letter["key"]]:
            check(letter["attempts"] == 1 and "is parked" not in letter["reason"], "wrong: %s" % letter)
        else:
            check(letter["attempts"] == 0 and letter["reason"] == "its key is parked", "wrong: %s" % letter)

    # Not mended: the first of the key fails again, and all stays as it is; also behind a restart of everybody.
    key = "key 1"
    mine = [letter for letter in found if letter["key"] == key]
    move_letters("requeue", name, mine[3]["id"])
    wait_for("another attempt", lambda: any(l["id"] == mine[0]["id"] and l["attempts"] == 2 for l in letters(name)))
    restart(launcher, head)
    restart(launcher, "broker")
    wait_for("the broker", lambda: status(".weir/" + name))
    check(by_key(letters(name)) == feed.parked(), "parked records changed")
    feed.produce(400)
    wait_for("later ones to follow", lambda: by_key(letters(name)) == feed.parked())

    # Dropped: one that waits behind others, and one that failed; the others stay parked.
    dropped = [next(l for l in letters(name) if l["timestamp"] == number)
               for number in (feed.parked()[key][5], feed.parked()["key 2"][0])]
    move_letters("drop", name, *(letter["id"] for letter in dropped))
    gone = {letter["timestamp"] for letter in dropped}
    left = {key: [n for n in numbers if n not in gone] for key, numbers in feed.parked().items()}
    wait_for("two to be dropped", lambda: by_key(letters(name)) == left)
    worked_off(name)

    # Mended: worked off in order while more come, and while broker and workers are killed.
    open(name + ".mended", "w").close()
    move_letters("requeue", name, "--stage", "eat")
    feed.produce(400)
    restart(launcher, head)
    feed.produce(400)
    restart(launcher, "broker")
    wait_for("all to be worked off", lambda: letters(name) == [])
    feed.produce(400, None, "--end")
    check(launcher.wait() == 0, open(name + ".log").read()[-2000:])
    check_output(name, feed.records, gone)


def the_end_waits_for_no_parked_key():
    name = "ends"
    write_topology(name)
    launcher = Launcher(name + ".json", "--hold", log=name + ".log")
    wait_for("the topology", lambda: status(".weir/" + name))
    feed = Feed(name)
    feed.produce(400, {7: "throw"}, "--end")
    wait_for("the end", lambda: status(".weir/" + name)["state"] == "finished")
    parked = feed.parked()
    check(by_key(letters(name)) == parked, "wrong: %s" % letters(name))
    check_output(name, feed.records, set(parked["key 7"]))
    said = move_letters("requeue", name, "--all", code=1)
    check("its shard has finished" in said, said)
    launcher.interrupt()
    launcher.wait()
    check(by_key(letters(name)) == parked, "a stopped directory shows them too")
    launcher = Launcher(name + ".json", "--hold", "--stages", "none", log=name + ".log")
    wait_for("the topology", lambda: status(".weir/" + name))
    move_letters("drop", name, "--all")
    check(letters(name) == [], "they are still there")
    launcher.interrupt()
    launcher.wait()


def full():
    name = "full"
    write_topology(name, on_error={"parked_bytes_max": "4KiB"})
    launcher = Launcher(name + ".json", log=name + ".log")
    wait_for("the topology", lambda: status(".weir/" + name))
    Feed(name).produce(4000, {7: "throw"}, "--name", "feed")  # as far as it gets
    check(launcher.wait() == 1, "a full stage fails")
    said = open(name + ".log").read()
    check("parked_bytes_max (4096 bytes)" in said and "dead-letters list" in said, said[-2000:])
    check(len(letters(name)) > 10 and "shows those that were kept before" in said, "what had room is kept: " + said[-2000:])
    # More room, and it goes on where it was.
    write_topology(name)
    open(name + ".mended", "w").close()
    launcher = Launcher(name + ".json", log=name + ".log")
    wait_for("the topology", lambda: status(".weir/" + name))
    feed = Feed(name)
    feed.produce(4000, {7: "throw"}, "--name", "feed")  # what was taken is known by its number
    worked_off(name)
    move_letters("requeue", name, "--all")
    wait_for("all to be worked off", lambda: letters(name) == [])
    subprocess.run([WEIR, "produce", "lines", "--data", ".weir/" + name, "--end"], input="", check=True, text=True,
                   timeout=120)
    check(launcher.wait() == 0, open(name + ".log").read()[-2000:])
    check_output(name, feed.records, set())


park_and_requeue("alone", False, ("throw", "segv"))
park_and_requeue("chain", True, ("throw", "throw"))
the_end_waits_for_no_parked_key()
full()
print("exact: parked records were worked off once each, in the order of their keys")
