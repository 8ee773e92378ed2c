#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes keys.json: how keys of every MessagePack type are brought to their shortest form, hashed and sharded. It shares
no code with Weir, so that clients in other languages can check themselves against the same file.
Needs python3-msgpack and python3-xxhash: make_keys.py > keys.json"""
import json
import math
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

vectors = []
for value in VALUES:
    shortest = canonical(value)
    hashed = xxhash.xxh3_64_intdigest(shortest, seed=0)
    vector = {"forms": [form.hex() for form in forms(value)], "canonical": shortest.hex(), "xxh3_64": "%016x" % hashed,
              "hash_shards": {str(shards): hashed * shards >> 64 for shards in SHARDS}}
    if isinstance(value, int) and not isinstance(value, bool):
        vector["modulo_shards"] = {str(shards): value % shards for shards in SHARDS}
    vectors.append(vector)
print("[\n" + ",\n".join(json.dumps(vector) for vector in vectors) + "\n]")
