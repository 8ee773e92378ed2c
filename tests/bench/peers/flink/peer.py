# SPDX-License-Identifier: Apache-2.0
"""Flink, its cluster inside the client's process as createLocalEnvironment gives it; FLINK_HOME names an installed one, whose
libraries are taken then. Records come from a source in the process, or through Kafka."""
import os

from fetch import java, need, version_of_jar
from kafka.peer import FLUSH, broker_class_path, java_command, start_broker
from peer import EACH_CHECKPOINT, FSYNC, PAGE_CACHE, Peer, Variant

CLIENT_HEAP = "3g"
# What its own scripts give every process on this Java.
OPENED = [part for package in ("java.lang", "java.util", "java.util.concurrent", "java.time", "java.nio", "java.lang.invoke")
          for part in ("--add-opens", "java.base/%s=ALL-UNNAMED" % package)]
COMMON = "checkpoint each second, exactly once, parallelism 2, objects reused, state %s"


class ThePeer(Peer):
    name = "flink"

    def prepare(self, cache):
        need("java")
        self.broker = java(cache, "kafka", "kafka/pom.xml", ["java/*.java", "kafka/*.java"])
        self.class_path = java(cache, "flink", "flink/pom.xml",
                               ["java/*.java", "kafka/KafkaTopics.java", "kafka/KafkaTotals.java", "flink/*.java"])
        home = os.environ.get("FLINK_HOME")
        if home:
            self.class_path = os.pathsep.join([os.path.join(home, "lib", "*"), self.class_path])
        return "Flink %s, Kafka %s" % (version_of_jar(self.class_path, "flink-dist" if home else "flink-core"), version_of_jar(broker_class_path(self.broker), "kafka-clients"))

    def variants(self):
        found = []
        for state, named in (("hashmap", "on the heap"), ("rocksdb", "in RocksDB")):
            found.append(Variant("Flink, source and sink in process", "keyed_total", EACH_CHECKPOINT, "exactly once", settings=COMMON % named,
                                 note="state " + named,
                                 options=(("source", "process"), ("state", state), ("parallelism", 2), ("checkpoint-ms", 1000))))
        for durability in (FSYNC, PAGE_CACHE):
            found.append(Variant("Flink, from and to Kafka", "keyed_total", durability, "exactly once",
                                 settings=", ".join(filter(None, [FLUSH[durability], COMMON % "on the heap", "4 partitions"])),
                                 options=(("source", "kafka"), ("state", "hashmap"), ("parallelism", 2), ("checkpoint-ms", 1000),
                                          ("partitions", 4), ("batch-size", 256 << 10))))
        return found

    def start(self, variant, folder, stack):
        if variant.option("source") == "process":
            return [], "nothing"
        program, connect = start_broker(broker_class_path(self.broker), variant.durability, folder, stack)
        return [program], connect

    def client(self, variant, connect, folder):
        return [*java_command(self.class_path, CLIENT_HEAP, *OPENED), "peers.FlinkClient"]
