# SPDX-License-Identifier: Apache-2.0
"""Weir and the bare ZeroMQ relay, by `weir bench --json`, which checks its results itself."""
import json
import os

from peer import COMMITS
from programs import Failure, Program

BARE = "bare ZeroMQ relay, 64 KiB frames"


class Weir:
    def __init__(self, programs):
        self.weir = os.path.join(programs, "weir")
        if not os.access(self.weir, os.X_OK):
            raise Failure("there is no %s; build Weir, or set WEIR_BIN to the folder of its programs" % self.weir)

    def measure(self, workload, folder, seconds, topologies, durabilities):
        """({(what, durability as WEIR_DURABILITY has it): item of `weir bench --json`}, [its bare relays])."""
        measured = {}
        bare = []
        for commits in sorted({durability.partition(COMMITS)[2] for durability in durabilities}):
            suffix = COMMITS + commits if commits else ""
            of_these = [durability.removesuffix(suffix) for durability in durabilities if durability.partition(COMMITS)[2] == commits]
            for item in self.report(workload, folder, seconds, topologies, of_these, commits)["measured"]:
                if item["what"] == BARE:
                    bare.append(item)
                elif item["what"] in topologies and item["durability"]:
                    measured[item["what"], item["durability"] + suffix] = item
        return measured, bare

    def report(self, workload, folder, seconds, topologies, durabilities, commit_after):
        argv = [self.weir, "bench", *topologies, "--durability", ",".join(durabilities), "--records", workload.records,
                "--keys", workload.keys, "--data", folder, "--json"]
        if commit_after:
            argv += ["--commit-after", commit_after]
        with Program("weir", argv, folder, piped=True) as program:
            program.dismiss()
            return json.loads("\n".join(program.lines(seconds)))
