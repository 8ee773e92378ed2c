# SPDX-License-Identifier: Apache-2.0
"""What can be wrong around a good topology: each case says what to do with exit 1, or works.
bad_input_test.py THROWS.so, a library of stages that cannot be made"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from weir_run import WEIR, Launcher, check, run, status, wait_for

THROWS = os.path.abspath(sys.argv[1])
folder = tempfile.mkdtemp(prefix="weir-bad-")
os.chdir(folder)


def topology(name="bad", **changes):
    """Numbers to a file, with some parts changed; the file's name."""
    value = {"name": name, "http": {"listen": "127.0.0.1:0"}, "streams": {"numbers": {}},
             "stages": {"number": {"plugin": "generate.sequence", "output": "numbers", "config": {"from": 1, "to": 1000}},
                        "write": {"plugin": "file.write", "input": "numbers", "config": {"path": "out.jsonl"}}}}
    for part, change in changes.items():
        value[part] = change if part != "stages" else {**value["stages"], **change}
    with open(name + ".json", "w") as file:
        json.dump(value, file)
    return name + ".json"


def refused(what, result, *words):
    check(result.returncode == 1, "%s ended with %d: %s" % (what, result.returncode, result.stderr))
    for word in words:
        check(word in result.stderr, "%s does not name %s: %s" % (what, word, result.stderr))
    print("ok:", what, flush=True)


def works(what, result):
    check(result.returncode == 0, "%s ended with %d: %s" % (what, result.returncode, result.stderr))
    with open("out.jsonl") as out:
        values = sorted(json.loads(line)["value"] for line in out)
    check(values == list(range(1, 1001)), what + ": the output differs")
    print("ok:", what, flush=True)


def missing_input():
    file = topology(stages={"number": {"plugin": "file.lines", "output": "numbers", "config": {"path": "nowhere/*.txt"}}})
    refused("a missing input", run("run", file), "number", "nowhere/*.txt")


def output_that_cannot_be_made():
    # Below a regular file nobody can make a directory, root neither.
    open("plain", "w").close()
    file = topology(stages={"write": {"plugin": "file.write", "input": "numbers", "config": {"path": "plain/out.jsonl"}}})
    refused("an output that cannot be made", run("run", file, "--fresh"), "write", "plain/out.jsonl")


def data_directory_that_cannot_be_made():
    refused("a data directory that cannot be made", run("run", topology(), "--data", "plain/data"), "plain/data", "--data")


def directory_of_another_topology():
    works("the first topology of a directory", run("run", topology("first"), "--data", "common"))
    refused("a directory of another topology", run("run", topology("second"), "--data", "common"), "common", '"first"', "--fresh")
    file = topology("first", stages={"write": {"plugin": "file.write", "input": "numbers", "config": {"path": "other.jsonl"}}})
    refused("a directory of the topology before a change", run("run", file, "--data", "common"), "common", "write", "--fresh")


def directory_of_somebody_else():
    os.mkdir("precious")
    with open("precious/letter.txt", "w") as letter:
        letter.write("dear")
    result = run("run", topology(), "--data", "precious", "--fresh")
    refused("a directory that is not Weir's", result, "precious")
    check(os.path.exists("precious/letter.txt"), "--fresh deleted what was not Weir's")


def topology_that_no_segment_takes():
    file = topology("long", broker={"segment_size": "64KiB"},
                    stages={"number": {"plugin": "generate.values", "output": "numbers",
                                       "config": {"values": ["a long list"] * 20000}}})
    refused("a topology that no segment takes", run("run", file, "--fresh"), "bytes of the journal", "broker.segment_size")


