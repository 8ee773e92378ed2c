# SPDX-License-Identifier: Apache-2.0
"""The bench of peers without any peer and without a network: its own parts, with a peer that is made up."""
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import bench_peers
from expectation import expect, key_bytes, key_number, number_of, value_bytes
from peer import EACH_CHECKPOINT, FSYNC, PAGE_CACHE, WEIR_DURABILITY, Measurement, Missing, Peer, Variant, Workload, measure
from programs import Failure, Program
from report import Report, Row, to_json, to_markdown
from weir import Weir

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../../..")
WEIR_BIN = os.environ["WEIR_BIN"]
WORKLOAD = Workload(2000, 50)
SECONDS = 60

# What a client does; it gets the command line that every client gets.
CLIENT = """
import sys, time
sys.path.insert(0, %r)
from expectation import expect
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print("begin", flush=True)
if options["--behave"] == "hang":
    time.sleep(600)
results, digest = expect(options["--what"], int(options["--records"]), int(options["--keys"]))
results += options["--behave"] == "lose"
digest += options["--behave"] == "change"
print('{"seconds": 0.5, "results": %%d, "digest": "%%d"}' %% (results, digest), flush=True)
sys.stdin.read()
""" % HERE
# A server that does not go when it is asked to, and has a child.
SERVER = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1] + ".new", "w") as file:
    file.write("%d %d" % (os.getpid(), child.pid))
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""


class MadeUp(Peer):
    name = "made up"

    def __init__(self, behave="well", missing=None):
        self.behave = behave
        self.missing = missing
        self.server_pids = []

    def prepare(self, cache):
        if self.missing:
            raise Missing(self.missing)
        return "Made up 1.0"

    def variants(self):
        return [Variant("Made up", what, PAGE_CACHE, "at least once", settings="none", options=(("behave", self.behave),))
                for what in ("relay", "keyed_total")]

    def start(self, variant, folder, stack):
        pids = os.path.join(folder, "pids")
        server = stack.enter_context(Program("server", [sys.executable, "-c", SERVER, pids], folder))
        server.wait_until(lambda: os.path.exists(pids))
        with open(pids) as file:
            self.server_pids += map(int, file.read().split())
        return [server], "nowhere"

    def client(self, variant, connect, folder):
        return [sys.executable, "-c", CLIENT]


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition, what):
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain for " + what)
        time.sleep(0.01)


class NoWeir:
    def measure(self, workload, folder, seconds, topologies, durabilities):
        return {(what, durability): {"records_per_second": 1e6, "cpu_seconds_per_million": 1}
                for what in topologies for durability in durabilities}, []


class InAFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def measure(self, peer, seconds=SECONDS):
        return measure(peer, "Made up 1.0", peer.variants()[0], WORKLOAD, self.folder, seconds)

    def bench(self, peer, weir=None):
        """What the whole bench reports and says on standard error."""
        options = bench_peers.parse(["--records", "2000", "--keys", "50", "--data", self.folder, "--cache", self.folder])
        with contextlib.redirect_stderr(io.StringIO()) as said:
            report = bench_peers.Bench(options, weir or NoWeir(), [peer], "scripts/bench_peers.sh").run()
        return report, said.getvalue()


