# SPDX-License-Identifier: Apache-2.0
"""The table of ratios, as Markdown and as JSON."""
import dataclasses
import json
import statistics

from peer import FSYNC, WEIR_DURABILITY
from weir import BARE

HEAD = ["", "framing", "durability", "guarantee", "records/s", "Weir as durable", "Weir with fsync", "CPU s/M", "of Weir's"]
TITLES = {
    "relay": "`relay`: producer -> queue -> consumer",
    "keyed_total": "`keyed_total`: producer -> queue by key -> a sum for each key -> queue -> consumer",
}


@dataclasses.dataclass(frozen=True)
class Row:
    """What one variant gave in all rounds; each of its measurements stands beside Weir's just before it."""
    version: str
    variant: object
    records: int
    records_per_second: float
    cpu_seconds_per_million: dict
    peak_bytes: dict
    of_equal: float  # Weir's rate at an equal durability in relation to this one
    of_fsync: float
    cpu_of_equal: float  # its CPU seconds a record in relation to Weir's at an equal durability

    @staticmethod
    def of(pairs):
        """Of (Measurement, {(what, durability): item of weir bench}) the middle one, by its rate."""
        pairs = sorted(pairs, key=lambda pair: pair[0].records_per_second)
        measurement, weir = pairs[(len(pairs) - 1) // 2]
        variant = measurement.variant
        rate = measurement.records_per_second
        cpu = {name: seconds / measurement.records * 1e6 for name, seconds in measurement.cpu_seconds.items()}
        equal, fsync = (weir[variant.what, WEIR_DURABILITY[durability]] for durability in (variant.durability, FSYNC))
        return Row(measurement.version, variant, measurement.records, rate, cpu, measurement.peak_bytes, equal["records_per_second"] / rate,
                   fsync["records_per_second"] / rate, sum(cpu.values()) / equal["cpu_seconds_per_million"])


@dataclasses.dataclass
class Report:
    machine: str
    command: str
    records: int
    keys: int
    rounds: int
    load: tuple = (0, 0)  # at the beginning and at the end
    weir: dict = dataclasses.field(default_factory=dict)  # (what, durability): [item of weir bench]
    bare: list = dataclasses.field(default_factory=list)
    rows: list = dataclasses.field(default_factory=list)
    missing: dict = dataclasses.field(default_factory=dict)  # peer: why
    failed: list = dataclasses.field(default_factory=list)  # sentences
    stopped: int = 0  # by which signal, before all was measured


def rate(per_second):
    return "{:,.0f}".format(per_second)


def ratio(number):
    return ("%.0f x" if number >= 10 else "%.1f x") % number


def line(cells):
    return "| %s |\n" % " | ".join(cells)


def median(items, field):
    return statistics.median_low(item[field] for item in items)


def weir_lines(report, what):
    for (topology, durability), items in sorted(report.weir.items()):
        if topology == what:
            yield line(["**Weir**", "", durability, "exactly once", rate(median(items, "records_per_second")), "", "",
                        "%.2f" % median(items, "cpu_seconds_per_million"), ""])


def bare_line(report):
    own = median(report.bare, "records_per_second")
    weir = {durability: median(items, "records_per_second") for (what, durability), items in report.weir.items() if what == "relay"}
    return line([BARE, "batch", "nothing is kept", "none", rate(own),
                 *("%.2f x" % (weir[durability] / own) if durability in weir else "" for durability in ("none", "fsync")),
                 "%.2f" % median(report.bare, "cpu_seconds_per_million"), ""])


def name_of(variant):
    return variant.name + (" [%s]" % variant.note if variant.note else "")


def peer_line(row):
    variant = row.variant
    return line([name_of(variant), variant.framing, variant.durability, variant.guarantee, rate(row.records_per_second),
                 ratio(row.of_equal), ratio(row.of_fsync), "%.2f" % sum(row.cpu_seconds_per_million.values()), ratio(row.cpu_of_equal)])


def to_markdown(report):
    text = "%s; load %.1f at the beginning, %.1f at the end. `%s`: %s records of 100 bytes, %s keys, rounds: %d.\n" % (
        report.machine, *report.load, report.command, rate(report.records), rate(report.keys), report.rounds)
    for what, title in TITLES.items():
        rows = [row for row in report.rows if row.variant.what == what]
        lines = [*weir_lines(report, what), bare_line(report) if what == "relay" and report.bare and rows else "", *map(peer_line, rows)]
        if any(lines):
            text += "\n%s\n\n%s%s%s" % (title, line(HEAD), line(["---"] * len(HEAD)), "".join(lines))
    versions = sorted({row.version for row in report.rows})
    if versions:
        text += "\nVersions: %s.\n" % "; ".join(versions)
    settings = sorted({"%s, %s, %s: %s" % (name_of(row.variant), row.variant.durability, row.variant.framing, row.variant.settings) +
                       ("; only %s records, of as many times fewer keys" % rate(row.records) if row.records != report.records else "") for row in report.rows})
    if settings:
        text += "\nSettings:\n\n" + "".join("- %s\n" % each for each in settings)
    if report.missing:
        text += "\nNot to be had here:\n\n" + "".join("- %s: %s\n" % (name, first_line(why)) for name, why in sorted(report.missing.items()))
    if report.failed:
        text += "\nFailed, so without figures:\n\n" + "".join("- %s\n" % first_line(why) for why in report.failed)
    if report.stopped:
        text += "\nStopped before all was measured.\n"
    return text


def first_line(text):
    return text.strip().split("\n")[0]


def to_json(report):
    rows = [{**{field.name: getattr(row.variant, field.name) for field in dataclasses.fields(row.variant) if field.name != "options"},
             "options": dict(row.variant.options), "version": row.version, "records": row.records, "records_per_second": row.records_per_second,
             "cpu_seconds_per_million": row.cpu_seconds_per_million, "peak_bytes": row.peak_bytes,
             "weir_at_equal_durability": row.of_equal, "weir_with_fsync": row.of_fsync, "cpu_of_weir_at_equal_durability": row.cpu_of_equal} for row in report.rows]
    weir = [{"what": what, "durability": durability, "records_per_second": median(items, "records_per_second"),
             "cpu_seconds_per_million": median(items, "cpu_seconds_per_million")} for (what, durability), items in report.weir.items()]
    return json.dumps({
        "machine": report.machine, "command": report.command, "load": report.load, "records": report.records, "keys": report.keys,
        "rounds": report.rounds, "weir": weir,
        "bare_relay": {"records_per_second": median(report.bare, "records_per_second")} if report.bare else None,
        "peers": rows, "missing": report.missing, "failed": report.failed,
        "stopped": report.stopped}, indent=2)
