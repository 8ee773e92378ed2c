// SPDX-License-Identifier: Apache-2.0
package peers;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** A source in the process that can begin anew where a checkpoint left it -> a total per key -> a sink in the process. */
final class FlinkTotal {
  /** The pass under way; the tasks run in this process and find it here, since their objects are copies. */
  private static volatile Client client;
  private static Digest digest;

  private FlinkTotal() {}

  static Digest run(Workload workload, Client given) throws Exception {
    client = given;
    digest = new Digest();
    StreamExecutionEnvironment environment = FlinkJob.environment(given);
    var source = new DataGeneratorSource<>(
        new Records(workload.records, workload.keys, given.number("pad")), workload.records, FlinkJob.RECORD);
    FlinkJob.totals(environment.fromSource(source, WatermarkStrategy.noWatermarks(), "records")).sinkTo(new Totals());
    environment.execute();
    return digest;
  }

  private static final class Records implements GeneratorFunction<Long, Tuple2<String, byte[]>> {
    private final long records;
    private final long keys;
    private final int pad;
    private transient Workload workload;

    Records(long records, long keys, int pad) {
      this.records = records;
      this.keys = keys;
      this.pad = pad;
    }

    @Override
    public void open(SourceReaderContext context) {
      workload = new Workload(records, keys, pad);
    }

    @Override
    public Tuple2<String, byte[]> map(Long i) {
      if (i == 0) client.start();
      workload.at(i);
      return Tuple2.of(Workload.text(workload.key), workload.value.clone());
    }
  }

  private static final class Totals implements Sink<Tuple2<String, Long>> {
    @Override
    public SinkWriter<Tuple2<String, Long>> createWriter(WriterInitContext context) {
      return new Writer();
    }
  }

  private static final class Writer implements SinkWriter<Tuple2<String, Long>> {
    @Override
    public void write(Tuple2<String, Long> total, Context context) {
      synchronized (FlinkTotal.class) {
        digest.addTotal(total.f0.getBytes(StandardCharsets.ISO_8859_1), total.f1);
      }
    }

    @Override
    public void flush(boolean ended) {
      synchronized (FlinkTotal.class) {
        client.end();  // of several writers and flushes the last one counts
      }
    }

    @Override
    public void close() {}
  }
}
