#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Consumes a stream with "external": "out" for a group and prints JSON records: consume.py DATA_DIR STREAM GROUP"""
import json
import struct
import sys

import msgpack
import zmq

data_dir, stream, group = sys.argv[1:4]
with open(data_dir + "/endpoint.json") as file:
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.connect(json.load(file)["broker"])
socket.setsockopt(zmq.LINGER, 0)


def send(**message):
    socket.send(msgpack.packb(message))


def records(batch):
    """What a batch holds: (key, value, timestamp), headers left out."""
    at = 0
    while at < len(batch):
        key_size, value_size, timestamp = struct.unpack_from("<IIq", batch, at)
        key = at + 16
        value = key + (key_size & 0x7fffffff)
        at = value + value_size
        yield msgpack.unpackb(batch[key:value], strict_map_key=False), msgpack.unpackb(batch[value:at], strict_map_key=False), timestamp
        if key_size >> 31:
            at += 4 + struct.unpack_from("<I", batch, at)[0]


WINDOW_BYTES, WINDOW_RECORDS = 1 << 20, 1 << 16
used_bytes = used_records = number = session = 0
send(op="consume", stream=stream, group=group, version=1)
while True:
    if not socket.poll(1000):
        send(op="ping", session=session)  # so that the broker knows that we are there; it says how much it has sent
        continue
    said = msgpack.unpackb(socket.recv(), strict_map_key=False)
    if said["op"] == "consuming":
        session = said["session"]
        send(op="credit", session=session, bytes=WINDOW_BYTES, records=WINDOW_RECORDS, received=0)
    elif said["op"] == "delivery":
        number += 1
        if said["number"] != number:
            sys.exit("a delivery was lost on the way: run again")
        for shard, epoch, offset, count, batch in said["batches"]:
            for key, value, timestamp in records(batch):
                print(json.dumps({"key": key, "value": value, "timestamp": timestamp}, separators=(",", ":")))
            used_bytes += len(batch)
            used_records += count
        sys.stdout.flush()  # what is acknowledged is done
        send(op="acknowledge", session=session, number=number,
             positions=[[shard, epoch, offset + count] for shard, (epoch, offset, count) in
                        {batch[0]: batch[1:4] for batch in said["batches"]}.items()])
        send(op="credit", session=session, bytes=WINDOW_BYTES + used_bytes, records=WINDOW_RECORDS + used_records, received=number)
    elif said["op"] == "pong" and said["sent"] > number:
        sys.exit("a delivery was lost on the way: run again")
    elif said["op"] == "end":
        break
    elif said["op"] == "refused":
        sys.exit(said["error"])
