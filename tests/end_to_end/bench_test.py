# SPDX-License-Identifier: Apache-2.0
"""weir bench with few records: what --json prints, that standard output holds nothing else, that nothing is left behind,
and that a result that is wrong ends it."""
import glob
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from weir_run import BIN, WEIR, check, children_of, role_of, run, wait_for

RECORDS = 3000
KEYS = 100
TOPOLOGIES = ["relay", "keyed_total", "keyed_running_total", "wordcount", "chain_fused", "chain_queued", "chain_pushed", "chain_sent",
              "chain_published"]
STAGES = {"relay": [], "keyed_total": ["sum"], "keyed_running_total": ["sum"], "wordcount": ["count", "split"],
          "chain_fused": ["pass1"], "chain_queued": ["pass%d" % i for i in range(1, 9)],
          **{chain: ["pass%d" % i for i in range(1, 9)] for chain in ("chain_pushed", "chain_sent", "chain_published")}}


def is_amount(number):
    return isinstance(number, (int, float)) and math.isfinite(number) and number > 0


def check_measured(item):
    check(all(is_amount(item[field]) for field in ("records", "seconds", "records_per_second", "megabytes_per_second")), item)
    check(math.isclose(item["records_per_second"], item["records"] / item["seconds"], rel_tol=1e-6), item)
    check(item["cpu_seconds_per_million"] >= 0, item)


def check_latencies(paced):
    check([(item["what"], item["durability"]) for item in paced] ==
          [("raw disk, 4 KiB and a sync", None), ("latency over bare ZeroMQ", None), ("latency", "fsync"), ("latency", "none")], paced)
    for item in paced:
        check_measured(item)
        check(item["records"] == (2000 if item is paced[0] else 600) and (item is paced[0] or 0.29 < item["seconds"]), item)
        latency = list(item["latency_ms"].values())
        check(len(latency) == 5 and latency[0] > 0.001 and latency == sorted(latency), item)
    check(set(paced[1]["processes"]) == {"source", "relay", "stage", "sink"} and "of_bare_path" not in paced[1], paced[1])
    for item in paced[2:]:
        check(is_amount(item["of_bare_path"]["p50"]) and is_amount(item["of_bare_path"]["p99"]), item)


def throughput():
    result = run("bench", "--json", "--records", str(RECORDS), "--keys", str(KEYS), "--durability", "fsync,none", "--rate", "2000", "--seconds", "0.3")
    check(result.returncode == 0, result.stderr)
    report = json.loads(result.stdout)
    check(report["records"] == RECORDS and report["keys"] == KEYS and report["record_bytes"] == 100, report)
    paced = [item for item in report["measured"] if "latency_ms" in item]
    check_latencies(paced)
    starts = [item for item in report["measured"] if item["what"] == "start"]
    check([item["durability"] for item in starts] == ["fsync", "none"], starts)
    check(all(0 < item["first_result_seconds"] < item["command_seconds"] for item in starts), starts)
    report["measured"] = [item for item in report["measured"] if item not in paced + starts]
    baselines = {item["what"]: item for item in report["measured"] if item["durability"] is None}
    check(set(baselines) >= {"bare ZeroMQ relay, 64 KiB frames", "raw disk, a sync for each MiB", "wordcount, C++ loop", "keyed_total, C++ loop"}, list(baselines))
    runs = [item for item in report["measured"] if item["durability"]]
    check([(item["what"], item["durability"]) for item in runs] ==
          [(name, durability) for name in TOPOLOGIES for durability in ("fsync", "none")], runs)
    for item in report["measured"]:
        check_measured(item)
    for item in runs:
        check(item["command_seconds"] > item["seconds"] and item["of_bare_relay"] > 0, item)
        check(item["what"] == "wordcount" or item["records"] == RECORDS, item)
        check(set(item["processes"]) == {"weir", "broker", "source", "sink", *STAGES[item["what"]]}, item)
        check(all(use["peak_bytes"] > 1 << 20 for use in item["processes"].values()), item)
    check(not os.listdir("."), "weir bench left %s behind" % os.listdir("."))
    check("measuring relay, durability fsync" in result.stderr, result.stderr)


POINTS = {"curve_record_bytes": ["64", "256", "1024", "4096", "16384", "65536"], "curve_shards": ["1", "4", "16", "64", "256", "1024"],
          "curve_streams": ["1", "2", "4", "8", "16"], "curve_sources": ["1", "2", "4", "8", "16"],
          "curve_keys": ["1000", "10000", "100000", "1000000", "10000000"],
          "prices": ["all", "without fsync", "without state", "without metrics"]}


