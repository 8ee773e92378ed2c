# SPDX-License-Identifier: Apache-2.0
"""What /metrics promises: every metric with its labels and type, counters that no death of a worker disturbs, and a text
that promtool likes, where promtool is installed."""
import json
import os
import re
import shutil
import subprocess
import tempfile

from weir_run import Launcher, check, get, make_text, metrics, run, status, wait_for

#: name: (type, labels beside "topology")
PROMISED = {
    "weir_stage_records_in_total": ("counter", {"stage", "worker"}),
    "weir_stage_records_out_total": ("counter", {"stage", "worker"}),
    "weir_stage_dead_letters_total": ("counter", {"stage", "worker"}),
    "weir_stage_late_records_total": ("counter", {"stage", "worker"}),
    "weir_stage_errors_total": ("counter", {"stage", "worker", "cause"}),
    "weir_stage_restarts_total": ("counter", {"stage"}),
    "weir_stage_busy_ratio": ("gauge", {"stage", "worker"}),
    "weir_stage_blocked_ratio": ("gauge", {"stage", "worker"}),
    "weir_stage_state_bytes": ("gauge", {"stage", "worker"}),
    "weir_stage_process_seconds": ("histogram", {"stage", "worker"}),
    "weir_stream_records_total": ("counter", {"stream"}),
    "weir_stream_bytes_total": ("counter", {"stream"}),
    "weir_stream_backlog_records": ("gauge", {"stream", "group"}),
    "weir_stream_watermark_seconds": ("gauge", {"stream"}),
    "weir_stream_retained_less_records_total": ("counter", {"stream"}),
    "weir_end_to_end_seconds": ("histogram", {"stage"}),
    "weir_broker_commit_seconds": ("histogram", set()),
    "weir_broker_fsync_seconds": ("histogram", set()),
    "weir_broker_journal_bytes": ("gauge", set()),
    "weir_broker_recovery_seconds": ("gauge", set()),
    "weir_broker_disk_full": ("gauge", set()),
    "weir_dropped_records_total": ("counter", {"stream", "cause"}),
}

folder = tempfile.mkdtemp(prefix="weir-metrics-")
os.chdir(folder)
counts, lines = make_text("input.txt", 12, 5)
with open("input.txt", "ab") as text:
    text.write(b"broken \xff\xfe bytes\n" * 3)  # U+FFFD where they are printed, counted as utf8
with open("metrics.json", "w") as topology:
    json.dump({
        "name": "metrics", "http": {"listen": "127.0.0.1:0"},
        "streams": {"lines": {"retention": {"time": "1h"}}, "words": {"partition": {"by": "hash"}, "shards": 8}, "counts": {},
                    "copies": {}},
        "stages": {
            "read": {"plugin": "file.lines", "output": "lines", "config": {"path": "input.txt"}},
            "split": {"plugin": "text.words", "input": "lines", "output": "words", "workers": 2},
            # Lines are no JSON: every record is an error, and dropped as on_error says.
            "parse": {"plugin": "text.json", "input": "lines", "output": "copies", "on_error": {"then": "skip"}},
            "count": {"plugin": "keyed.count", "input": "words", "output": "counts", "workers": 2},
            "write": {"plugin": "file.write", "input": "counts", "config": {"path": "out.jsonl"}},
            "copy": {"plugin": "file.write", "input": "copies", "config": {"path": "copies.jsonl"}}}}, topology)
DATA = ".weir/metrics"


def total(metric, stage):
    return sum(number for (name, labels), number in metrics(DATA).items() if name == metric and ("stage", stage) in labels)


launcher = Launcher("metrics.json", "--hold", log="log.txt")
killed = 0
for stage in ("split", "count", "write", "split", "count", "parse"):
    before = wait_for("records of " + stage, lambda: total("weir_stage_records_in_total", stage))
    pid = launcher.find(stage)
    if pid is None:
        continue
    os.kill(pid, 9)
    killed += 1
    wait_for("another worker of " + stage,
             lambda: launcher.find(stage) not in (None, pid) or (status(DATA) or {}).get("state") == "finished")
