# SPDX-License-Identifier: Apache-2.0
"""Weir and the bare ZeroMQ relay, by `weir bench --json`, which checks its results itself."""
import json
import os

from programs import Failure, Program

BARE = "bare ZeroMQ relay, 64 KiB frames"


class Weir:
    def __init__(self, programs):
        self.weir = os.path.join(programs, "weir")
        if not os.access(self.weir, os.X_OK):
            raise Failure("there is no %s; build Weir, or set WEIR_BIN to the folder of its programs" % self.weir)

    def measure(self, workload, folder, seconds, topologies, durabilities):
        """({(what, durability): item of `weir bench --json`}, [its bare relays]) of one run."""
        argv = [self.weir, "bench", *topologies, "--durability", ",".join(durabilities), "--records", workload.records,
                "--keys", workload.keys, "--data", folder, "--json"]
        with Program("weir", argv, folder, piped=True) as program:
            program.dismiss()
            report = json.loads("\n".join(program.lines(seconds)))
        measured = {}
        bare = []
        for item in report["measured"]:
            if item["what"] == BARE:
                bare.append(item)
            elif item["what"] in topologies and item["durability"]:
                measured[item["what"], item["durability"]] = item
        return measured, bare
