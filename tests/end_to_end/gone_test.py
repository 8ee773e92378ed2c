# SPDX-License-Identifier: Apache-2.0
"""A journal that is gone is not taken for one that never was: neither at a start, nor by whoever looks into the directory,
nor by a broker that is started again within one run. gone_test.py"""
import hashlib
import json
import os
import shutil
import signal
import tempfile

from weir_run import Launcher, check, run, wait_for

DATA, KEPT, OTHER = "data", "kept", "other"
OUT = "out.jsonl"


def write_topology(path, name, last):
    with open(path, "w") as topology:
        json.dump({
            "name": name, "http": None, "streams": {"numbers": {}},
            "stages": {
                "make": {"plugin": "generate.sequence", "output": "numbers",
                         "config": {"from": 1, "to": 100} if last else {"rate": 200}},
                "write": {"plugin": "file.write", "input": "numbers", "config": {"path": OUT if last else OUT + ".endless"}}}}, topology)


def seed_of(data=DATA):
    with open(os.path.join(data, "weir.json")) as owner:
        return json.load(owner).get("journal")


def edit_owner(change, data=DATA):
    path = os.path.join(data, "weir.json")
    with open(path) as owner:
        said = json.load(owner)
    change(said)
    with open(path, "w") as owner:
        json.dump(said, owner, indent=2)


def contents(data=DATA):
    found = {}
    for folder, _, names in os.walk(data):
        found[folder] = ""
        for name in names:
            if name != "lock":
                with open(os.path.join(folder, name), "rb") as file:
                    found[os.path.join(folder, name)] = hashlib.sha256(file.read()).hexdigest()
    return found


def text(path):
    with open(path) as file:
        return file.read()


def restore():
    shutil.rmtree(DATA, ignore_errors=True)
    shutil.copytree(KEPT, DATA)
    with open(OUT, "w") as out:
        out.write(RESULT)


def segments(data=DATA):
    folder = os.path.join(data, "journal")
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.startswith("segment")]


def expect_refused(what, *parts):
    """A start and all that looks refuse with the same sentence, and leave directory and results as they were."""
    before = contents()
    for args in (["run", "t.json", "--data", DATA], ["journal", "dump", "--data", DATA],
                 ["journal", "salvage", "--data", DATA, "--to", "new"], ["status", "--data", DATA],
                 ["tail", "numbers", "--data", DATA, "--from", "start"], ["dead-letters", "list", "--data", DATA],
                 ["journal", "check", "--data", DATA], ["journal", "check", "--data", DATA, "--json"]):
        done = run(*args)
        said = (done.stdout + done.stderr).replace('\\"', '"')
        check(done.returncode == 1, "%s: %s ended with %d: %s" % (what, " ".join(args), done.returncode, said))
        for part in (os.path.abspath(DATA), *parts):
            check(part in said, "%s: %s does not say %s: %s" % (what, " ".join(args), part, said))
        check("nothing is damaged" not in said, "%s: %s" % (what, said))
    check(contents() == before and not os.path.exists("new"), what + ": who refused has changed the directory")
    check(text(OUT) == RESULT, what + ": the sink's file was replaced")
    print(what + ": refused", flush=True)


def expect_begins_anew(what, *args):
    os.remove(OUT)
    done = run("run", "t.json", "--data", DATA, *args)
    check(done.returncode == 0, "%s: run ended with %d: %s" % (what, done.returncode, done.stderr))
    check([json.loads(line)["value"] for line in text(OUT).splitlines()] == list(range(1, 101)), what + ": other results")
    check(seed_of() not in (None, SEED), what + ": weir.json does not name the new journal")
    check(sorted(os.listdir(DATA)) == sorted(os.listdir(KEPT)), "%s: left over: %s" % (what, os.listdir(DATA)))
    print(what + ": begun anew", flush=True)


