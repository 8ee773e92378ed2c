# SPDX-License-Identifier: Apache-2.0
"""Weir and its peers side by side; README.md tells what is compared and how. Run by scripts/bench_peers.sh."""
import argparse
import importlib.util
import os
import platform
import shlex
import signal
import sys
import tempfile

from peer import WEIR_DURABILITY, Missing, Workload, measure
from programs import Failure
from report import Report, Row, to_json, to_markdown
from weir import Weir

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = ("kafka", "flink", "nats", "redis", "rabbitmq")


def default_cache():
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "weir-peers")


def names(known):
    def parse(text):
        given = text.split(",")
        for name in given:
            if name not in known:
                raise argparse.ArgumentTypeError("%s is none of %s" % (name, ", ".join(known)))
        return given
    return parse


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return number


def parse(arguments):
    parser = argparse.ArgumentParser(prog="scripts/bench_peers.sh", allow_abbrev=False, description=(
        "Weir beside Kafka, Kafka Streams, Flink, NATS JetStream, Redis Streams and RabbitMQ: the same records, the same "
        "computation, every result checked, ratios to Weir measured just before. What is missing is fetched into --cache."))
    parser.add_argument("--peers", type=names(PEERS), default=list(PEERS), help="with commas, of: %s (all)" % ", ".join(PEERS))
    parser.add_argument("--what", type=names(("relay", "keyed_total")), default=["relay", "keyed_total"], help="relay, keyed_total (both)")
    parser.add_argument("--durability", type=names(("fsync", "default")), default=["fsync", "default"], help=(
        "fsync: where the peer can, on the disk before the acknowledgement, as Weir; default: what the peer does unasked, named in the table (both)"))
    parser.add_argument("--records", type=positive, default=5_000_000, help="slow variants carry a stated share (5000000)")
    parser.add_argument("--keys", type=positive, default=100_000, help="(100000)")
    parser.add_argument("--rounds", type=positive, default=1, help="measures all so often in turn, and tells the median (1)")
    parser.add_argument("--deadline", type=positive, default=900, help="seconds that one run may take (900)")
    parser.add_argument("--cache", default=default_cache(), help="where peers are fetched and built (%(default)s)")
    parser.add_argument("--data", default=".", help="a folder on the disk that is meant (the working directory)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of Markdown")
    return parser.parse_args(arguments)


def load(name):
    """The peer of a folder beside this file."""
    spec = importlib.util.spec_from_file_location("peers_" + name, os.path.join(HERE, name, "peer.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ThePeer()


def tell(text):
    print(text, file=sys.stderr, flush=True)


class Bench:
    def __init__(self, options, weir, peers, command):
        self.options = options
        self.weir = weir
        self.workload = Workload(options.records, options.keys)
        self.report = Report("%s, %d cores, %s %s" % (platform.machine(), os.cpu_count(), platform.system(), platform.release()),
                             command, options.records, options.keys, options.rounds)
        self.ready = []  # (peer, version)
        self.pairs = {}  # variant: [(Measurement, what Weir gave before it)]
        self.peers = peers

    def run(self):
        """What was measured, all of it or what was until it was told to stop."""
        load_before = os.getloadavg()[0]
        try:
            self.prepare()
            with tempfile.TemporaryDirectory(prefix="weir-peers-", dir=self.options.data) as folder:
                for _ in range(self.options.rounds):
                    for peer, version in self.ready:
                        self.measure(peer, version, folder)
        except Stopped as stopped:
            self.report.stopped = stopped.signum
        self.report.load = (load_before, os.getloadavg()[0])
        self.report.rows = [Row.of(pairs) for pairs in self.pairs.values()]
        return self.report

    def prepare(self):
        for peer in self.peers:
            tell("%s: fetching and building what is missing" % peer.name)
            try:
                self.ready.append((peer, peer.prepare(self.options.cache)))
            except Missing as missing:
                tell("%s: not to be had here: %s" % (peer.name, missing))
                self.report.missing[peer.name] = str(missing)

    def wants(self, variant):
        return variant.what in self.options.what and ("fsync" if WEIR_DURABILITY[variant.durability].startswith("fsync") else "default") in self.options.durability

    def measure(self, peer, version, folder):
        """Each variant right behind Weir: what else a machine does changes within minutes."""
        for variant in filter(self.wants, peer.variants()):
            tell("%s, %s, %s, %s" % (variant.name, variant.what, variant.framing, variant.durability))
            try:
                weir = self.measure_weir(variant, folder)
                measurement = measure(peer, version, variant, self.workload, folder, self.options.deadline)
            except Failure as failure:
                tell(str(failure))
                self.report.failed.append("%s, %s, %s: %s" % (variant.name, variant.what, variant.durability, failure))
                continue
            fsync = weir[variant.what, "fsync"]["records_per_second"]
            tell("  %.0f records/s, Weir with fsync %.0f" % (measurement.records_per_second, fsync))
            self.pairs.setdefault(variant, []).append((measurement, weir))

    def measure_weir(self, variant, folder):
        """At its default, and as the variant is durable."""
        durabilities = sorted({"fsync", WEIR_DURABILITY[variant.durability]})
        measured, bare = self.weir.measure(self.workload, folder, self.options.deadline, [variant.what], durabilities)
        for key, item in measured.items():
            self.report.weir.setdefault(key, []).append(item)
        self.report.bare += bare
        return measured


class Stopped(BaseException):
    """A signal: every `with` ends what it started."""

    def __init__(self, signum):
        super().__init__()
        self.signum = signum


def stop(signum, _):
    raise Stopped(signum)


def main(arguments):
    options = parse(arguments)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) != signal.SIG_IGN:  # as nohup has it
            signal.signal(signum, stop)
    command = shlex.join(["scripts/bench_peers.sh", *arguments])
    try:
        weir = Weir(os.environ.get("WEIR_BIN", os.path.join(HERE, "../../../build/release/bin")))
        report = Bench(options, weir, [load(name) for name in options.peers], command).run()
    except Failure as failure:
        tell(str(failure))
        return 1
    print(to_json(report) if options.json else to_markdown(report), end="" if not options.json else "\n")
    return 128 + report.stopped if report.stopped else 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