class Expectation(InAFolder):
    def test_makes_the_records_of_weir_bench(self):
        out = os.path.join(self.folder, "out.jsonl")
        topology = {
            "name": "records", "http": None, "libraries": [os.path.join(os.path.abspath(WEIR_BIN), "../lib/weir/bench/bench.so")],
            "streams": {"records": {}},
            "stages": {"source": {"plugin": "bench.records", "output": "records", "config": {
                "records": WORKLOAD.records, "keys": WORKLOAD.keys, "pad": 63, "started": os.path.join(self.folder, "started")}},
                "write": {"plugin": "file.write", "input": "records", "config": {"path": out}}}}
        path = os.path.join(self.folder, "records.json")
        with open(path, "w") as file:
            json.dump(topology, file)
        subprocess.run([os.path.join(WEIR_BIN, "weir"), "run", path, "--data", os.path.join(self.folder, "data")], check=True,
                       capture_output=True, timeout=SECONDS)
        with open(out) as file:
            written = [json.loads(line) for line in file]
        self.assertEqual(len(written), WORKLOAD.records)
        for i, record in enumerate(written):
            self.assertEqual(record["key"].encode(), key_bytes(key_number(i, WORKLOAD.keys)))
            self.assertEqual(record["value"], {"n": number_of(i), "pad": "x" * 63})
        self.assertEqual(value_bytes(256), b"\x82\xa1n\xcd\x01\x00\xa3pad\xd9\x3f" + b"x" * 63)

    def test_tells_records_that_are_lost_or_changed(self):
        results, digest = expect("relay", 100, 10)
        self.assertEqual(results, 100)
        self.assertNotEqual(digest, expect("relay", 99, 10)[1])
        self.assertEqual(expect("keyed_total", 100, 10)[0], 10)
        self.assertNotEqual(expect("keyed_total", 100, 10)[1], expect("keyed_total", 99, 10)[1])


class APeer(InAFolder):
    def test_is_measured_where_its_result_is_right(self):
        measured = self.measure(MadeUp())
        self.assertEqual(measured.records, 2000)
        self.assertEqual(measured.records_per_second, 4000)
        self.assertEqual(set(measured.cpu_seconds), {"server", "client"})
        self.assertGreater(measured.peak_bytes["client"], 1 << 20)

    def test_is_refused_where_records_are_lost(self):
        with self.assertRaisesRegex(Failure, "2001 results instead of 2000"):
            self.measure(MadeUp("lose"))

    def test_is_refused_where_records_are_changed(self):
        with self.assertRaisesRegex(Failure, "2000 results, but others than expected"):
            self.measure(MadeUp("change"))

    def test_is_given_up_on_at_its_deadline(self):
        with self.assertRaisesRegex(Failure, "client was not done within 1 s"):
            self.measure(MadeUp("hang"), seconds=1)

    def test_leaves_no_process_and_no_file_behind(self):
        for behave in ("well", "lose"):
            peer = MadeUp(behave)
            with contextlib.suppress(Failure):
                self.measure(peer)
            self.assertEqual(len(peer.server_pids), 2)
            wait_until(lambda: not any(map(is_alive, peer.server_pids)), "the end of %s" % peer.server_pids)
            self.assertEqual(os.listdir(self.folder), [])

    def test_has_no_server_left_when_the_bench_is_killed(self):
        up = os.path.join(self.folder, "up")
        bench, server = self.bench_with_a_server([sys.executable, "-c", "import sys, time; open(sys.argv[1], 'w'); time.sleep(600)", up])
        wait_until(lambda: os.path.exists(up), "the server's start")
        self.assertTrue(is_alive(server))
        self.kill(bench)
        wait_until(lambda: not is_alive(server), "the server's end")

    def test_has_no_server_left_when_the_bench_is_killed_before_the_kernel_knows_of_it(self):
        late = os.path.join(self.folder, "setpriv")
        dead = os.path.join(self.folder, "dead")
        with open(late, "w") as file:
            file.write("#!/bin/sh\nwhile [ ! -e %s ]; do sleep 0.01; done\nexec %s \"$@\"\n" % (dead, shutil.which("setpriv")))
        os.chmod(late, 0o755)
        bench, server = self.bench_with_a_server(["sleep", "600"], PATH=self.folder + ":" + os.environ["PATH"])
        self.kill(bench)
        open(dead, "w").close()
        wait_until(lambda: not is_alive(server), "the server's end")

    def bench_with_a_server(self, argv, **environment):
        """A process of its own that starts argv as a server does, and the server's pid."""
        script = "import sys; sys.path.insert(0, %r)\nimport peers_test\npeers_test.APeer.hang(%r, %r)" % (HERE, self.folder, argv)
        bench = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, **environment})
        self.addCleanup(self.kill, bench)
        pids = os.path.join(self.folder, "server")
        wait_until(lambda: os.path.exists(pids), "the server")
        with open(pids) as file:
            return bench, int(file.read())

    @staticmethod
    def kill(process):
        process.kill()
        process.wait(SECONDS)

    @staticmethod
    def hang(folder, argv):
        program = Program("server", argv, folder)
        with open(os.path.join(folder, "new"), "w") as file:
            file.write(str(program.process.pid))
        os.rename(os.path.join(folder, "new"), os.path.join(folder, "server"))
        time.sleep(600)