def series():
    names = [name for name in POINTS if name != "prices"]
    result = run("bench", "--json", "--records", str(RECORDS), "--durability", "none", *names)
    check(result.returncode == 0, result.stderr)
    found = json.loads(result.stdout)["measured"]
    # Metrics are read while it runs, for which it must last a little.
    result = run("bench", "--json", "--records", "200000", "--rounds", "2", "prices", "relay")
    check(result.returncode == 0, result.stderr)
    of_two_rounds = json.loads(result.stdout)["measured"]
    found += [item for item in of_two_rounds if item["what"] == "prices"]
    check([(item["what"], item["at"]) for item in found] == [(name, at) for name, points in POINTS.items() for at in points], found)
    for item in found:
        check_measured(item)
        check(set(item["processes"]) >= {"weir", "broker", "sink"}, item)
    for item in found[:6]:
        check(item["records"] == max(RECORDS * 100 // int(item["at"]), 1), item)
    check([item["durability"] for item in found[-4:]] == ["fsync", "none", "fsync", "fsync"], found[-4:])
    check([item["what"] for item in of_two_rounds] == ["bare ZeroMQ relay, 64 KiB frames", "raw disk, a sync for each MiB"] + ["relay"] * 3 + ["prices"] * 4, of_two_rounds)


def table():
    result = run("bench", "relay", "--records", str(RECORDS), "--durability", "interval")
    check(result.returncode == 0, result.stderr)
    lines = result.stdout.splitlines()
    durability = [i for i, line in enumerate(lines) if line == "Weir, durability interval"]
    relay = [i for i, line in enumerate(lines) if line.startswith("relay ")]
    check(len(durability) == 1 and len(relay) == 1 and durability < relay, result.stdout)
    check("awk" not in result.stdout, result.stdout)
    result = run("bench", "relay", "--records", str(RECORDS), "--durability", "none", "--commit-after", "1s")
    check(result.returncode == 0 and "Weir, durability none, commit_after 1s" in result.stdout.splitlines(), result.stdout + result.stderr)
    result = run("bench", "relay", "--commit-after", "soon")
    check(result.returncode == 2 and "--commit-after" in result.stderr and "soon" in result.stderr, result.stderr)


def a_pause_counts_for_all_that_was_due_in_it():
    """The broker is stopped for 0.5 s of 2: of the records that were due then, most wait for 0.1 s and more."""
    bench = subprocess.Popen([WEIR, "bench", "latency", "--json", "--rate", "1000", "--seconds", "2", "--durability", "none"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def broker():
        found = [pid for launcher in children_of(bench.pid) for pid, arguments in children_of(launcher).items()
                 if role_of(arguments) == "broker"]
        return found[0] if found else None

    pid = wait_for("the broker", broker)
    wait_for("the first record", lambda: glob.glob("weir-bench-*/started.json"))
    os.kill(pid, signal.SIGSTOP)
    until = time.monotonic() + 0.5
    wait_for("the end of the pause", lambda: time.monotonic() > until)
    os.kill(pid, signal.SIGCONT)
    report = json.loads(bench.communicate(timeout=60)[0])
    latency = report["measured"][-1]["latency_ms"]
    check(bench.returncode == 0 and latency["p90"] > 100 and latency["most"] < 2000, report)


def refused(result, sentence):
    check(result.returncode == 1 and sentence in result.stderr and result.stdout == "", (sentence, result))


def a_wrong_baseline_is_no_figure():
    """With an awk that loses a line."""
    os.mkdir("path")
    with open("path/awk", "w") as script:
        script.write('#!/bin/sh\n"%s" "$@" | sed 1d\n' % shutil.which("awk"))
    os.chmod("path/awk", 0o755)
    refused(run("bench", "keyed_total", "--records", str(RECORDS), "--keys", str(KEYS), "--durability", "none",
                env={**os.environ, "PATH": os.path.abspath("path") + ":" + os.environ["PATH"]}),
            "keyed_total, awk: the result is wrong")


def a_wrong_topology_is_no_figure(forgetful):
    """With an installation whose keyed.sum forgets a record."""
    shutil.copytree(BIN, "wrong/bin")
    shutil.copytree(os.path.join(BIN, "..", "lib", "weir"), "wrong/lib/weir")
    shutil.copy(forgetful, "wrong/lib/weir/keyed.so")
    for name in ("keyed_total", "keyed_running_total"):
        refused(subprocess.run(["wrong/bin/weir", "bench", name, "--records", str(RECORDS), "--keys", str(KEYS), "--durability", "none"],
                               capture_output=True, text=True, timeout=300),
                name + ": the sink got %d records, but others than expected" % (RECORDS if "running" in name else KEYS))


def bad_command_lines():
    for arguments, sentence in ((["nothing"], "nothing"), (["--durability", "often"], "often"), (["--records", "0"], "--records")):
        result = run("bench", *arguments)
        check(result.returncode == 2 and sentence in result.stderr and not result.stdout, (arguments, result))


os.chdir(tempfile.mkdtemp(prefix="weir-bench-test-"))
throughput()
series()
table()
a_pause_counts_for_all_that_was_due_in_it()
bad_command_lines()
a_wrong_baseline_is_no_figure()
a_wrong_topology_is_no_figure(sys.argv[1])
shutil.rmtree(os.getcwd())