def expect_goes_on(what):
    done = run("run", "t.json", "--data", DATA)
    check(done.returncode == 0 and "has finished already" in done.stderr, "%s: run ended with %d: %s" % (what, done.returncode, done.stderr))
    check(text(OUT) == RESULT, what + ": the sink's file has changed")
    check(seed_of() == SEED, what + ": weir.json names %s, not %s" % (seed_of(), SEED))
    print(what + ": gone on with", flush=True)


def gone():
    def delete_segments():
        for segment in segments():
            os.remove(segment)

    def empty_segments():
        for segment in segments():
            os.truncate(segment, 0)

    def blank_segments():
        for segment in segments():
            size = os.path.getsize(segment)
            os.truncate(segment, 0)
            os.truncate(segment, size)

    def empty_folder():
        shutil.rmtree(os.path.join(DATA, "journal"))
        os.mkdir(os.path.join(DATA, "journal"))

    for what, lose in (("segments deleted", delete_segments), ("segments emptied", empty_segments),
                       ("segments full of zeros", blank_segments), ("an empty journal", empty_folder),
                       ("no journal", lambda: shutil.rmtree(os.path.join(DATA, "journal")))):
        restore()
        lose()
        expect_refused(what, "has lost its journal", SEED, "Bring its files back", "--fresh")
        shutil.rmtree(os.path.join(DATA, "journal"), ignore_errors=True)
        shutil.copytree(os.path.join(KEPT, "journal"), os.path.join(DATA, "journal"))
        expect_goes_on(what + ", and brought back")
    restore()
    shutil.rmtree(os.path.join(DATA, "journal"))
    expect_begins_anew("no journal, and --fresh", "--fresh")


def another():
    restore()
    shutil.rmtree(os.path.join(DATA, "journal"))
    shutil.copytree(os.path.join(OTHER, "journal"), os.path.join(DATA, "journal"))
    expect_refused("another directory's journal", SEED, seed_of(OTHER), 'take its line "journal" out')


def without_the_field():
    restore()
    edit_owner(lambda owner: owner.pop("journal"))
    expect_goes_on("a directory of an earlier version")
    # A first start that died before it had served: weir.json, and nothing else or a journal that nobody has written to.
    restore()
    edit_owner(lambda owner: owner.pop("journal"))
    shutil.rmtree(os.path.join(DATA, "journal"))
    expect_begins_anew("a first start that died early")
    restore()
    edit_owner(lambda owner: owner.update(journal="12345"))
    done = run("run", "t.json", "--data", DATA)
    check(done.returncode == 1 and "weir.json is damaged" in done.stderr, "a damaged field: " + done.stderr)


def fresh_cut_short():
    moved = lambda: os.rename(os.path.join(DATA, "journal"), os.path.join(DATA, "journal.cleared"))

    def emptied():
        shutil.rmtree(os.path.join(DATA, "journal"))
        os.mkdir(os.path.join(DATA, "journal.cleared"))

    def ownerless():
        emptied()
        os.remove(os.path.join(DATA, "weir.json"))

    for what, cut in (("behind the journal's new name", moved), ("behind its files", emptied), ("behind weir.json", ownerless)):
        for args in ([], ["--fresh"]):
            restore()
            cut()
            looked = run("journal", "check", "--data", DATA)
            check(looked.returncode == 1 and "has lost its journal" not in looked.stderr, looked.stderr)
            expect_begins_anew("--fresh cut short " + what + (", and said again" if args else ""), *args)
    # A new journal, and the old one's folder still there.
    restore()
    os.mkdir(os.path.join(DATA, "journal.cleared"))
    expect_goes_on("a folder that --fresh has left")


def owner_lost():
    restore()
    os.remove(os.path.join(DATA, "weir.json"))
    done = run("run", "t.json", "--data", DATA)
    check(done.returncode == 1 and "has lost its weir.json" in done.stderr and '"journal"' in done.stderr, "without weir.json: " + done.stderr)
    shutil.copy(os.path.join(OTHER, "weir.json"), DATA)
    done = run("run", "t.json", "--data", DATA)
    check(done.returncode == 1 and 'take its line "journal" out' in done.stderr, "with another's weir.json: " + done.stderr)
    with open(os.path.join(DATA, "weir.json")) as owner:
        lines = [line for line in owner if '"journal"' not in line]
    with open(os.path.join(DATA, "weir.json"), "w") as owner:
        owner.writelines(lines)
    expect_goes_on("weir.json of a run elsewhere, without its line")


