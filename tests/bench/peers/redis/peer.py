# SPDX-License-Identifier: Apache-2.0
"""Redis Streams. REDIS_SERVER names an installed server."""
import os
import shutil

from fetch import debian, library_path, made, need, sources
from peer import EACH_SECOND, FSYNC, Missing, Peer, Variant, enter
from programs import Failure, Program, run

SETTINGS = ["--port", "0", "--save", "", "--appendonly", "yes", "--maxmemory", "4gb", "--maxmemory-policy", "noeviction"]
APPEND_FSYNC = {FSYNC: "always", EACH_SECOND: "everysec"}


class ThePeer(Peer):
    name = "redis"

    def prepare(self, cache):
        self.environment = {}
        self.server = os.environ.get("REDIS_SERVER") or shutil.which("redis-server")
        if not self.server:
            root = debian(cache, "redis-server")
            self.server = os.path.join(root, "usr/bin/redis-server")
            self.environment = {"LD_LIBRARY_PATH": library_path(root)}
        try:
            version = run([self.server, "--version"], 60, env={**os.environ, **self.environment}).split("v=")[1].split()[0]
        except Failure as failure:
            raise Missing(str(failure)) from None
        self.program = self.build(cache)
        return "Redis " + version

    @staticmethod
    def build(cache):
        """The client, with the hiredis of Debian's packages, linked into it."""
        need("cc")
        hiredis = os.path.join(debian(cache, "libhiredis-dev"), "usr")
        files = sources("redis/*.c")

        def make(folder):
            library, = sources(os.path.join(hiredis, "lib/*/libhiredis.a"))
            run(["cc", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-o", os.path.join(folder, "client"), *files,
                 "-isystem", os.path.join(hiredis, "include"), library, "-lz", "-pthread"], 300)

        return os.path.join(made(cache, "redis-client", files + sources("redis/*.h"), make), "client")

    def variants(self):
        return [Variant("Redis Streams", what, durability, "at least once", framing,
                        "appendfsync %s, pipelines of %d, XREADGROUP of as many, XACK and XTRIM after each" % (sync, pipeline),
                        options=(("pipeline", pipeline),))
                for durability, sync in APPEND_FSYNC.items()
                for what in ("relay", "keyed_total")
                for framing, pipeline in (("record", 2000), ("batch", 32))]

    def start(self, variant, folder, stack):
        socket = os.path.join(folder, "redis.sock")
        argv = [self.server, "--unixsocket", socket, "--dir", folder, "--appendfsync", APPEND_FSYNC[variant.durability], *SETTINGS]
        server = enter(stack, Program("server", argv, folder, env=self.environment))
        server.wait_until(lambda: os.path.exists(socket))
        return [server], socket

    def client(self, variant, connect, folder):
        return [self.program]