wait_for("the end", lambda: (status(DATA) or {}).get("state") == "finished", 120)
words = sum(counts.values()) + 2 * 3
for stage, wanted in (("split", lines + 3), ("parse", lines + 3), ("count", words), ("write", words)):
    found = total("weir_stage_records_in_total", stage)
    check(found == wanted, "after %d kills weir_stage_records_in_total of %s is %s, not %d" % (killed, stage, found, wanted))
check(total("weir_stage_records_out_total", "read") == lines + 3, "the source's records are counted wrong")
# Who ended because nothing was left to do did not die.
check(total("weir_stage_restarts_total", "read") == 0, "a worker that had come to its end counts as a restart")
restarts = sum(total("weir_stage_restarts_total", stage) for stage in ("split", "parse", "count", "write"))
check(0 < restarts <= killed, "%d restarts after %d kills" % (restarts, killed))
check(killed >= 3, "only %d kills: give it more input" % killed)

text = get(DATA, "/metrics")
types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
for name, (kind, labels) in PROMISED.items():
    if name == "weir_stream_watermark_seconds" and name not in types:
        continue  # event time is there while there is one; this source names none
    check(types.get(name) == kind, "%s is %s, not %s" % (name, types.get(name), kind))
    series = [dict(found) for (full, found), _ in metrics(DATA).items()
              if full == name or kind == "histogram" and full == name + "_count"]
    check(series, name + " has no series")
    for found in series:
        check(set(found) == labels | {"topology"}, "%s has the labels %s" % (name, sorted(found)))
        check(found["topology"] == "metrics", "%s is of topology %s" % (name, found["topology"]))
for name in types:
    check(name in PROMISED, "%s is not promised anywhere" % name)
dropped = sum(number for (name, labels), number in metrics(DATA).items()
              if name == "weir_dropped_records_total" and ("cause", "skipped") in labels and ("stream", "lines") in labels)
check(dropped == lines + 3, "%s records were counted as dropped, not %d" % (dropped, lines + 3))

promtool = shutil.which("promtool")
if promtool:
    said = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)
    check(said.returncode == 0 and not said.stdout + said.stderr, "promtool: " + said.stdout + said.stderr)
launcher.interrupt()
check(launcher.wait(30) == 0, open("log.txt").read()[-1000:])

# What a topology measured that was over in no time is there when it is.
with open("short.json", "w") as topology:
    json.dump({
        "name": "short", "http": {"listen": "${WEIR_TEST_ADDRESS:-127.0.0.1:0}"}, "streams": {"numbers": {}, "same": {}},
        "stages": {
            "make": {"plugin": "generate.values", "output": "numbers", "config": {"values": [1, 2, 3]}},
            "pass": {"plugin": "filter", "input": "numbers", "output": "same", "config": {"where": {"field": "", "op": "exists"}}},
            "write": {"plugin": "file.write", "input": "same", "config": {"path": "short.jsonl"}}}}, topology)
DATA = ".weir/short"
launcher = Launcher("short.json", "--hold", log="short.txt")
wait_for("the end", lambda: (status(DATA) or {}).get("state") == "finished", 60)
check(total("weir_end_to_end_seconds_count", "write") == 3, "not all records were measured to their end")
for stage in ("pass", "write"):
    check(total("weir_stage_process_seconds_count", stage) > 0, "nothing was measured of " + stage)
# The file as resolved is a file again, whole, and shows what a variable stands for nowhere.
with open("served.json", "w") as served:
    served.write(get(DATA, "/api/topology"))
with open("served.json") as served:
    file = json.load(served)
check(list(file["stages"]) == ["make", "pass", "write"] and file["stages"]["pass"]["commit_after"] == "50ms",
      "/api/topology has not the file as resolved: " + json.dumps(file)[:500])
check(file["http"]["listen"] == "${WEIR_TEST_ADDRESS:-127.0.0.1:0}", "a variable was replaced: " + file["http"]["listen"])
said = run("validate", "served.json")
check(said.returncode == 0 and not said.stderr, "what /api/topology serves is no topology: " + said.stderr)
launcher.interrupt()
check(launcher.wait(30) == 0, open("short.txt").read()[-1000:])
shutil.rmtree(folder)
print("ok: %d kills, %d metrics%s" % (killed, len(types), ", promtool is content" if promtool else "; no promtool here"))
