# SPDX-License-Identifier: Apache-2.0
"""What a benchmark has to reach: each target is said beside what was measured, and a missed one makes the benchmark fail
at its end, when all figures are printed."""
import sys

missed = []


def target(what, measured, most, unit=""):
    met = measured <= most
    print("target %-6s %s: %.3g%s, at most %.3g%s" % ("met" if met else "MISSED", what, measured, unit, most, unit), flush=True)
    if not met:
        missed.append(what)


def conclude():
    if missed:
        sys.exit("missed: " + "; ".join(missed))
