// SPDX-License-Identifier: Apache-2.0
package peers;

import java.nio.ByteBuffer;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** Producer -> topic by key -> Kafka Streams, a total per key in a store with a changelog; at the end all totals -> topic -> consumer. */
final class StreamsTotal implements Client.Pass {
  private static final String STORE = "totals";

  @Override
  public Digest run(String name, Workload workload, Client client) throws Exception {
    KafkaTopics topics = new KafkaTopics(client);
    String records = name + "-records";
    String totals = name + "-totals";
    int partitions = client.number("partitions");
    topics.create(records, partitions);
    topics.create(totals, 1);
    CountDownLatch running = new CountDownLatch(1);
    try (KafkaStreams streams = new KafkaStreams(topology(records, totals, client), properties(name, client))) {
      streams.setStateListener((now, before) -> {
        if (now == KafkaStreams.State.RUNNING) running.countDown();
      });
      streams.setUncaughtExceptionHandler(error -> {
        error.printStackTrace();
        Runtime.getRuntime().halt(1);
        return null;
      });
      streams.start();
      running.await();
      client.start();
      Thread source = Failing.start("source", () -> topics.fill(records, partitions, workload, true));
      Digest digest = KafkaTotals.read(topics, totals, isExactlyOnce(client), partitions);
      client.end();
      source.join();
      return digest;
    }
  }

  private static boolean isExactlyOnce(Client client) {
    return client.option("guarantee").equals(StreamsConfig.EXACTLY_ONCE_V2);
  }

  private static Properties properties(String name, Client client) {
    Properties properties = new Properties();
    properties.put("application.id", name);
    properties.put("bootstrap.servers", client.option("connect"));
    properties.put("state.dir", client.option("folder"));
    properties.put("processing.guarantee", client.option("guarantee"));
    properties.put("num.stream.threads", client.option("threads"));
    if (client.number("commit-ms") > 0) properties.put("commit.interval.ms", client.option("commit-ms"));
    properties.put("statestore.cache.max.bytes", String.valueOf(256L << 20));
    properties.put("auto.offset.reset", "earliest");
    return properties;
  }

  private static Topology topology(String records, String totals, Client client) {
    var supplier = client.option("store").equals("rocksdb") ? Stores.persistentKeyValueStore(STORE) : Stores.inMemoryKeyValueStore(STORE);
    Topology topology = new Topology();
    topology.addSource("records", Serdes.ByteArray().deserializer(), Serdes.ByteArray().deserializer(), records);
    topology.addProcessor("sum", Sum::new, "records");
    topology.addStateStore(Stores.keyValueStoreBuilder(supplier, Serdes.Bytes(), Serdes.Long()).withCachingEnabled(), "sum");
    topology.addSink("totals", totals, Serdes.ByteArray().serializer(), Serdes.ByteArray().serializer(), "sum");
    return topology;
  }

  private static final class Sum implements Processor<byte[], byte[], byte[], byte[]> {
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<Bytes, Long> store;

    @Override
    public void init(ProcessorContext<byte[], byte[]> given) {
      context = given;
      store = given.getStateStore(STORE);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      if (KafkaTopics.isEnd(record.value())) {
        emit(record);
        return;
      }
      Bytes key = Bytes.wrap(record.key());
      Long total = store.get(key);
      store.put(key, (total == null ? 0 : total) + Workload.number(record.value(), 0));
    }

    private void emit(Record<byte[], byte[]> end) {
      try (KeyValueIterator<Bytes, Long> all = store.all()) {
        while (all.hasNext()) {
          KeyValue<Bytes, Long> each = all.next();
          context.forward(end.withKey(each.key.get()).withValue(ByteBuffer.allocate(Long.BYTES).putLong(each.value).array()));
        }
      }
      context.forward(end);
    }
  }
}
