# SPDX-License-Identifier: Apache-2.0
"""The records of `weir bench` (topologies/bench/README.md, "The records") and what must come out of them, computed without
any code of a client."""
import functools
import zlib

MASK = (1 << 64) - 1
PAD = 63  # fills a record of 100 bytes in Weir's batch format


def key_number(index, keys):
    x = (index + 0x9E3779B97F4A7C15) & MASK  # splitmix64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return (x ^ (x >> 31)) % keys


def key_bytes(number):
    return b"k%07d" % number


def value_bytes(number):
    """MessagePack of {"n": number, "pad": "xxx..."}."""
    return b"\x82\xa1n\xcd" + number.to_bytes(2, "big") + b"\xa3pad\xd9" + bytes([PAD]) + b"x" * PAD


def number_of(index):
    return 256 + index % 1000


@functools.lru_cache(maxsize=None)
def expect(what, records, keys):
    """(results, digest) of `relay` or `keyed_total`: how many come out, and the sum, modulo 2^64, of CRC-32 over key and
    value of each. A total's value is its decimal digits."""
    if what == "relay":
        values = [value_bytes(number_of(i)) for i in range(1000)]
        begun = [zlib.crc32(key_bytes(number)) for number in range(keys)]
        digest = sum(zlib.crc32(values[i % 1000], begun[key_number(i, keys)]) for i in range(records))
        return records, digest & MASK
    totals = {}
    for i in range(records):
        number = key_number(i, keys)
        totals[number] = totals.get(number, 0) + number_of(i)
    digest = sum(zlib.crc32(key_bytes(number) + b"%d" % total) for number, total in totals.items())
    return len(totals), digest & MASK
