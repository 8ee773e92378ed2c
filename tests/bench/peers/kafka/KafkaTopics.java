// SPDX-License-Identifier: Apache-2.0
package peers;

import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** What the clients of Kafka, Kafka Streams and Flink share: topics, a producer, a consumer. Thread: any. */
public final class KafkaTopics {
  private final String bootstrap;
  private final Client client;

  public KafkaTopics(Client client) {
    this.client = client;
    bootstrap = client.option("connect");
  }

  public void create(String topic, int partitions) throws Exception {
    try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", bootstrap))) {
      admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
    }
  }

  /** acks=all and idempotence are the defaults. */
  public KafkaProducer<byte[], byte[]> producer() {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    properties.put("batch.size", client.option("batch-size"));
    properties.put("linger.ms", "5");
    properties.put("buffer.memory", String.valueOf(64 << 20));
    properties.put("max.request.size", String.valueOf(4 << 20));
    return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
  }

  public KafkaConsumer<byte[], byte[]> consumer(String group, boolean committed) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    properties.put("group.id", group);
    properties.put("auto.offset.reset", "earliest");
    properties.put("enable.auto.commit", "false");
    properties.put("max.poll.records", "10000");
    if (committed) properties.put("isolation.level", "read_committed");
    return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  /** All records of `workload` by key to `partitions` partitions, then to each a record without value as its end. */
  public void fill(String topic, int partitions, Workload workload, boolean marked) {
    try (KafkaProducer<byte[], byte[]> producer = producer()) {
      for (long i = 0; i < workload.records; ++i) {
        int partition = partitionOf(workload.at(i), partitions);
        producer.send(new ProducerRecord<>(topic, partition, workload.key, workload.value), KafkaTopics::failed);
      }
      for (int partition = 0; marked && partition < partitions; ++partition) {
        producer.send(new ProducerRecord<>(topic, partition, endKey(partition), new byte[0]), KafkaTopics::failed);
      }
      producer.flush();
    }
  }

  public static int partitionOf(long key, int partitions) {
    return (int) (key % partitions);
  }

  public static byte[] endKey(int partition) {
    return "end-%04d".formatted(partition).getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
  }

  public static boolean isEnd(byte[] value) {
    return value.length == 0;
  }

  static void failed(Object metadata, Exception error) {
    if (error == null) return;
    error.printStackTrace();
    Runtime.getRuntime().halt(1);
  }
}
