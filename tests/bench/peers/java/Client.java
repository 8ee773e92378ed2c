// SPDX-License-Identifier: Apache-2.0
package peers;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;

/**
 * What every client in Java does around its passes (README.md, "A client"): reads the command line, runs one pass to warm up and one
 * that is measured, and tells both. A pass calls start() at its first send and end() after its last effect.
 */
public final class Client {
  /** One way through the peer, with names (of topics, queues) that begin with `name`. */
  public interface Pass {
    Digest run(String name, Workload workload, Client client) throws Exception;
  }

  private final Map<String, String> options = new HashMap<>();
  private boolean measured;
  private long startedNs;
  private long endedNs;

  private Client(String[] arguments) {
    for (int i = 0; i < arguments.length; i += 2) options.put(arguments[i].substring(2), arguments[i + 1]);
  }

  public String option(String name) {
    String value = options.get(name);
    if (value == null) throw new IllegalArgumentException("--" + name + " is missing");
    return value;
  }

  public int number(String name) {
    return Integer.parseInt(option(name));
  }

  public boolean isBatched() {
    return option("framing").equals("batch");
  }

  public void start() {
    if (measured) {
      System.out.println("begin");
      System.out.flush();
    }
    startedNs = System.nanoTime();
  }

  public void end() {
    endedNs = System.nanoTime();
  }

  /** Runs `make(what)` twice and ends the process. */
  public static void main(String[] arguments, Function<String, Pass> make) {
    Client client = new Client(arguments);
    try {
      Pass pass = make.apply(client.option("what"));
      Workload workload = new Workload(
          Long.parseLong(client.option("records")), Long.parseLong(client.option("keys")), client.number("pad"));
      long warmup = Long.parseLong(client.option("warmup"));
      if (warmup > 0) pass.run("warmup", workload.withRecords(warmup), client);
      System.gc();  // what the first pass left is no work of the second
      client.measured = true;
      Digest digest = pass.run("measured", workload, client);
      System.out.printf("{\"seconds\": %.6f, \"results\": %d, \"digest\": \"%s\"}%n",
          (client.endedNs - client.startedNs) / 1e9, digest.records, Long.toUnsignedString(digest.sum));
      System.out.flush();
      while (System.in.read() >= 0) continue;  // until the bench has looked what this process used
      Runtime.getRuntime().halt(0);  // client threads of some peers would linger
    } catch (Throwable error) {
      error.printStackTrace();
      System.err.flush();
      Runtime.getRuntime().halt(1);
    }
  }
}
