// SPDX-License-Identifier: Apache-2.0
package peers;

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.MessageProperties;
import java.io.IOException;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

/** AMQP 0-9-1 with publisher confirms, so many under way, and manual acknowledgements, several at once. */
final class QuorumQueues implements Queues {
  private static final int ACKED_EVERY = 256;

  private final Connection connection;
  private final int window;

  QuorumQueues(Client client) throws Exception {
    ConnectionFactory factory = new ConnectionFactory();
    factory.setUri("amqp://guest:guest@127.0.0.1:" + client.option("connect").split(":")[0]);
    connection = factory.newConnection();
    window = client.number("window");
  }

  @Override
  public void create(String name) throws Exception {
    try (Channel channel = connection.createChannel()) {
      channel.queueDeclare(name, true, false, false, Map.of("x-queue-type", "quorum"));
    }
  }

  @Override
  public Publisher publisher(String name) throws Exception {
    return new Confirmed(connection.createChannel(), name, window);
  }

  private static final class Confirmed implements Publisher {
    private final Channel channel;
    private final String queue;
    private final int window;
    private long sent;
    private long confirmed;

    Confirmed(Channel channel, String queue, int window) throws Exception {
      this.channel = channel;
      this.queue = queue;
      this.window = window;
      channel.confirmSelect();
      channel.addConfirmListener(this::confirm, (tag, multiple) -> {
        System.err.println("the broker refused a message");
        Runtime.getRuntime().halt(1);
      });
    }

    /** Confirms may come in any order; their number is what counts. */
    private synchronized void confirm(long tag, boolean multiple) {
      confirmed = multiple ? Math.max(confirmed, tag) : confirmed + 1;
      notifyAll();
    }

    private synchronized void await(long most) throws InterruptedException {
      while (sent - confirmed > most) wait();
    }

    @Override
    public void send(byte[] message) throws Exception {
      await(window - 1L);
      synchronized (this) {
        ++sent;
      }
      channel.basicPublish("", queue, MessageProperties.PERSISTENT_BASIC, message);
    }

    @Override
    public void close() throws Exception {
      await(0);
      channel.close();
    }
  }

  @Override
  public void consume(String name, Taker taker) throws Exception {
    CountDownLatch done = new CountDownLatch(1);
    Channel channel = connection.createChannel();
    channel.basicQos(window);
    channel.basicConsume(name, false, new DefaultConsumer(channel) {
      private int taken;

      @Override
      public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties properties, byte[] body) throws IOException {
        boolean ended = false;
        try {
          ended = taker.take(body);
        } catch (Exception error) {
          error.printStackTrace();
          Runtime.getRuntime().halt(1);
        }
        // No more may wait for an acknowledgement than the broker delivers without one.
        if (++taken % Math.min(ACKED_EVERY, Math.max(1, window / 4)) == 0 || ended) channel.basicAck(envelope.getDeliveryTag(), true);
        if (ended) done.countDown();
      }
    });
    done.await();
    channel.close();
  }

  @Override
  public void close() throws IOException {
    connection.close();
  }
}
