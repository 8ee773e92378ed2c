# SPDX-License-Identifier: Apache-2.0
"""Every kind of partition, over keys of every type: records come to the shards that tests/golden names, whether the broker
shards what a producer outside sent or a worker what a stage emitted; what suits no shard is refused with a sentence."""
import base64
import json
import os
import shutil
import struct
import subprocess
import tempfile

from weir_run import WEIR, Launcher, check, letters, read_records, status, wait_for

GOLDEN = os.path.join(os.environ["WEIR_SOURCE"], "tests", "golden")
SHARDS = 7
BOUNDARIES = {"numbers": [-2 ** 63, 2 ** 53, 2.0 ** 53 + 2, 2 ** 63 - 1, 2 ** 64 - 1], "texts": ["a", "z", "\uffff"]}


def golden(name):
    with open(os.path.join(GOLDEN, name)) as file:
        return json.load(file)


def json_of(packed):
    """A canonical key as JSON, and what is behind it."""
    tag, rest = packed[0], packed[1:]

    def sized(width):
        size = int.from_bytes(rest[:width], "big")
        return rest[width:width + size], rest[width + size:]

    def items(count, left):
        found = []
        for _ in range(count):
            item, left = json_of(left)
            found.append(item)
        return found, left

    if tag < 0x80:
        return tag, rest
    if tag >= 0xe0:
        return tag - 0x100, rest
    if 0x90 <= tag < 0xa0:
        return items(tag & 15, rest)
    if 0xa0 <= tag < 0xc0:
        return rest[:tag & 31].decode(), rest[tag & 31:]
    if tag in (0xc0, 0xc2, 0xc3):
        return {0xc0: None, 0xc2: False, 0xc3: True}[tag], rest
    if tag in (0xc4, 0xc5, 0xc6):
        body, left = sized(1 << tag - 0xc4)
        return {"$binary": base64.b64encode(body).decode()}, left
    if tag in (0xca, 0xcb):
        width = 4 if tag == 0xca else 8
        return struct.unpack(">f" if width == 4 else ">d", rest[:width])[0], rest[width:]
    if 0xcc <= tag <= 0xcf:
        return int.from_bytes(rest[:1 << tag - 0xcc], "big"), rest[1 << tag - 0xcc:]
    if 0xd0 <= tag <= 0xd3:
        return int.from_bytes(rest[:1 << tag - 0xd0], "big", signed=True), rest[1 << tag - 0xd0:]
    if tag in (0xd9, 0xda, 0xdb):
        body, left = sized(1 << tag - 0xd9)
        return body.decode(), left
    check(tag == 0xdc, "a golden key of a type that this test does not know: %02x" % tag)
    return items(int.from_bytes(rest[:2], "big"), rest[2:])


def wanted():
    """For each kind the golden keys with the shard that each comes to; None: to none. Infinity has no JSON."""
    kinds = {"hash": [], "modulo": [], "numbers": [], "texts": []}
    for vector in golden("keys.json"):
        key = json_of(bytes.fromhex(vector["canonical"]))[0]
        kinds["hash"].append((key, vector["hash_shards"][str(SHARDS)]))
        kinds["modulo"].append((key, vector.get("modulo_shards", {}).get(str(SHARDS))))
    for vector in golden("ranges.json"):
        for kind, boundaries in BOUNDARIES.items():
            if vector["boundaries"] == boundaries:
                kinds[kind] = [(json_of(bytes.fromhex(key))[0], shard) for key, shard in vector["shards"].items()]
    for kind, keys in kinds.items():
        kinds[kind] = [(key, shard) for key, shard in keys if key not in (float("inf"), float("-inf"))]
        check(len(kinds[kind]) > 50, "there are %d golden keys for %s" % (len(kinds[kind]), kind))
    return kinds


def partition(kind):
    if kind in BOUNDARIES:
        return {"partition": {"by": "range", "boundaries": BOUNDARIES[kind]}}
    return {"partition": {"by": kind}, "shards": SHARDS}


def produce(stream, records, code=0, end=True):
    result = subprocess.run([WEIR, "produce", stream, "--data", ".weir/partitions", *(["--end"] if end else [])], text=True,
                            input="".join(json.dumps(record) + "\n" for record in records), capture_output=True, timeout=120)
    check(result.returncode == code, "produce %s of %s ended with %d: %s" % (stream, str(records)[:200], result.returncode, result.stderr))
    return result.stderr


def shards_of(name, count):
    """{value: shard} of what the sink wrote; the values of a test's records differ."""
    found = {}
    for shard in range(count):
        path = "out/%s-%d.jsonl" % (name, shard)
        for record in read_records(path) if os.path.exists(path) else []:
            check(record["value"]["i"] not in found, "%s: record %s came twice" % (name, record))
            found[record["value"]["i"]] = shard
    return found