def salvaged():
    restore()
    done = run("journal", "salvage", "--data", DATA, "--to", "new")
    check(done.returncode == 0, "salvage: " + done.stderr)
    check(seed_of("new") not in (None, SEED), "salvage names %s" % seed_of("new"))
    shutil.rmtree(DATA)
    os.rename("new", DATA)
    done = run("run", "t.json", "--data", DATA)
    check(done.returncode == 0 and "has finished already" in done.stderr, "what was salvaged: " + done.stderr)


def expect_ended(what, replace):
    """`replace` takes the directory away under a topology that runs, and then its broker dies."""
    shutil.rmtree(DATA, ignore_errors=True)
    launcher = Launcher("endless.json", "--data", DATA, log="log.txt")
    wait_for("records", lambda: os.path.exists(OUT + ".endless") and os.path.getsize(OUT + ".endless") > 0)
    broker = wait_for("the broker", lambda: launcher.find("broker"))
    os.rename(DATA, "moved")
    replace()
    before = contents() if os.path.exists(DATA) else None
    os.kill(broker, signal.SIGKILL)
    code = launcher.wait(timeout=60)
    said = text("log.txt")
    check(code == 1, "%s: run ended with %d: %s" % (what, code, said))
    check(os.path.abspath(DATA) + " held this topology's journal when it was started, and does not any more" in said, what + ": " + said)
    check(before == (contents() if os.path.exists(DATA) else None), what + ": something was written where the directory was")
    # Put back it goes on.
    shutil.rmtree(DATA, ignore_errors=True)
    os.rename("moved", DATA)
    size = os.path.getsize(OUT + ".endless")
    launcher = Launcher("endless.json", "--data", DATA, log="again.txt")
    wait_for("more records", lambda: os.path.getsize(OUT + ".endless") > size)
    os.kill(wait_for("the broker", lambda: launcher.find("broker")), signal.SIGKILL)
    size = os.path.getsize(OUT + ".endless")
    wait_for("more records behind another broker", lambda: os.path.getsize(OUT + ".endless") > size)
    launcher.interrupt()
    check(launcher.wait() == 0, "put back: " + text("again.txt"))
    values = [json.loads(line)["value"] for line in text(OUT + ".endless").splitlines()]
    check(values == list(range(len(values))), what + ": put back, it did not go on where it was")
    os.remove(OUT + ".endless")
    print(what + ": the run ended; put back: gone on with", flush=True)


def vanishes():
    write_topology("endless.json", "endless", last=None)
    expect_ended("moved away", lambda: None)
    expect_ended("unmounted, an empty folder left", lambda: os.mkdir(DATA))
    done = run("run", "t.json", "--data", "there", "--fresh")
    check(done.returncode == 0, done.stderr)
    expect_ended("another directory of Weir in its place", lambda: shutil.copytree("there", DATA))


def main():
    global RESULT, SEED
    work = tempfile.mkdtemp(prefix="weir-gone-")
    os.chdir(work)
    write_topology("t.json", "gone", last=100)
    for data in (OTHER, DATA):
        done = run("run", "t.json", "--data", data)
        check(done.returncode == 0, "run: " + done.stderr)
    RESULT, SEED = text(OUT), seed_of()
    check(SEED is not None and len(SEED) == 16 and SEED != seed_of(OTHER), "weir.json names %s" % SEED)
    looked = run("journal", "check", "--data", DATA)
    check(looked.returncode == 0 and "journal " + SEED in looked.stdout, looked.stdout)
    shutil.copytree(DATA, KEPT)
    gone()
    another()
    without_the_field()
    fresh_cut_short()
    owner_lost()
    salvaged()
    vanishes()
    shutil.rmtree(work)


main()
