# SPDX-License-Identifier: Apache-2.0
"""NATS JetStream. NATS_SERVER names an installed server, which must know `sync_interval: always`."""
import os

from fetch import go_install, go_program
from peer import FSYNC, PAGE_CACHE, Missing, Peer, Variant, enter
from programs import Failure, Program, accepts, free_ports, run

SERVER = ("github.com/nats-io/nats-server/v2", "v2.15.2")
MEMORY = "4GiB"
CONFIGURATION = """\
listen: "127.0.0.1:{port}"
max_payload: 1MB
jetstream {{
  store_dir: "{folder}/store"
  max_memory_store: 1GB
  max_file_store: 64GB
  {durability}
}}
"""
SYNC = {FSYNC: "sync_interval: always", PAGE_CACHE: ""}
NOTES = {"async": "", "atomic": "in atomic batches", "fast": "fast ingest"}
PULLED = "pull consumer, one acknowledgement for 256 messages"
# Framing, publisher, its window, how it is told, share of the records. Without batches each message is a sync of its own.
WAYS = {
    FSYNC: [("record", "async", 4096, "published without waiting, 4096 under way", 0.01),
            ("record", "atomic", 1, "published in atomic batches of 1000", 0.2),
            ("batch", "async", 64, "published without waiting, 64 under way", 1)],
    PAGE_CACHE: [("record", "async", 4096, "published without waiting, 4096 under way", 1),
                 ("record", "fast", 1000, "published by fast ingest, an acknowledgement for 1000", 1),
                 ("batch", "async", 64, "published without waiting, 64 under way", 1)],
}


class ThePeer(Peer):
    name = "nats"

    def prepare(self, cache):
        self.server = os.environ.get("NATS_SERVER") or go_install(cache, *SERVER)
        self.program = go_program(cache, "nats-client", "nats")
        try:
            version = run([self.server, "--version"], 60).split()[-1]
        except Failure as failure:
            raise Missing(str(failure)) from None
        return "NATS JetStream " + version.lstrip("v")

    def variants(self):
        found = []
        for durability, sync in SYNC.items():
            for what in ("relay", "keyed_total"):
                found += [self.variant(what, durability, sync, *ways) for ways in WAYS[durability]]
        return found

    @staticmethod
    def variant(what, durability, sync, framing, publish, pending, named, share):
        settings = ", ".join([sync or "sync_interval as it is, 2 minutes", named, PULLED])
        return Variant("NATS JetStream", what, durability, "at least once", framing, settings, NOTES[publish], share,
                       (("publish", publish), ("pending", pending)))

    def start(self, variant, folder, stack):
        port, = free_ports(1)
        path = os.path.join(folder, "nats.conf")
        with open(path, "w") as file:
            file.write(CONFIGURATION.format(port=port, folder=folder, durability=SYNC[variant.durability]))
        server = enter(stack, Program("server", [self.server, "-c", path], folder, env={"GOMEMLIMIT": MEMORY}))
        server.wait_until(lambda: accepts(port))
        return [server], "nats://127.0.0.1:%d" % port

    def client(self, variant, connect, folder):
        return [self.program]
