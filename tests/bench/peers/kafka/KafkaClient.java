// SPDX-License-Identifier: Apache-2.0
package peers;

/** The client of Kafka and Kafka Streams. */
public final class KafkaClient {
  private KafkaClient() {}

  public static void main(String[] arguments) {
    Client.main(arguments, what -> what.equals("relay") ? new KafkaRelay() : new StreamsTotal());
  }
}