def run_all(kinds):
    streams, stages = {}, {}
    for kind in kinds:
        # By the broker: the key comes with the record. By a worker: it is a field of the value, so that "key" is in it too.
        streams["sent_" + kind] = {"external": "in", **partition(kind)}
        streams["raw_" + kind] = {"external": "in"}
        streams["field_" + kind] = {"key": "/k", **partition(kind)}
        stages["copy_" + kind] = {"plugin": "filter", "input": "raw_" + kind, "output": "field_" + kind, "workers": 2,
                                  "config": {"where": {"field": "/i", "op": "exists"}}}
        for way in ("sent", "field"):
            name = "%s_%s" % (way, kind)
            stages["write_" + name] = {"plugin": "file.write", "input": name, "workers": 2, "config": {"path": "out/%s-{shard}.jsonl" % name}}
    # A key of two fields, one of which may be missing; by the broker and by a worker.
    pair = {"key": ["/a", "/b/0"], **partition("hash")}
    streams.update({"sent_pair": {"external": "in", **pair}, "raw_pair": {"external": "in"}, "field_pair": pair})
    stages["copy_pair"] = {"plugin": "filter", "input": "raw_pair", "output": "field_pair", "config": {"where": {"field": "/i", "op": "exists"}}}
    for name in ("sent_pair", "field_pair"):
        stages["write_" + name] = {"plugin": "file.write", "input": name, "workers": 2, "config": {"path": "out/%s-{shard}.jsonl" % name}}
    with open("partitions.json", "w") as topology:
        json.dump({"name": "partitions", "http": {"listen": "127.0.0.1:0"}, "streams": streams, "stages": stages}, topology)
    launcher = Launcher("partitions.json", "--hold", log="log.txt")
    wait_for("the broker", lambda: os.path.exists(".weir/partitions/endpoint.json"))
    reasons = {}
    for kind, keys in kinds.items():
        suits = [{"key": key, "value": {"i": i}} for i, (key, shard) in enumerate(keys) if shard is not None]
        bad = [{"key": key, "value": {"i": i}} for i, (key, shard) in enumerate(keys) if shard is None]
        for record in bad:  # each alone, since behind one that is refused nothing is taken
            said = produce("sent_" + kind, [record], code=1, end=False)
            check("line 1: " in said and "the key is no" in said, "%s: %s is refused with %s" % (kind, record, said))
        produce("sent_" + kind, suits)
        produce("raw_" + kind, [{"value": {"i": i, "k": key}} for i, (key, _) in enumerate(keys)])
        reasons[kind] = len(bad)
    whole, halved = {"value": {"i": 0, "a": 1, "b": ["a"]}}, {"value": {"i": 1, "a": 1, "b": []}}
    said = produce("sent_pair", [halved], code=1, end=False)
    check('the value has no field "/b/0"' in said, "a key without one of its fields is refused with " + said)
    produce("sent_pair", [whole])
    produce("raw_pair", [halved, whole])
    wait_for("the end", lambda: (status(".weir/partitions") or {}).get("state") == "finished")
    found = letters("partitions")
    for kind, bad in reasons.items():
        mine = [letter for letter in found if letter["stage"] == "copy_" + kind]
        check(len(mine) == bad and all("the key is no" in letter["reason"] for letter in mine),
              "%s: %d dead letters of %d: %s" % (kind, len(mine), bad, mine[:3]))
    launcher.interrupt()
    mine = [letter["reason"] for letter in found if letter["stage"] == "copy_pair"]
    check(len(mine) == 1 and 'the value has no field "/b/0"' in mine[0], "copy_pair: the dead letters say %s" % mine)
    check(launcher.wait(60) == 0, "it did not end cleanly: " + open("log.txt").read()[-2000:])
    for kind, keys in kinds.items():
        shards = {i: shard for i, (_, shard) in enumerate(keys) if shard is not None}
        for way in ("sent", "field"):
            got = shards_of("%s_%s" % (way, kind), SHARDS)
            wrong = {json.dumps(keys[i][0]): (got.get(i), shards.get(i)) for i in {*got, *shards} if got.get(i) != shards.get(i)}
            check(not wrong, "%s_%s: {key: (shard, golden shard)} is %s" % (way, kind, wrong))
    shard = next(v["hash_shards"][str(SHARDS)] for v in golden("keys.json") if v["canonical"] == "9201a161")  # [1, "a"]
    for name in ("sent_pair", "field_pair"):
        check(shards_of(name, SHARDS) == {0: shard}, "%s: [1, \"a\"] is in %s, not in shard %d" % (name, shards_of(name, SHARDS), shard))
    for kind, keys in kinds.items():
        shards = [shard for _, shard in keys if shard is not None]
        print("%s: %d keys in %d shards, %d refused" % (kind, len(shards), len(set(shards)), reasons[kind]), flush=True)


folder = tempfile.mkdtemp(prefix="weir-partition-")
os.chdir(folder)
run_all(wanted())
shutil.rmtree(folder)
print("ok")
