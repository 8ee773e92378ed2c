// SPDX-License-Identifier: Apache-2.0
package peers;

import java.time.Duration;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Producer -> topic of one partition -> consumer, which commits its offsets after each poll's effect. */
final class KafkaRelay implements Client.Pass {
  @Override
  public Digest run(String name, Workload workload, Client client) throws Exception {
    KafkaTopics topics = new KafkaTopics(client);
    String topic = name + "-records";
    topics.create(topic, 1);
    Digest digest = new Digest();
    try (KafkaConsumer<byte[], byte[]> consumer = topics.consumer(name, false)) {
      consumer.subscribe(List.of(topic));
      while (consumer.assignment().isEmpty()) consumer.poll(Duration.ofMillis(100));
      client.start();
      Thread source = Failing.start("source", () -> send(topics, topic, workload, client.isBatched()));
      while (digest.records < workload.records) {
        ConsumerRecords<byte[], byte[]> polled = consumer.poll(Duration.ofSeconds(1));
        for (ConsumerRecord<byte[], byte[]> record : polled) take(record, digest, client.isBatched());
        if (!polled.isEmpty()) consumer.commitAsync();
      }
      consumer.commitSync();
      client.end();
      source.join();
    }
    return digest;
  }

  private static void send(KafkaTopics topics, String topic, Workload workload, boolean batched) {
    if (!batched) {
      topics.fill(topic, 1, workload, false);
      return;
    }
    try (KafkaProducer<byte[], byte[]> producer = topics.producer()) {
      for (long i = 0; i < workload.records;) {
        byte[] batch = workload.batch(i);
        i += workload.countIn(batch);
        producer.send(new ProducerRecord<>(topic, batch), KafkaTopics::failed);
      }
      producer.flush();
    }
  }

  private static void take(ConsumerRecord<byte[], byte[]> record, Digest digest, boolean batched) {
    if (batched) {
      Workload.eachFramed(record.value(), (bytes, keyAt, valueAt, valueBytes) -> digest.add(bytes, keyAt, bytes, valueAt, valueBytes));
    } else {
      digest.add(record.key(), record.value());
    }
  }
}
