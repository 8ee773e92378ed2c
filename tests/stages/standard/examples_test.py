# SPDX-License-Identifier: Apache-2.0
"""Runs every topology in stages/STANDARD.md and compares what it prints or writes with what is written here."""
import glob
import json
import pathlib
import re
import subprocess
import sys
import tempfile

# By topology: the records that it prints, as (key, value), sorted; or the files that it writes.
PRINTS = {
    "ten": [(n % 3, n) for n in range(1, 11)],
    "greetings": [(None, "hello"), (None, {"to": "world"})] * 2,
    "words": [(word, count) for word, count in
              {"to": 2, "be": 2, "or": 1, "not": 1, "that": 1, "is": 1, "the": 1, "question": 1}.items()],
    "parse": [(None, {"a": [1, 2.5]})],
    "status": [(None, {"method": "GET", "path": "/index.html", "status": "200"})],
    "names": [(None, {"first": "Ann", "age": 41}), (None, {"first": "Bo", "age": None})],
    "grown": [(None, {"name": "Ann", "age": 41})],
    "revenue": [("a", 3), ("b", 4), ("a", 3.5)],
    "hottest": [("x", 21.5), ("y", 7.5)],
}


def licenses():
    lines = []
    for path in sorted(glob.glob("/usr/share/common-licenses/GPL-*")):
        lines += pathlib.Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return lines


def check_licenses(folder):
    written = [json.loads(line) for line in (folder / "out/lines.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(record["value"] for record in written) == sorted(licenses())
    assert all(record["key"] is None for record in written)


def check_squares(folder):
    assert (folder / "out/squares.csv").read_bytes() == b"name,n,square\r\ntwo,2,4\r\nthree,3,9\r\n"


WRITES = {"licenses": check_licenses, "squares": check_squares}


def main(weir, description):
    examples = re.findall(r"```json\n(.*?)```", pathlib.Path(description).read_text(encoding="utf-8"), re.S)
    seen = set()
    for example in examples:
        topology = json.loads(example)
        name = topology["name"]
        seen.add(name)
        topology["http"] = None
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "topology.json").write_text(json.dumps(topology))
            run = subprocess.run([weir, "run", "topology.json"], cwd=folder, capture_output=True, text=True, timeout=60)
            assert run.returncode == 0, f"{name}: exit {run.returncode}: {run.stderr}"
            if name in PRINTS:
                printed = [json.loads(line) for line in run.stdout.splitlines()]
                records = [(record["key"], record["value"]) for record in printed]
                assert sorted(map(json.dumps, records)) == sorted(map(json.dumps, PRINTS[name])), f"{name}: {run.stdout}"
            else:
                WRITES[name](folder)
    missing = (PRINTS.keys() | WRITES.keys()) - seen
    assert not missing, f"examples that are gone: {missing}"
    print(f"{len(examples)} examples")


main(*sys.argv[1:])