class TheBench(InAFolder):
    def test_tells_the_ratio_to_weir_of_the_same_run(self):
        report, _ = self.bench(MadeUp(), Weir(WEIR_BIN))
        self.assertEqual([row.variant.what for row in report.rows], ["relay", "keyed_total"])
        row = report.rows[0]
        weir, = report.weir["relay", "none"]
        self.assertEqual(row.of_equal, weir["records_per_second"] / row.records_per_second)
        weir, = report.weir["relay", "fsync"]
        self.assertEqual(row.of_fsync, weir["records_per_second"] / row.records_per_second)
        self.assertIn("| Made up | record | page cache | at least once | 4,000 |", to_markdown(report))
        self.assertIn("Versions: Made up 1.0.", to_markdown(report))

    def test_measures_weir_with_results_as_often_as_a_peer_has_checkpoints(self):
        ways = ["fsync", WEIR_DURABILITY[EACH_CHECKPOINT]]
        measured, bare = Weir(WEIR_BIN).measure(Workload(2000, 100), self.folder, SECONDS, ["keyed_total"], ways)
        self.assertEqual(ways[1], "fsync, commit_after 1s")
        self.assertEqual(list(measured), [("keyed_total", way) for way in ways])
        self.assertEqual(len(bare), 2)

    def test_reports_a_peer_that_is_missing(self):
        report, said = self.bench(MadeUp(missing="it grows nowhere\nas the log tells"))
        self.assertEqual(report.rows, [])
        self.assertIn("made up: not to be had here: it grows nowhere", said)
        self.assertIn("Not to be had here:\n\n- made up: it grows nowhere\n", to_markdown(report))
        self.assertNotIn("log", to_markdown(report))

    def test_has_no_figure_for_a_wrong_result(self):
        report, _ = self.bench(MadeUp("change"))
        self.assertEqual(report.rows, [])
        self.assertEqual(len(report.failed), 2)
        self.assertIn("- Made up, relay, page cache: Made up: 2000 results, but others than expected\n", to_markdown(report))

    def test_goes_on_where_weir_fails(self):
        class Broken(NoWeir):
            def measure(self, *arguments):
                if "relay" in arguments[3]:
                    raise Failure("weir ended with 1")
                return super().measure(*arguments)

        report, _ = self.bench(MadeUp(), Broken())
        self.assertEqual([row.variant.what for row in report.rows], ["keyed_total"])
        self.assertEqual(report.failed, ["Made up, relay, page cache: weir ended with 1"])

    def test_reports_what_it_has_when_it_is_stopped(self):
        peer = MadeUp()
        variants = peer.variants()

        def some_variants():
            yield variants[0]
            raise bench_peers.Stopped(signal.SIGTERM)

        peer.variants = some_variants
        report, _ = self.bench(peer)
        self.assertEqual([row.variant for row in report.rows], variants[:1])
        self.assertEqual(report.stopped, signal.SIGTERM)
        self.assertIn("Stopped before all was measured.", to_markdown(report))
        self.assertEqual(os.listdir(self.folder), [])

    def test_asks_no_registry_where_the_clients_are_missing(self):
        given = {name: os.environ.pop(name, None) for name in ("KAFKA_HOME", "FLINK_HOME", "NATS_SERVER", "REDIS_SERVER", "RABBITMQ_SERVER")}
        path, os.environ["PATH"] = os.environ["PATH"], self.folder
        try:
            for name in bench_peers.PEERS:
                with self.assertRaisesRegex(Missing, "there is no .* in PATH"):
                    bench_peers.load(name).prepare(os.path.join(self.folder, "cache"))
        finally:
            os.environ["PATH"] = path
            os.environ.update({name: value for name, value in given.items() if value is not None})

    def test_says_what_it_takes(self):
        said = subprocess.run([os.path.join(ROOT, "scripts/bench_peers.sh"), "--help"], check=True, capture_output=True, text=True,
                              timeout=SECONDS).stdout
        for option in ("--peers", "--records", "--rounds", "--durability", "--json", "--cache"):
            self.assertIn(option, said)
        wrong = subprocess.run([os.path.join(ROOT, "scripts/bench_peers.sh"), "--peers", "abacus"], capture_output=True, text=True,
                               timeout=SECONDS, env={**os.environ, "WEIR_BIN": WEIR_BIN})
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("abacus is none of kafka, flink", wrong.stderr)


