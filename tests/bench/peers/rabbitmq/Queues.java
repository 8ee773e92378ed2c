// SPDX-License-Identifier: Apache-2.0
package peers;

/** Quorum queues or streams, as the passes see them. */
interface Queues extends AutoCloseable {
  /** Sends in order. Thread: one. */
  interface Publisher extends AutoCloseable {
    void send(byte[] message) throws Exception;

    /** Returns when the broker has confirmed every message. */
    @Override
    void close() throws Exception;
  }

  /** Takes a message; true when it was the last one. */
  interface Taker {
    boolean take(byte[] message) throws Exception;
  }

  void create(String name) throws Exception;

  Publisher publisher(String name) throws Exception;

  /** Gives every message in order to `taker`, and acknowledges them after that, until it has taken the last one. */
  void consume(String name, Taker taker) throws Exception;

  static Queues open(Client client) throws Exception {
    return client.option("queue").equals("quorum") ? new QuorumQueues(client) : new StreamQueues(client);
  }
}
