# SPDX-License-Identifier: Apache-2.0
"""A killed topology's directory is damaged at several places: check names the place, run refuses or goes on exactly, and
what salvage makes runs to exactly the results of an undamaged run. corruption_test.py MEGABYTES"""
import hashlib
import json
import os
import shutil
import sys
import tempfile

from weir_run import Launcher, check, check_running_counts, make_text, run, wait_for

MEGABYTES = float(sys.argv[1])
DATA, NEW, KEPT = ".weir/damage", "salvaged", "../kept"


def files(prefix):
    journal = os.path.join(DATA, "journal")
    return sorted(name for name in os.listdir(journal) if name.startswith(prefix)) if os.path.isdir(journal) else []


def contents():
    """Every file of the data directory, as a hash; the lock is what looking at it takes."""
    found = {}
    for folder, _, names in os.walk(DATA):
        for name in names:
            if name != "lock":
                with open(os.path.join(folder, name), "rb") as file:
                    found[os.path.join(folder, name)] = hashlib.sha256(file.read()).hexdigest()
    return found


def flip(name, position):
    with open(os.path.join(DATA, "journal", name), "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 0x20]))


def restore():
    """The folder as it was when everything was killed: topology, data directory and what the sink had written."""
    for name in os.listdir("."):
        (shutil.rmtree if os.path.isdir(name) else os.remove)(name)
    shutil.copytree(KEPT, ".", dirs_exist_ok=True)


def examine(*more, data=DATA):
    said = run("journal", "check", "--data", data, "--json", *more)
    check(said.returncode in (0, 1), "check ended with %d: %s" % (said.returncode, said.stderr))
    found = json.loads(said.stdout)
    if found["damage"]:  # what it says of salvage is what salvage does
        tried = run("journal", "salvage", "--data", data, "--to", "tried")
        check(found["salvage"]["works"] == (tried.returncode == 0), "salvage ended with %d, and check says: %s" % (tried.returncode, found["salvage"]))
        check(found["salvage"]["works"] or found["salvage"]["reason"] in tried.stderr, "check says %s, salvage says %s" % (found["salvage"], tried.stderr))
        shutil.rmtree("tried", ignore_errors=True)
    check((said.returncode == 0) == (found["damage"] == []), "check ended with %d and names %s" % (said.returncode, found["damage"]))
    return found


def dump():
    said = run("journal", "dump", "--data", DATA, "--json")
    check(said.returncode == 0, "dump: " + said.stderr)
    return [json.loads(line) for line in said.stdout.splitlines()]


def run_to_the_end(data, counts, what):
    done = run("run", "damage.json", "--data", data)
    check(done.returncode == 0, "%s: run ended with %d: %s" % (what, done.returncode, done.stderr[-2000:]))
    check_running_counts("out.jsonl", counts)


def salvage(counts, what):
    """The directory that salvage makes has nothing wrong with it and runs to the exact results; the old one is as it was."""
    before = contents()
    said = run("journal", "salvage", "--data", DATA, "--to", NEW, "--json")
    check(said.returncode == 0, "%s: salvage ended with %d: %s" % (what, said.returncode, said.stderr))
    check(contents() == before, what + ": salvage changed the damaged directory")
    report = json.loads(said.stdout)
    check(examine(data=NEW)["start"]["works"], what + ": the salvaged directory cannot be started on")
    again = run("journal", "salvage", "--data", DATA, "--to", NEW)
    check(again.returncode == 2 and "not empty" in again.stderr, what + ": salvage wrote into a directory that exists")
    run_to_the_end(NEW, counts, what)
    return report


def expect_refused(what, *parts):
    refused = run("run", "damage.json")
    check(refused.returncode == 1, "%s: run ended with %d" % (what, refused.returncode))
    for part in (*parts, "weir journal check --data"):
        check(part in refused.stderr, "%s: run does not name %s: %s" % (what, part, refused.stderr))


def run_and_kill():
    """Until two checkpoints have come since, so that the first segments are not needed any more and something waits.
    False where the input was over before."""
    before = files("checkpoint-")
    launcher = Launcher("damage.json", log="log.txt")
    new = lambda: [name for name in files("checkpoint-") if name not in before and not name.endswith(".partial")]
    wait_for("two checkpoints", lambda: launcher.process.poll() is not None or len(new()) >= 2)
    in_use = run("journal", "check", "--data", DATA)
    broker = launcher.find("broker")
    if launcher.process.poll() is not None:
        return False
    check(in_use.returncode == 1 and "in use by process %d" % broker in in_use.stderr, "check of a directory in use: " + in_use.stderr)
    launcher.kill()
    launcher.wait()
    wait_for("the directory to be free", lambda: "in use" not in run("journal", "check", "--data", DATA).stderr)
    return True


def main():
    work = os.path.join(tempfile.mkdtemp(prefix="weir-corruption-"), "work")
    os.mkdir(work)
    os.chdir(work)
    counts, _ = make_text("input.txt", MEGABYTES, 5, words=2000)
    with open("damage.json", "w") as topology:
        json.dump({
            "name": "damage", "http": {"listen": "127.0.0.1:0"},
            "broker": {"segment_size": "1MiB", "transaction_bytes_max": "256KiB", "durability": "interval"},
            "streams": {"lines": {}, "words": {"partition": {"by": "hash"}, "shards": 8}, "counts": {}},
            "stages": {
                "read": {"plugin": "file.lines", "output": "lines", "config": {"path": "input.txt"}},
                "split": {"plugin": "text.words", "input": "lines", "output": "words"},
                "count": {"plugin": "keyed.count", "input": "words", "output": "counts", "config": {"emit": "every"}},
                "write": {"plugin": "file.write", "input": "counts", "config": {"path": "out.jsonl"}}}}, topology)
    inside = []
    for _ in range(20):
        if not run_and_kill():
            shutil.rmtree(".weir")  # from the beginning again
            continue
        sound = examine()
        open_one = [segment for segment in sound["segments"] if segment["state"] == "open"][0]
        entries = dump()
        # What lies before a checkpoint may be needed whole by what was sent and not consumed yet, and cannot be salvaged around.
        behind = max((found["through"] for found in sound["checkpoints"] if found["in_force"]), default=0)
        inside = [entry for entry in entries if entry["segment"] == open_one["segment"] and behind <= entry["sequence"] < open_one["mark"] - 1]
        if len(inside) >= 4:
            break
    check(len(inside) >= 4, "the newest segment is always too empty")
    shutil.copytree(".", KEPT)

    # As the kill has left it.
    before = contents()
    check(examine() == sound and sound["damage"] == [] and sound["start"]["works"], "damage where there is none: %s" % sound["damage"])
    check(dump() == entries, "a second look finds something else")
    check(contents() == before, "looking changed the directory")
    check(len(entries) > 20 and {"transaction", "checkpoint"} <= {entry["what"] for entry in entries}, "the dump is too short")
    check([entry["sequence"] for entry in entries] == list(range(entries[0]["sequence"], sound["start"]["sequence_end"])),
          "the dump leaves out entries")
    consumed = {split["stream"] for entry in entries for split in entry.get("consumed", [])}
    check(consumed == {"lines", "words", "counts"}, "the dump decodes ranges of %s" % consumed)
    part = run("journal", "dump", "--data", DATA, "--json", "--from", str(entries[5]["sequence"]), "--count", "3").stdout.splitlines()
    check([json.loads(line) for line in part] == entries[5:8], "--from and --count give other lines")
    report = salvage(counts, "undamaged")
    check(report["entries_lost"] == 0, "salvage of an undamaged directory says: %s" % report)
    print("undamaged: exact; %d entries carried over" % report["entries_carried"], flush=True)

    victim = inside[len(inside) // 2]

    what = "an entry of the newest segment"
    restore()
    flip(open_one["file"], victim["offset"] + 40 + victim["bytes"] // 2)
    damage = examine()["damage"]
    check(damage[0]["means"] == "start_refused" and damage[0]["file"] == open_one["file"] and
          damage[0]["segment"] == victim["segment"] and damage[0]["position"] == victim["offset"], "%s: %s" % (what, damage))
    shown = run("journal", "check", "--data", DATA)
    check(shown.returncode == 1 and "segment %d" % victim["segment"] in shown.stdout and "byte %d" % victim["offset"] in shown.stdout and
          "a start is refused" in shown.stdout, what + ": " + shown.stdout)
    expect_refused(what, "segment %d" % victim["segment"], "byte %d" % victim["offset"])
    report = salvage(counts, what)
    check(any("byte %d" % victim["offset"] in lost and "entr" in lost for lost in report["lost"]), "%s: %s" % (what, report))
    print("%s: exact; %d entries lost and done again" % (what, report["entries_lost"]), flush=True)

    what = "the end of the newest segment"
    restore()
    os.truncate(os.path.join(DATA, "journal", open_one["file"]), victim["offset"])
    expect_refused(what, "was cut short")
    report = salvage(counts, what)
    check(any("cut short" in lost and "cannot be told" in lost for lost in report["lost"]), "%s: %s" % (what, report))
    print("%s: exact; how much was lost is not said" % what, flush=True)

    what = "the header of the newest segment"
    restore()
    flip(open_one["file"], 30)
    check(examine()["start"]["works"] is False, what + " is not missed")
    expect_refused(what, open_one["file"])
    report = salvage(counts, what)
    print("%s: exact; %d entries lost and done again" % (what, report["entries_lost"]), flush=True)

    newest = max(found["file"] for found in sound["checkpoints"] if found["in_force"])
    what = "the newest checkpoint"
    restore()
    flip(newest, 20)
    damage = examine()["damage"]
    check([(each["means"], each["file"]) for each in damage] == [("harmless", newest)], "%s: %s" % (what, damage))
    report = salvage(counts, what)
    restore()
    flip(newest, 20)
    run_to_the_end(DATA, counts, what)
    print("%s: exact, also without salvage" % what, flush=True)

    what = "all checkpoints"
    restore()
    for name in files("checkpoint-"):
        flip(name, 20)
    check(not examine()["start"]["works"], what + " are not missed")
    expect_refused(what, newest)
    shown = run("journal", "check", "--data", DATA)
    check("does without it" not in shown.stdout and shown.stdout.count("a start needs one of the two checkpoints") == 2, shown.stdout)
    tried = run("journal", "salvage", "--data", DATA, "--to", NEW)
    if tried.returncode == 0:
        run_to_the_end(NEW, counts, what)  # from the first entry on: it has not been overwritten yet
    else:
        check("no part of the history" in tried.stderr and not os.path.exists(NEW), what + ": salvage says " + tried.stderr)
    print("%s: run is refused; salvage %s" % (what, "is exact" if tried.returncode == 0 else "is refused too"), flush=True)

    what = "weir.json"
    for lose in (os.remove, lambda path: os.truncate(path, 10)):
        restore()
        lose(os.path.join(DATA, "weir.json"))
        check(not examine()["start"]["works"], what + " is not missed")
        shown = run("journal", "check", "--data", DATA).stdout
        check("`weir journal salvage` would refuse: " in shown and "makes a new data directory" not in shown, shown)
    print("%s: check and salvage agree" % what, flush=True)

    # Older than the checkpoint: a start works, until something reads it.
    older = [entry for entry in entries if entry["segment"] < open_one["segment"] and entry["what"] == "transaction"]
    for victim in older[:: max(1, len(older) // 3)]:
        what = "entry %d, in an older segment" % victim["sequence"]
        restore()
        flip([segment["file"] for segment in sound["segments"] if segment.get("segment") == victim["segment"] and segment["state"] == "closed"][0],
             victim["offset"] + 40 + victim["bytes"] // 2)
        damage = examine()["damage"]
        check(len(damage) >= 1 and all(each.get("segment") == victim["segment"] for each in damage), "%s: %s" % (what, damage))
        means = {each["means"] for each in damage}
        said = run("run", "damage.json")
        if means == {"harmless"}:
            check(said.returncode == 0, "%s is harmless, but run says: %s" % (what, said.stderr[-2000:]))
            check_running_counts("out.jsonl", counts)
        elif "start_refused" in means:
            check(said.returncode == 1 and "segment %d" % victim["segment"] in said.stderr, "%s: run says %s" % (what, said.stderr[-2000:]))
        else:
            check(said.returncode == 1 and "byte %d" % victim["offset"] in said.stderr and "weir journal check" in said.stderr,
                  "%s: run ended with %d and says %s" % (what, said.returncode, said.stderr[-2000:]))
        restore()
        flip([segment["file"] for segment in sound["segments"] if segment.get("segment") == victim["segment"] and segment["state"] == "closed"][0],
             victim["offset"] + 40 + victim["bytes"] // 2)
        tried = run("journal", "salvage", "--data", DATA, "--to", NEW)
        if tried.returncode == 0:
            run_to_the_end(NEW, counts, what)
        else:
            check("harmless" not in means and "no part of the history" in tried.stderr, "%s: salvage says %s" % (what, tried.stderr))
        print("%s: %s; salvage %s" % (what, ", ".join(sorted(means)), "is exact" if tried.returncode == 0 else "is refused"), flush=True)
    shutil.rmtree(os.path.dirname(work))


main()
