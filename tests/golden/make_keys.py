#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes keys.json (how keys of every MessagePack type are brought to their shortest form, hashed and sharded),
ranges.json (to which shard they come by range), fields.json (keys from fields of the value) and no_keys.json (what is
refused as a key) into its own folder. It shares no code with Weir, so that clients in other languages can check
themselves against the same files.
Needs python3-msgpack and python3-xxhash."""
import bisect
import json
import math
import os
import struct

import msgpack
import xxhash

SHARDS = (1, 7, 32, 1024)


def forms(value):
    """Every MessagePack form of a value that this file knows."""
    if isinstance(value, bool) or value is None:
        return [msgpack.packb(value)]
    if isinstance(value, int):
        found = [msgpack.packb(value)]
        for head, code, low, high in ((0xcc, "B", 0, 0xff), (0xcd, ">H", 0, 0xffff), (0xce, ">I", 0, 0xffffffff),
                                      (0xcf, ">Q", 0, 2 ** 64 - 1), (0xd0, "b", -2 ** 7, 2 ** 7 - 1),
                                      (0xd1, ">h", -2 ** 15, 2 ** 15 - 1), (0xd2, ">i", -2 ** 31, 2 ** 31 - 1),
                                      (0xd3, ">q", -2 ** 63, 2 ** 63 - 1)):
            if low <= value <= high:
                found.append(bytes([head]) + struct.pack(code, value))
        return found
    if isinstance(value, float):
        found = [b"\xcb" + struct.pack(">d", value)]
        if math.isinf(value) or abs(value) < 3e38 and struct.unpack(">f", struct.pack(">f", value))[0] == value:
            found.append(b"\xca" + struct.pack(">f", value))
        return found
    if isinstance(value, (str, bytes)):
        raw = value.encode() if isinstance(value, str) else value
        heads = ((0xd9, "B"), (0xda, ">H"), (0xdb, ">I")) if isinstance(value, str) else ((0xc4, "B"), (0xc5, ">H"), (0xc6, ">I"))
        found = [msgpack.packb(value)]
        for head, code in heads:
            if len(raw) < 256 ** struct.calcsize(code):
                found.append(bytes([head]) + struct.pack(code, len(raw)) + raw)
        return found
    if isinstance(value, list):
        inner = b"".join(forms(item)[-1] for item in value)
        return [msgpack.packb(value), b"\xdc" + struct.pack(">H", len(value)) + inner,
                b"\xdd" + struct.pack(">I", len(value)) + inner]
    raise TypeError(value)


def canonical(value):
    """The shortest form; a float stays a float, of single precision where that loses nothing, and -0.0 becomes 0.0."""
    if isinstance(value, float):
        if math.isnan(value):
            raise ValueError("NaN")
        value = 0.0 if value == 0 else value
        return min(forms(value), key=len)
    if isinstance(value, list):
        head = bytes([0x90 | len(value)]) if len(value) < 16 else b"\xdc" + struct.pack(">H", len(value))
        return head + b"".join(canonical(item) for item in value)
    return min(forms(value), key=len)


INTEGERS = sorted({sign * (2 ** bits + off) for bits in (0, 4, 5, 7, 8, 15, 16, 31, 32, 62) for off in (-1, 0, 1) for sign in (1, -1)}
                  | {2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1, -2 ** 63})
VALUES = [None, False, True, *INTEGERS, 0.0, -0.0, 0.5, 1.0, -1.5, 0.1, 1e300, math.inf, -math.inf,
          "", "a", "weir", "straße", "x" * 31, "x" * 32, "x" * 255, "x" * 256, b"", b"\x00\xff", b"y" * 255, b"y" * 256,
          [], [1, "a"], [None, [True, -0.0]], [7] * 16]



def write(name, vectors):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(vector) for vector in vectors) + "\n]\n")


def keys():
    for value in VALUES:
        shortest = canonical(value)
        hashed = xxhash.xxh3_64_intdigest(shortest, seed=0)
        vector = {"forms": [form.hex() for form in forms(value)], "canonical": shortest.hex(), "xxh3_64": "%016x" % hashed,
                  "hash_shards": {str(shards): hashed * shards >> 64 for shards in SHARDS}}
        if isinstance(value, int) and not isinstance(value, bool):
            vector["modulo_shards"] = {str(shards): value % shards for shards in SHARDS}
        yield vector


# Where a float cannot say what an integer can, and the other way round; Python compares them exactly.
NUMBERS = [*INTEGERS, 0.0, -0.0, 0.5, 1.0, -1.5, 0.1, 1e300, -1e300, 5e-324, math.inf, -math.inf, 2.0 ** 53, 2 ** 53 - 1, 2 ** 53,
           2 ** 53 + 1, 2.0 ** 63, 2.0 ** 64, -2.0 ** 63, 2.0 ** 63 - 1024, 2.0 ** 64 - 2048, 1e16, 10 ** 16 + 1]
TEXTS = ["", "a", "weir", "straße", "x" * 31, "x" * 32, "x" * 255, "x" * 256, "A", "Z", "z", "zz", "\u00e9", "\uffff", "\U0001f30a", "\x00"]
BOUNDARIES = [[0], [-1, 0, 1], [100, 200], [0.5, 2.5], [-2 ** 63, 2 ** 53, 2.0 ** 53 + 2, 2 ** 63 - 1, 2 ** 64 - 1], [1.0, 2 ** 53 + 1],
              [2.0 ** 63, 2.0 ** 64], [-1e300, 1e300], [""], ["m"], ["a", "z", "\uffff"], ["x" * 32, "x" * 255 + "y"]]


def ranges():
    """A boundary is the first key of its shard. Numbers are ordered by value, strings by their UTF-8; what is of the
    other kind, or of neither, comes to no shard (null)."""
    for boundaries in BOUNDARIES:
        texts = isinstance(boundaries[0], str)
        place = [boundary.encode() for boundary in boundaries] if texts else boundaries
        vector = {"boundaries": boundaries, "shards": {}}
        for key in [*NUMBERS, *TEXTS, None, False, True, b"", b"a", [], [1], ["a"]]:
            if isinstance(key, str) and texts:
                shard = bisect.bisect_right(place, key.encode())
            elif isinstance(key, (int, float)) and not isinstance(key, bool) and not texts:
                shard = bisect.bisect_right(place, key)
            else:
                shard = None
            vector["shards"][canonical(key).hex()] = shard
        yield vector


def no_keys():
    """What is refused, with the reason for people."""
    for packed, why in (("cb7ff8000000000000", "NaN"), ("ca7fc00000", "NaN of single precision"), ("cbfff8000000000001", "another NaN"),
                        ("80", "a map"), ("de0000", "a map, written longer"), ("81a16101", "a map with a field"),
                        ("d40100", "an extension"), ("c7000a", "an empty extension"), ("c7010a00", "an extension, written longer"),
                        ("d6ff00000000", "a timestamp of 32 bits"), ("d7ff0000000000000000", "a timestamp of 64 bits"),
                        ("c70cff000000000000000000000000", "a timestamp of 96 bits"), ("91ca7fc00000", "an array with NaN"),
                        ("9180", "an array with a map"), ("91d40100", "an array with an extension"), ("c1", "no MessagePack"),
                        ("", "nothing"), ("0101", "two values"), ("a261", "cut short"), ("9201", "cut short"),
                        ("91" * 40 + "00", "nested deeper than 32")):
        yield {"bytes": packed, "why": why}


VALUE = {"user": {"id": 7, "name": "straße", "score": 1.0}, "tags": ["a", "b", ["c"]], "a/b": 1, "m~n": 2, "": 3, "~1": 4, "0": 5,
         "bin": b"\x00\xff", "nil": None, "flag": True, "big": 2 ** 64 - 1, "low": -2 ** 63, "map": {"x": 1}, "nan": math.nan}


def follow(value, pointer):
    """RFC 6901; KeyError where it leads nowhere."""
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and (step == "0" or step[0] != "0") and int(step) < len(value):
            value = value[int(step)]
        else:
            raise KeyError(step)
    return value


def fields():
    """The canonical key that a stream with "key" takes from a value, by one pointer or by a list; null: it has none."""
    cases = [*["/" + name.replace("~", "~0").replace("/", "~1") for name in VALUE], "/user/id", "/user/name", "/user/score", "/tags/0",
             "/tags/2/0", "/tags/3", "/tags/00", "/tags/-", "/tags/-1", "/tags/x", "/user/ID", "/user/id/x", "/nobody", "/a", "/~01", "",
             ["/user/id"], ["/user/id", "/user/name"], ["/user/name", "/user/id"], ["/user/id", "/user/id"], ["/nil", "/flag", "/tags"],
             ["/user/score", "/low", "/big", "/bin"], ["/user/id", "/nobody"], ["/user/id", "/map"], ["/user/id"] * 16]
    for pointers in cases:
        try:
            key = [follow(VALUE, pointer) for pointer in pointers] if isinstance(pointers, list) else follow(VALUE, pointers)
            key = canonical(key).hex()
        except (KeyError, TypeError, ValueError):
            key = None
        yield {"value": msgpack.packb(VALUE).hex(), "key": pointers, "canonical": key}


write("keys.json", keys())
write("fields.json", fields())
write("ranges.json", ranges())
write("no_keys.json", no_keys())