class TheTable(unittest.TestCase):
    VARIANT = Variant("Made up", "relay", FSYNC, "at least once", "batch", "all of them", "twice", options=(("window", 3),))

    def report(self):
        report = Report("a machine", "scripts/bench_peers.sh", 1000, 10, 3, (0.5, 1.25))
        report.weir = {("relay", "fsync"): [{"records_per_second": rate, "cpu_seconds_per_million": 0.25} for rate in (3e6, 1e6, 2e6)]}
        report.bare = [{"records_per_second": 4e6, "cpu_seconds_per_million": 0.125}]
        weir = {("relay", "fsync"): {"records_per_second": 2e6, "cpu_seconds_per_million": 0.5}}
        # Half the records, in 1, 2 and 5 ms: the one in the middle counts.
        pairs = [(Measurement("made up", "Made up 1.0", self.VARIANT, 500, seconds, {"client": 0.001, "server": 0.002}, {"client": 1 << 20}), weir)
                 for seconds in (0.005, 0.001, 0.002)]
        report.rows = [Row.of(pairs)]
        report.missing = {"abacus": "sold out"}
        return report

    def test_is_markdown(self):
        self.assertEqual(to_markdown(self.report()), """\
a machine; load 0.5 at the beginning, 1.2 at the end. `scripts/bench_peers.sh`: 1,000 records of 100 bytes, 10 keys, rounds: 3.

`relay`: producer -> queue -> consumer

|  | framing | durability | guarantee | records/s | Weir as durable | Weir with fsync | CPU s/M | of Weir's |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| **Weir** |  | fsync | exactly once | 2,000,000 |  |  | 0.25 |  |
| bare ZeroMQ relay, 64 KiB frames | batch | nothing is kept | none | 4,000,000 |  | 0.50 x | 0.12 |  |
| Made up [twice] | batch | fsync | at least once | 250,000 | 8.0 x | 8.0 x | 6.00 | 12 x |

Versions: Made up 1.0.

Settings:

- Made up [twice], fsync, batch: all of them; only 500 records, of as many times fewer keys

Not to be had here:

- abacus: sold out
""")

    def test_is_json(self):
        told = json.loads(to_json(self.report()))
        self.assertEqual(told["peers"][0]["records_per_second"], 250000)
        self.assertEqual(told["peers"][0]["options"], {"window": 3})
        self.assertEqual(told["peers"][0]["weir_with_fsync"], 8)
        self.assertEqual(told["weir"][0], {"what": "relay", "durability": "fsync", "records_per_second": 2e6, "cpu_seconds_per_million": 0.25})
        self.assertEqual(told["missing"], {"abacus": "sold out"})


if __name__ == "__main__":
    unittest.main()
