// SPDX-License-Identifier: Apache-2.0
package peers;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/** The client of RabbitMQ: producer -> queue -> consumer; for keyed_total the consumer adds up, and sends all totals through a second queue. */
public final class RabbitClient {
  private static final int BATCH_BYTES = 64 * 1024;
  private static final int TOTAL_BYTES = Workload.KEY_BYTES + Long.BYTES;

  private RabbitClient() {}

  public static void main(String[] arguments) {
    Client.main(arguments, what -> what.equals("relay") ? RabbitClient::relay : RabbitClient::keyedTotal);
  }

  private static Digest relay(String name, Workload workload, Client client) throws Exception {
    try (Queues queues = Queues.open(client)) {
      queues.create(name);
      Digest digest = new Digest();
      client.start();
      Thread source = Failing.start("source", () -> produce(queues, name, workload, client.isBatched()));
      queues.consume(name, message -> {
        Workload.eachFramed(message, (bytes, keyAt, valueAt, valueBytes) -> digest.add(bytes, keyAt, bytes, valueAt, valueBytes));
        return digest.records >= workload.records;
      });
      client.end();
      source.join();
      return digest;
    }
  }

  private static Digest keyedTotal(String name, Workload workload, Client client) throws Exception {
    try (Queues queues = Queues.open(client)) {
      String totals = name + "-totals";
      queues.create(name);
      queues.create(totals);
      Digest digest = new Digest();
      client.start();
      Thread source = Failing.start("source", () -> produce(queues, name, workload, client.isBatched()));
      Thread summing = Failing.start("sum", () -> sum(queues, name, totals, workload.records, client.isBatched()));
      queues.consume(totals, message -> {
        for (ByteBuffer at = ByteBuffer.wrap(message); at.remaining() >= TOTAL_BYTES;) {
          byte[] key = new byte[Workload.KEY_BYTES];
          at.get(key);
          digest.addTotal(key, at.getLong());
        }
        return message.length == 1;  // the end
      });
      client.end();
      source.join();
      summing.join();
      return digest;
    }
  }

  private static void produce(Queues queues, String name, Workload workload, boolean batched) throws Exception {
    try (Queues.Publisher publisher = queues.publisher(name)) {
      for (long i = 0; i < workload.records;) {
        byte[] message;
        if (batched) {
          message = workload.batch(i);
          i += workload.countIn(message);
        } else {
          workload.at(i++);
          message = workload.framed();
        }
        publisher.send(message);
      }
    }
  }

  private static void sum(Queues queues, String name, String totals, long records, boolean batched) throws Exception {
    Map<Long, long[]> sums = new HashMap<>();  // a key's eight bytes as a number
    long[] count = {0};
    queues.consume(name, message -> {
      count[0] += Workload.eachFramed(message, (bytes, keyAt, valueAt, valueBytes) ->
          sums.computeIfAbsent(ByteBuffer.wrap(bytes, keyAt, Long.BYTES).getLong(), key -> new long[1])[0] += Workload.number(bytes, valueAt));
      return count[0] >= records;
    });
    try (Queues.Publisher publisher = queues.publisher(totals)) {
      ByteBuffer message = ByteBuffer.allocate(batched ? BATCH_BYTES : TOTAL_BYTES);
      for (Map.Entry<Long, long[]> each : sums.entrySet()) {
        message.putLong(each.getKey()).putLong(each.getValue()[0]);
        if (message.remaining() < TOTAL_BYTES) send(publisher, message);
      }
      if (message.position() > 0) send(publisher, message);
      publisher.send(new byte[1]);
    }
  }

  private static void send(Queues.Publisher publisher, ByteBuffer message) throws Exception {
    publisher.send(Arrays.copyOf(message.array(), message.position()));
    message.clear();
  }
}
