# SPDX-License-Identifier: Apache-2.0
"""Whatever call of a plugin hangs, its worker is ended and the reason told; where it hangs each time, the stage fails."""
import json
import os
import re
import signal
import sys
import tempfile

from weir_run import Launcher, check, status, wait_for

LIBRARY = sys.argv[1]
folder = tempfile.mkdtemp(prefix="weir-hangs-")
os.chdir(folder)

# What hangs in each life: whose worker, and what is said of it.
EACH_LIFE = {
    "create": ("read", "creating the stage"),
    "splits": ("read", "naming splits"),
    "read": ("read", "in read"),
    "state_load": ("total", "loading state"),
    "open": ("write", "opening a sink's target"),
    "flush": ("write", "flushing state or a sink"),
}
# What hangs when a worker has been asked to go.
AT_THE_END = {
    "close": ("write", "closing a sink's target"),
    "destroy": ("total", "ending the stage"),
}


def start(call, numbers=None):
    with open(call + ".json", "w") as file:
        json.dump({
            "name": call, "http": {"listen": "127.0.0.1:0"}, "libraries": [LIBRARY],
            "streams": {"numbers": {"partition": {"by": "hash"}, "shards": 4}, "totals": {}},
            # Short for a record, so that what is no record's gets its ten seconds.
            "stages": {
                "read": {"plugin": "test.hangs.source", "output": "numbers", "deadline": "2s",
                         "config": {"numbers": numbers} if numbers else {}},
                "total": {"plugin": "test.hangs.stage", "input": "numbers", "output": "totals", "deadline": "2s"},
                "write": {"plugin": "test.hangs.sink", "input": "totals", "deadline": "2s"}}}, file)
    return Launcher(call + ".json", log=call + ".log", environment={"HANGS_IN": call})


def said(call):
    with open(call + ".log") as log:
        return log.read()


def consumed(call, stage):
    """Whether the stage has committed anything."""
    found = status(".weir/" + call)
    return found and any(each["name"] == stage and each["records_in"] > 0 for each in found["stages"])


def ended(call, stage, words):
    return re.search(r"worker %s/0 ended by exit 68 \(its deadline had passed\) while %s of stage %s, starting it again"
                     % (stage, words, stage), said(call))


launchers = {call: start(call) for call in (*EACH_LIFE, *AT_THE_END)}
launchers["on_durable"] = start("on_durable", numbers=15)

for call, how in (("state_load", signal.SIGKILL), ("close", signal.SIGTERM), ("destroy", signal.SIGTERM)):
    stage = (EACH_LIFE | AT_THE_END)[call][0]
    wait_for("work done by " + stage, lambda: consumed(call, stage))
    os.kill(wait_for("a worker", lambda: launchers[call].find(stage)), how)

# Once is not enough to give a stage up: its successor goes on.
for call, (stage, words) in AT_THE_END.items():
    wait_for("the end of who hangs in " + call, lambda: ended(call, stage, words), 120)
    wait_for("a successor", lambda: launchers[call].find(stage))
    launchers[call].interrupt()
    check(launchers[call].wait() == 0, said(call)[-2000:])

# Who hangs after a commit goes on with the next life. At the end nothing is left to wait for.
check(launchers["on_durable"].wait() == 0, said("on_durable")[-2000:])
check(ended("on_durable", "read", "in on_durable"), said("on_durable")[-2000:])

for call, (stage, words) in EACH_LIFE.items():
    check(launchers[call].wait() == 1, "%s: %s" % (call, said(call)[-2000:]))
    check(re.search(r"stage %s is given up on: worker 0 died 5 times in a row without a commit, last by exit 68 "
                    r"\(its deadline had passed\) while %s of stage %s" % (stage, words, stage), said(call)),
          "%s: %s" % (call, said(call)[-2000:]))
print("%d calls that hang, each told" % len(launchers))