def standard_output_that_is_full():
    for command in (("graph", topology()), ("plugins",), ("validate", topology(), "--json")):
        with open("/dev/full", "w") as full:
            result = subprocess.run([WEIR, *command], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        refused("standard output that is full, of weir " + command[0], result, "standard output", "No space left")


def ports_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        refused("an HTTP port in use", run("run", topology("http", http={"listen": address})), address)
        file = topology("listen", broker={"listen": "tcp://" + address})
        refused("a broker's port in use", run("run", file), address)


def the_default_port_in_use():
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

        def take():
            try:
                taken.bind(("127.0.0.1", 9464))
                taken.listen()
                return True
            except OSError:
                return False
        # Another test may have it for a moment.
        wait_for("the default HTTP port", take)
        with open(topology("default")) as file:
            value = json.load(file)
        del value["http"]
        with open("default.json", "w") as file:
            json.dump(value, file)
        result = run("run", "default.json")
        works("the default HTTP port in use", result)
        ports = re.findall(r"http://127\.0\.0\.1:(\d+)", result.stderr)
        check(ports and "9464" not in ports, "no free port is announced: " + result.stderr)


def a_constructor_that_throws():
    file = topology("thrower", stages={"number": {"plugin": "file.lines", "output": "numbers", "config": {"path": "plain"}},
                                       "regex": {"plugin": "text.regex", "input": "numbers", "output": "more", "config": {"pattern": "(?P<a>x"}},
                                       "write": {"plugin": "file.write", "input": "more", "config": {"path": "out.jsonl"}}},
                    streams={"numbers": {}, "more": {}})
    refused("a pattern that is none", run("run", file), "regex", "pattern")
    for plugin, words in (("throws", "never in the mood"), ("throws_number", "threw something that is no std::exception")):
        file = topology(plugin, libraries=[THROWS], streams={"numbers": {}, "more": {}},
                        stages={"thrower": {"plugin": "test." + plugin, "input": "numbers", "output": "more"},
                                "write": {"plugin": "file.write", "input": "more", "config": {"path": "none.jsonl"}}})
        refused("a constructor that throws: " + plugin, run("run", file, timeout=60), "thrower", "test." + plugin, words)


def a_deep_data_directory():
    deep = os.path.join(*["a-directory-with-a-long-name-%d" % i for i in range(8)])
    check(len(os.path.abspath(deep)) > 107, "not deep enough for the test")
    works("a deep data directory", run("run", topology("deep"), "--data", deep))
    # After a kill the next run finds its way too, and nothing is left of its sockets at the end.
    launcher = Launcher(topology("deeper", stages={"number": {"plugin": "generate.sequence", "output": "numbers", "config": {"from": 1, "rate": 100}}}),
                        "--data", deep + "-2", log="log.txt")
    wait_for("the worker", lambda: launcher.find("number"))
    launcher.kill_everyone()
    launcher = Launcher("deeper.json", "--data", deep + "-2", log="log.txt")
    wait_for("the second run", lambda: (status(deep + "-2") or {}).get("state") == "running")
    written = os.path.getsize("out.jsonl")
    wait_for("more output", lambda: os.path.getsize("out.jsonl") > written)
    launcher.interrupt()
    check(launcher.wait(30) == 0, open("log.txt").read())
    of = os.stat(deep + "-2")
    left = "%s/weir-%d-%x-%x" % (os.environ.get("XDG_RUNTIME_DIR", "/tmp"), os.geteuid(), of.st_dev, of.st_ino)
    check(not os.path.exists(left), "sockets were left behind in " + left)
    print("ok: a deep data directory after a kill", flush=True)


def a_damaged_journal():
    file = topology("damaged", broker={"segment_size": "1MiB", "transaction_bytes_max": "64KiB"},
                    stages={"number": {"plugin": "generate.sequence", "output": "numbers", "config": {"from": 1, "to": 20000}}})
    check(run("run", file).returncode == 0, "the run to be damaged failed")
    segments = sorted(name for name in os.listdir(".weir/damaged/journal") if name.startswith("segment"))
    path = os.path.join(".weir/damaged/journal", segments[0])
    with open(path, "r+b") as segment:
        segment.seek(0)
        head = segment.read(16384)
        segment.seek(4096)
        segment.write(bytes(255 - byte for byte in head[4096:12288]))
    refused("a damaged journal", run("run", file), segments[0])


def a_full_command_line():
    for arguments, word in ((["run"], "FILE"), (["run", "nowhere.json"], "nowhere.json"), (["dance"], "dance"),
                            (["run", topology(), "--set", "nonsense"], "--set")):
        result = subprocess.run([WEIR, *arguments], capture_output=True, text=True, timeout=60)
        check(result.returncode == 2 and word in result.stderr, "%s: %d: %s" % (arguments, result.returncode, result.stderr))
    print("ok: bad command lines", flush=True)


for case in (missing_input, output_that_cannot_be_made, data_directory_that_cannot_be_made, directory_of_another_topology,
             directory_of_somebody_else, topology_that_no_segment_takes, standard_output_that_is_full, ports_in_use, the_default_port_in_use, a_constructor_that_throws, a_deep_data_directory,
             a_damaged_journal, a_full_command_line):
    case()
shutil.rmtree(folder)
