# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ: quorum queues and streams. RABBITMQ_SERVER names an installed server's start script, whose Erlang is in PATH."""
import glob
import os
import shutil

from fetch import debian, java, library_path, need
from kafka.peer import java_command
from peer import FSYNC, PAGE_CACHE, Missing, Peer, Variant, enter
from programs import Program, accepts, free_ports

CLIENT_HEAP = "2g"
CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{queues}
stream.listeners.tcp.1 = 127.0.0.1:{streams}
stream.advertised_host = 127.0.0.1
stream.advertised_port = {streams}
vm_memory_high_watermark.absolute = 4GB
"""


class ThePeer(Peer):
    name = "rabbitmq"

    def prepare(self, cache):
        need("java")
        self.class_path = java(cache, "rabbitmq", "rabbitmq/pom.xml", ["java/*.java", "rabbitmq/*.java"])
        given = os.environ.get("RABBITMQ_SERVER") or shutil.which("rabbitmq-server")
        if given:
            self.server, self.erl, self.environment = given, os.path.dirname(need("erl")), {}
        else:
            self.server, self.erl, self.environment = self.unpacked(debian(cache, "rabbitmq-server"))
        return "RabbitMQ " + self.version()

    @staticmethod
    def unpacked(root):
        """Debian's Erlang looks for itself in /usr/lib/erlang: here it is told where it is."""
        erlang = os.path.join(root, "usr/lib/erlang")
        start = os.path.join(erlang, "bin/erl")
        with open(start) as file:
            text = file.read()
        with open(start, "w") as file:
            file.write(text.replace("ROOTDIR=/usr/lib/erlang", "ROOTDIR=" + erlang))
        servers = glob.glob(os.path.join(root, "usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server"))
        if not servers:
            raise Missing("Debian's package rabbitmq-server has no start script where it is looked for")
        return servers[0], os.path.dirname(start), {"LD_LIBRARY_PATH": library_path(root)}

    def version(self):
        """From the name of its folder, which tells without starting Erlang."""
        home = os.path.basename(os.path.dirname(os.path.dirname(os.path.realpath(self.server))))
        return home.rsplit("-", 1)[-1] if "-" in home else "of unknown version"

    def variants(self):
        found = []
        for what in ("relay", "keyed_total"):
            for framing, window, share in (("record", 2000, 0.1), ("batch", 32, 1)):
                found.append(Variant("RabbitMQ quorum queue", what, FSYNC, "at least once", framing,
                                     "one replica, confirms for up to %d under way, prefetch %d, an acknowledgement for many" % (window, window),
                                     share=share, options=(("queue", "quorum"), ("window", window))))
            for framing, window, sub_entry in (("record", 10000, 1), ("record", 10000, 100), ("batch", 64, 1)):
                entries = "entries of %d records" % sub_entry if sub_entry > 1 else "a message an entry"
                found.append(Variant("RabbitMQ stream", what, PAGE_CACHE, "at least once", framing,
                                     "one replica, stream protocol, %s, %d under way, offset stored every 10000" % (entries, window),
                                     "sub-entries" if sub_entry > 1 else "", options=(("queue", "stream"), ("window", window), ("sub-entry", sub_entry))))
        return found

    def start(self, variant, folder, stack):
        queues, streams, mapper, distribution = free_ports(4)
        with open(os.path.join(folder, "rabbitmq.conf"), "w") as file:
            file.write(CONFIGURATION.format(queues=queues, streams=streams))
        with open(os.path.join(folder, "enabled_plugins"), "w") as file:
            file.write("[rabbitmq_stream].")
        environment = {
            **self.environment, "HOME": folder, "PATH": self.erl + os.pathsep + os.environ["PATH"],
            "ERL_EPMD_PORT": str(mapper), "ERL_EPMD_ADDRESS": "127.0.0.1",
            # It becomes its script's process, as it does where it may read input; it may not.
            "RABBITMQ_ALLOW_INPUT": "true", "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_DIST_PORT": str(distribution), "RABBITMQ_NODENAME": "peer@localhost",
            "RABBITMQ_MNESIA_BASE": os.path.join(folder, "mnesia"), "RABBITMQ_LOG_BASE": folder, "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": os.path.join(folder, "rabbitmq.conf"), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": os.path.join(folder, "enabled_plugins"), "RABBITMQ_PID_FILE": os.path.join(folder, "pid")}
        # Its own would go on as a daemon when the server has ended.
        epmd = shutil.which("epmd", path=os.pathsep.join([self.erl, *glob.glob(os.path.join(self.erl, "../erts-*/bin")), os.environ["PATH"]]))
        names = enter(stack, Program("epmd", [epmd, "-address", "127.0.0.1", "-port", mapper], folder, env=environment))
        names.wait_until(lambda: accepts(mapper))
        server = enter(stack, Program("server", [self.server], folder, env=environment))
        server.wait_until(lambda: accepts(queues) and accepts(streams), 120)
        return [server], "%d:%d" % (queues, streams)

    def client(self, variant, connect, folder):
        return [*java_command(self.class_path, CLIENT_HEAP), "peers.RabbitClient"]
