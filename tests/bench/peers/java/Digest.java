// SPDX-License-Identifier: Apache-2.0
package peers;

import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;

/** How many results there were, and the sum of CRC-32 over key and value of each; order does not matter. Thread: one. */
public final class Digest {
  private final CRC32 crc = new CRC32();
  public long records;
  public long sum;

  public void add(byte[] key, int keyAt, byte[] value, int valueAt, int valueBytes) {
    crc.reset();
    crc.update(key, keyAt, Workload.KEY_BYTES);
    crc.update(value, valueAt, valueBytes);
    sum += crc.getValue();
    ++records;
  }

  public void add(byte[] key, byte[] value) {
    add(key, 0, value, 0, value.length);
  }

  /** A total goes in as its decimal digits. */
  public void addTotal(byte[] key, long total) {
    add(key, Long.toString(total).getBytes(StandardCharsets.ISO_8859_1));
  }
}
