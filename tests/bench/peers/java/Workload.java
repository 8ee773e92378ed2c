// SPDX-License-Identifier: Apache-2.0
package peers;

import java.nio.charset.StandardCharsets;

/**
 * The records of `weir bench` (topologies/bench/README.md, "The records"), made by changing bytes of one that is encoded.
 * Thread: one; key and value are written anew by each call of at().
 */
public final class Workload {
  public static final int KEY_BYTES = 8;
  private static final int NUMBER_AT = 4;
  /** Key, length of the value, value. */
  private static final int FRAMED_HEADER_BYTES = KEY_BYTES + 2;
  private static final int BATCH_BYTES = 64 * 1024;

  public final long records;
  public final long keys;
  public final byte[] key = new byte[KEY_BYTES];
  public final byte[] value;

  public Workload(long records, long keys, int pad) {
    if (pad < 32 || pad > 255) throw new IllegalArgumentException("pad must be from 32 to 255, as MessagePack's str 8");
    this.records = records;
    this.keys = keys;
    value = new byte[NUMBER_AT + 2 + 4 + 2 + pad];
    byte[] head = {(byte) 0x82, (byte) 0xa1, 'n', (byte) 0xcd, 0, 0, (byte) 0xa3, 'p', 'a', 'd', (byte) 0xd9, (byte) pad};
    java.util.Arrays.fill(value, (byte) 'x');
    System.arraycopy(head, 0, value, 0, head.length);
    key[0] = 'k';
  }

  public Workload withRecords(long other) {
    return new Workload(other, keys, value.length - NUMBER_AT - 8);
  }

  /** The number of record i's key. */
  public long keyOf(long i) {
    long x = i + 0x9e3779b97f4a7c15L;
    x = (x ^ (x >>> 30)) * 0xbf58476d1ce4e5b9L;
    x = (x ^ (x >>> 27)) * 0x94d049bb133111ebL;
    return Long.remainderUnsigned(x ^ (x >>> 31), keys);
  }

  /** Makes `key` and `value` those of record i, and returns the number of its key. */
  public long at(long i) {
    long number = keyOf(i);
    long rest = number;
    for (int digit = KEY_BYTES - 1; digit > 0; --digit) {
      key[digit] = (byte) ('0' + rest % 10);
      rest /= 10;
    }
    int n = 256 + (int) (i % 1000);
    value[NUMBER_AT] = (byte) (n >> 8);
    value[NUMBER_AT + 1] = (byte) n;
    return number;
  }

  /** The number in a value whose MessagePack begins at `at`. */
  public static int number(byte[] bytes, int at) {
    if (bytes[at + NUMBER_AT - 1] != (byte) 0xcd) throw new IllegalStateException("this is no value of the workload");
    return (bytes[at + NUMBER_AT] & 0xff) << 8 | (bytes[at + NUMBER_AT + 1] & 0xff);
  }

  public static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.ISO_8859_1);
  }

  /** A record as one message for a peer whose messages have no key: key, length of the value, value. */
  public byte[] framed() {
    byte[] message = new byte[FRAMED_HEADER_BYTES + value.length];
    frame(message, 0);
    return message;
  }

  /** Records from `first` on, framed, as many as 64 KiB hold. */
  public byte[] batch(long first) {
    int count = (int) Math.min(records - first, BATCH_BYTES / (FRAMED_HEADER_BYTES + value.length));
    byte[] message = new byte[count * (FRAMED_HEADER_BYTES + value.length)];
    for (int i = 0; i < count; ++i) {
      at(first + i);
      frame(message, i * (FRAMED_HEADER_BYTES + value.length));
    }
    return message;
  }

  /** How many records a message of batch() holds. */
  public int countIn(byte[] batch) {
    return batch.length / (FRAMED_HEADER_BYTES + value.length);
  }

  private void frame(byte[] to, int at) {
    System.arraycopy(key, 0, to, at, KEY_BYTES);
    to[at + KEY_BYTES] = (byte) (value.length >> 8);
    to[at + KEY_BYTES + 1] = (byte) value.length;
    System.arraycopy(value, 0, to, at + FRAMED_HEADER_BYTES, value.length);
  }

  /** What takes framed records, one or many in a message. */
  public interface Taker {
    void take(byte[] message, int keyAt, int valueAt, int valueBytes);
  }

  public static int eachFramed(byte[] message, Taker taker) {
    int count = 0;
    for (int at = 0; at < message.length; ++count) {
      int valueBytes = (message[at + KEY_BYTES] & 0xff) << 8 | (message[at + KEY_BYTES + 1] & 0xff);
      taker.take(message, at, at + FRAMED_HEADER_BYTES, valueBytes);
      at += FRAMED_HEADER_BYTES + valueBytes;
    }
    return count;
  }
}
