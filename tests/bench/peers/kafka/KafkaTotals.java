// SPDX-License-Identifier: Apache-2.0
package peers;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;

/** Reads totals of eight bytes from the only partition of a topic, to so many ends. */
public final class KafkaTotals {
  private KafkaTotals() {}

  public static Digest read(KafkaTopics topics, String topic, boolean committed, int ends) {
    Digest digest = new Digest();
    try (KafkaConsumer<byte[], byte[]> consumer = topics.consumer(topic + "-sink", committed)) {
      consumer.subscribe(List.of(topic));
      while (ends > 0) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
          if (KafkaTopics.isEnd(record.value())) {
            --ends;
          } else {
            digest.addTotal(record.key(), ByteBuffer.wrap(record.value()).getLong());
          }
        }
      }
      consumer.commitSync();
    }
    return digest;
  }
}
