// SPDX-License-Identifier: Apache-2.0
package peers;

import com.rabbitmq.stream.ByteCapacity;
import com.rabbitmq.stream.Consumer;
import com.rabbitmq.stream.Environment;
import com.rabbitmq.stream.OffsetSpecification;
import com.rabbitmq.stream.Producer;
import com.rabbitmq.stream.codec.SimpleCodec;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;

/** The stream protocol with confirms; the consumer stores its offset now and then, and at the end. */
final class StreamQueues implements Queues {
  private static final int STORED_EVERY = 10_000;  // messages, as its documentation has it

  private final Environment environment;
  private final int window;
  private final int subEntrySize;

  StreamQueues(Client client) {
    environment = Environment.builder().host("127.0.0.1").port(Integer.parseInt(client.option("connect").split(":")[1]))
        .codec(new SimpleCodec()).build();
    window = client.number("window");
    subEntrySize = client.number("sub-entry");
  }

  @Override
  public void create(String name) {
    environment.streamCreator().stream(name).maxLengthBytes(ByteCapacity.GB(20)).create();
  }

  @Override
  public Publisher publisher(String name) {
    Producer producer = environment.producerBuilder().stream(name).maxUnconfirmedMessages(window).subEntrySize(subEntrySize)
        .enqueueTimeout(Duration.ZERO).confirmTimeout(Duration.ZERO).build();
    return new Confirmed(producer);
  }

  private static final class Confirmed implements Publisher {
    private final Producer producer;
    private long sent;
    private long confirmed;

    Confirmed(Producer producer) {
      this.producer = producer;
    }

    private synchronized void confirm(boolean well) {
      if (!well) {
        System.err.println("the broker refused a message");
        Runtime.getRuntime().halt(1);
      }
      ++confirmed;
      notifyAll();
    }

    @Override
    public void send(byte[] message) {
      ++sent;  // the producer itself bounds how many are under way
      producer.send(producer.messageBuilder().addData(message).build(), status -> confirm(status.isConfirmed()));
    }

    @Override
    public void close() throws Exception {
      synchronized (this) {
        while (confirmed < sent) wait();
      }
      producer.close();
    }
  }

  @Override
  public void consume(String name, Taker taker) throws Exception {
    CountDownLatch done = new CountDownLatch(1);
    int[] taken = {0};
    Consumer consumer = environment.consumerBuilder().stream(name).name("consumer").offset(OffsetSpecification.first())
        .manualTrackingStrategy().builder()
        .messageHandler((context, message) -> {
          boolean ended = false;
          try {
            ended = taker.take(message.getBodyAsBinary());
          } catch (Exception error) {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
          }
          if (++taken[0] % STORED_EVERY == 0 || ended) context.storeOffset();
          if (ended) done.countDown();
        }).build();
    done.await();
    consumer.close();
  }

  @Override
  public void close() {
    environment.close();
  }
}
