// SPDX-License-Identifier: Apache-2.0
package peers;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Producer -> topic by key -> Flink, a total per key -> topic, in transactions -> consumer. */
final class FlinkKafkaTotal {
  private FlinkKafkaTotal() {}

  static Digest run(String name, Workload workload, Client client) throws Exception {
    KafkaTopics topics = new KafkaTopics(client);
    String records = name + "-records";
    String totals = name + "-totals";
    int partitions = client.number("partitions");
    topics.create(records, partitions);
    topics.create(totals, 1);
    // The job ends where the input does: behind as many records as each partition will get.
    Map<TopicPartition, Long> ends = new HashMap<>();
    BitSet keys = new BitSet();
    for (long i = 0; i < workload.records; ++i) {
      long key = workload.keyOf(i);
      keys.set((int) key);
      ends.merge(new TopicPartition(records, KafkaTopics.partitionOf(key, partitions)), 1L, Long::sum);
    }
    JobClient job = submit(name, records, totals, ends, client);
    while (job.getJobStatus().get() != JobStatus.RUNNING) Thread.sleep(10);
    client.start();
    Thread source = Failing.start("source", () -> topics.fill(records, partitions, workload, false));
    Failing.start("job", () -> job.getJobExecutionResult().get());
    Digest digest = read(topics, totals, keys.cardinality(), client, job);
    source.join();
    return digest;
  }

  private static JobClient submit(String name, String records, String totals, Map<TopicPartition, Long> ends, Client client)
      throws Exception {
    StreamExecutionEnvironment environment = FlinkJob.environment(client);
    KafkaSource<Tuple2<String, byte[]>> source = KafkaSource.<Tuple2<String, byte[]>>builder()
        .setBootstrapServers(client.option("connect"))
        .setGroupId(name)
        .setPartitions(Set.copyOf(ends.keySet()))
        .setStartingOffsets(OffsetsInitializer.earliest())
        .setBounded(OffsetsInitializer.offsets(ends))
        .setDeserializer(new Records())
        .build();
    KafkaSink<Tuple2<String, Long>> sink = KafkaSink.<Tuple2<String, Long>>builder()
        .setBootstrapServers(client.option("connect"))
        .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .setTransactionalIdPrefix(name)
        .setProperty("transaction.timeout.ms", "600000")  // the broker allows less than the sink asks for
        .setRecordSerializer(new Totals(totals))
        .build();
    FlinkJob.totals(environment.fromSource(source, WatermarkStrategy.noWatermarks(), "records")).sinkTo(sink);
    return environment.executeAsync();
  }

  /** The pass is over with the total of the last key; whatever came after it would be wrong, and is read too. */
  private static Digest read(KafkaTopics topics, String topic, int keys, Client client, JobClient job) throws Exception {
    Digest digest = new Digest();
    TopicPartition partition = new TopicPartition(topic, 0);
    try (KafkaConsumer<byte[], byte[]> consumer = topics.consumer(topic + "-sink", true)) {
      consumer.assign(List.of(partition));
      boolean ended = false;
      for (;;) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
          digest.addTotal(record.key(), ByteBuffer.wrap(record.value()).getLong());
        }
        if (digest.records >= keys && !ended) {
          ended = true;
          client.end();
          job.getJobExecutionResult().get();
        }
        if (ended && consumer.position(partition) >= consumer.endOffsets(List.of(partition)).get(partition)) return digest;
      }
    }
  }

  private static final class Records implements KafkaRecordDeserializationSchema<Tuple2<String, byte[]>> {
    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Tuple2<String, byte[]>> out) {
      out.collect(Tuple2.of(Workload.text(record.key()), record.value()));
    }

    @Override
    public TypeInformation<Tuple2<String, byte[]>> getProducedType() {
      return FlinkJob.RECORD;
    }
  }

  private static final class Totals implements KafkaRecordSerializationSchema<Tuple2<String, Long>> {
    private final String topic;

    Totals(String topic) {
      this.topic = topic;
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(Tuple2<String, Long> total, KafkaSinkContext context, Long timestamp) {
      return new ProducerRecord<>(topic, total.f0.getBytes(StandardCharsets.ISO_8859_1),
          ByteBuffer.allocate(Long.BYTES).putLong(total.f1).array());
    }
  }
}
