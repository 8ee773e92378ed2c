#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Publishes JSON records (one a line: key, value, timestamp) exactly once: produce.py DATA_DIR STREAM NAME < records"""
import json
import sys
import time

import msgpack
import zmq

data_dir, stream, name = sys.argv[1:4]
with open(data_dir + "/endpoint.json") as file:
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.connect(json.load(file)["broker"])
socket.setsockopt(zmq.LINGER, 0)


def ask(**message):
    socket.send(msgpack.packb(message))
    while socket.poll(10_000):  # an answer that is late, or a notice: read on
        reply = msgpack.unpackb(socket.recv())
        if reply["op"] != "refused":
            return reply
        if reply["code"] != "again":
            sys.exit(reply["error"])
        time.sleep(0.05)  # the stream is full
        socket.send(msgpack.packb(message))
    sys.exit("the broker does not answer; run again, what was taken is recognised")


opened = ask(op="open", stream=stream, name=name)
for number, line in enumerate(sys.stdin, start=1):
    if number <= opened["last"]:
        continue  # taken by an earlier run
    record = json.loads(line)
    timestamp = record.get("timestamp") or time.time_ns() // 1000
    reply = ask(op="publish", session=opened["session"], number=number,
                records=[[record.get("key"), record["value"], timestamp, record.get("headers")]])
    while reply["number"] < number:  # acknowledgements are cumulative; this one was for an earlier number
        reply = msgpack.unpackb(socket.recv())
