// SPDX-License-Identifier: Apache-2.0
package peers;

import java.io.IOException;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.typeinfo.TypeHint;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** What both jobs have in common: the environment, the types, a total per key that is emitted at the end of the input. */
final class FlinkJob {
  static final TypeInformation<Tuple2<String, byte[]>> RECORD = TypeInformation.of(new TypeHint<Tuple2<String, byte[]>>() {});

  private FlinkJob() {}

  static StreamExecutionEnvironment environment(Client client) {
    Configuration configuration = new Configuration();
    configuration.setString("state.backend.type", client.option("state"));
    configuration.setString("execution.checkpointing.storage", "filesystem");
    configuration.setString("execution.checkpointing.dir", "file://" + client.option("folder") + "/checkpoints");
    configuration.setString("pipeline.object-reuse", "true");
    configuration.setString("taskmanager.memory.network.max", "256mb");
    configuration.setString("taskmanager.memory.managed.size", "256mb");
    configuration.setString("rest.bind-port", "0");
    configuration.setString("rest.bind-address", "127.0.0.1");
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.createLocalEnvironment(client.number("parallelism"), configuration);
    environment.enableCheckpointing(client.number("checkpoint-ms"), CheckpointingMode.EXACTLY_ONCE);
    return environment;
  }

  static SingleOutputStreamOperator<Tuple2<String, Long>> totals(DataStream<Tuple2<String, byte[]>> records) {
    return records.keyBy(record -> record.f0, Types.STRING).process(new Sum()).returns(Types.TUPLE(Types.STRING, Types.LONG));
  }

  private static final class Sum extends KeyedProcessFunction<String, Tuple2<String, byte[]>, Tuple2<String, Long>> {
    private transient ValueState<Long> total;

    @Override
    public void open(OpenContext context) {
      total = getRuntimeContext().getState(new ValueStateDescriptor<>("total", Types.LONG));
    }

    @Override
    public void processElement(Tuple2<String, byte[]> record, Context context, Collector<Tuple2<String, Long>> out) throws IOException {
      Long before = total.value();
      if (before == null) context.timerService().registerEventTimeTimer(Long.MAX_VALUE);  // when the input has ended
      total.update((before == null ? 0 : before) + Workload.number(record.f1, 0));
    }

    @Override
    public void onTimer(long time, OnTimerContext context, Collector<Tuple2<String, Long>> out) throws IOException {
      out.collect(Tuple2.of(context.getCurrentKey(), total.value()));
    }
  }
}
