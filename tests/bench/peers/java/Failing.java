// SPDX-License-Identifier: Apache-2.0
package peers;

/** A thread of a pass, whose failure fails the pass instead of leaving it to its deadline. */
public final class Failing {
  public interface Body {
    void run() throws Exception;
  }

  private Failing() {}

  /** Starts `body`; an exception in it is printed and ends the process with 1. */
  public static Thread start(String name, Body body) {
    Thread thread = new Thread(() -> {
      try {
        body.run();
      } catch (Throwable error) {
        error.printStackTrace();
        System.err.flush();
        Runtime.getRuntime().halt(1);
      }
    }, name);
    thread.start();
    return thread;
  }
}
