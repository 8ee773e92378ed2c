# SPDX-License-Identifier: Apache-2.0
"""Kafka as a queue, and Kafka Streams, on one broker in KRaft mode. KAFKA_HOME names an installed broker."""
import os

from fetch import java, need, version_of_jar
from peer import FSYNC, PAGE_CACHE, Peer, Variant, enter
from programs import Program, accepts, free_ports, run

BROKER_HEAP = "1g"  # the default of its own start script
CLIENT_HEAP = "2g"
BROKER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
log.dirs={folder}/log
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
message.max.bytes=4194304
{durability}
"""
FLUSH = {FSYNC: "log.flush.interval.messages=1", PAGE_CACHE: ""}
# processing.guarantee, how it is called here, commit.interval.ms (0: its default), what tells it apart.
STREAMS = [("exactly_once_v2", "exactly once", 0, ""), ("exactly_once_v2", "exactly once", 1000, "commit each second"),
           ("at_least_once", "at least once", 0, "")]


def java_command(class_path, heap, *more):
    return ["java", "-Xms" + heap, "-Xmx" + heap, "-XX:+UseG1GC", *more, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", class_path]


def start_broker(class_path, durability, folder, stack):
    """A broker alone, ready; returns (Program, "host:port")."""
    broker, controller = free_ports(2)
    properties = os.path.join(folder, "broker.properties")
    with open(properties, "w") as file:
        file.write(BROKER_PROPERTIES.format(broker=broker, controller=controller, folder=folder, durability=FLUSH[durability]))
    command = java_command(class_path, BROKER_HEAP)
    cluster = run([*command, "kafka.tools.StorageTool", "random-uuid"], 60).split()[-1]
    run([*command, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties], 60)
    program = enter(stack, Program("broker", [*command, "kafka.Kafka", properties], folder))
    program.wait_until(lambda: accepts(broker))
    return program, "127.0.0.1:%d" % broker


def broker_class_path(built):
    home = os.environ.get("KAFKA_HOME")
    return os.path.join(home, "libs", "*") if home else built


class ThePeer(Peer):
    name = "kafka"

    def prepare(self, cache):
        need("java")
        self.class_path = java(cache, "kafka", "kafka/pom.xml", ["java/*.java", "kafka/*.java"])
        return "Kafka " + version_of_jar(broker_class_path(self.class_path), "kafka-clients")

    def variants(self):
        found = []
        for durability, flush in ((FSYNC, "log.flush.interval.messages=1, "), (PAGE_CACHE, "")):
            for framing in ("record", "batch"):
                found.append(Variant("Kafka", "relay", durability, "at least once", framing,
                                     flush + "acks=all, batch.size 256 KiB, offsets committed after each poll",
                                     options=(("batch-size", 256 << 10),)))
            found += [self.streams(durability, flush, *way) for way in STREAMS]
        return found

    @staticmethod
    def streams(durability, flush, guarantee, named, commit_ms, note):
        settings = "%s%s, 4 partitions, 2 threads, store in memory with changelog, cache 256 MiB" % (flush, guarantee)
        return Variant("Kafka Streams", "keyed_total", durability, named, settings=settings, note=note, options=(
            ("batch-size", 256 << 10), ("guarantee", guarantee), ("commit-ms", commit_ms), ("partitions", 4), ("threads", 2), ("store", "memory")))

    def start(self, variant, folder, stack):
        program, connect = start_broker(broker_class_path(self.class_path), variant.durability, folder, stack)
        return [program], connect

    def client(self, variant, connect, folder):
        return [*java_command(self.class_path, CLIENT_HEAP), "peers.KafkaClient"]
