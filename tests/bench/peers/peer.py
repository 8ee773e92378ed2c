# SPDX-License-Identifier: Apache-2.0
"""What a peer is to the bench, and how one of its variants is measured."""
import contextlib
import dataclasses
import json
import shutil
import tempfile

from expectation import PAD, expect
from programs import Failure, Program

# What the durabilities are called, and at which of Weir's the same is promised: its durability, and where results are
# told less often than by default, how often.
FSYNC = "fsync"
EACH_CHECKPOINT = "fsync at each checkpoint"
EACH_SECOND = "fsync each second"
PAGE_CACHE = "page cache"
COMMITS = ", commit_after "
WEIR_DURABILITY = {FSYNC: "fsync", EACH_CHECKPOINT: "fsync" + COMMITS + "1s", EACH_SECOND: "interval", PAGE_CACHE: "none"}


class Missing(Exception):
    """A peer that cannot be had here; the text says why."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """One way to run a peer."""
    name: str
    what: str  # relay or keyed_total
    durability: str
    guarantee: str
    framing: str = "record"  # or batch: 64 KiB of records in a message
    settings: str = ""  # what of it the other columns do not tell
    note: str = ""  # tells variants apart that are alike in all columns
    share: float = 1  # of the records and keys that were asked for: a slow one need not carry all
    options: tuple = ()  # pairs, for the peer's start() and its client

    def option(self, name):
        return dict(self.options)[name]


@dataclasses.dataclass(frozen=True)
class Workload:
    records: int
    keys: int

    def of(self, share):
        return Workload(max(1, int(self.records * share)), max(1, int(self.keys * share)))


@dataclasses.dataclass(frozen=True)
class Measurement:
    peer: str
    version: str
    variant: Variant
    records: int
    seconds: float
    cpu_seconds: dict  # by process
    peak_bytes: dict

    @property
    def records_per_second(self):
        return self.records / self.seconds


class Peer:
    """A peer's folder has a module `peer` with a class of this kind, `ThePeer`."""
    name = ""

    def prepare(self, cache):
        """Fetches and builds into the folder `cache`; returns the version. Raises Missing."""
        raise NotImplementedError

    def variants(self):
        raise NotImplementedError

    def start(self, variant, folder, stack):
        """Starts its servers in `folder`, to be ended by `stack`; returns ([Program], where clients connect to)."""
        raise NotImplementedError

    def client(self, variant, connect, folder):
        """The client's command line, before what all have in common."""
        raise NotImplementedError


def enter(stack, program):
    return stack.enter_context(program)


def measure(peer, version, variant, workload, folder, seconds):
    """Runs a variant of a peer once, its servers and their data new, and checks what came out. Raises Failure."""
    workload = workload.of(variant.share)
    place = tempfile.mkdtemp(prefix="peer-", dir=folder)
    try:
        with contextlib.ExitStack() as stack:
            servers, connect = peer.start(variant, place, stack)
            argv = [*peer.client(variant, connect, place), "--what", variant.what, "--framing", variant.framing,
                    "--records", workload.records, "--keys", workload.keys, "--pad", PAD, "--warmup", workload.records // 10,
                    "--connect", connect, "--folder", place]
            argv += [part for name, value in variant.options for part in ("--" + name, str(value))]
            client = enter(stack, Program("client", argv, place, piped=True))
            return measured(peer, version, variant, workload, [*servers, client], seconds)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def measured(peer, version, variant, workload, programs, seconds):
    """Reads what the client, the last of `programs`, says: `begin` at its first send, and one object when it is done, before it waits to be dismissed."""
    client = programs[-1]
    before = None
    report = None
    for line in client.lines(seconds):
        if line == "begin":
            before = [program.cpu_seconds() for program in programs]
        elif line.startswith("{"):
            after = [program.cpu_seconds() for program in programs]
            peaks = {program.name: program.peak_bytes() for program in programs}
            report = json.loads(line)
            client.dismiss()
    if before is None or report is None:
        client.fail("did not report")
    check(peer, variant, workload, report)
    return Measurement(peer.name, version, variant, workload.records, report["seconds"],
                       {program.name: end - begin for program, begin, end in zip(programs, before, after)}, peaks)


def check(peer, variant, workload, report):
    results, digest = expect(variant.what, workload.records, workload.keys)
    if report["results"] != results:
        raise Failure("%s: %d results instead of %d" % (variant.name, report["results"], results))
    if int(report["digest"]) != digest:
        raise Failure("%s: %d results, but others than expected" % (variant.name, results))


