// SPDX-License-Identifier: Apache-2.0
package peers;

/** The client of Flink: its jobs run in a cluster inside this process. */
public final class FlinkClient {
  private FlinkClient() {}

  public static void main(String[] arguments) {
    Client.main(arguments, what -> (name, workload, client) ->
        client.option("source").equals("kafka") ? FlinkKafkaTotal.run(name, workload, client) : FlinkTotal.run(workload, client));
  }
}
