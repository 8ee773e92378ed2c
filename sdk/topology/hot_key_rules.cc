// SPDX-License-Identifier: Apache-2.0
// Streams whose hot keys are split: who may read them, and what weakens behind them.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sdk/topology/names.h"
#include "sdk/topology/rules.h"

namespace weir {
namespace {

class HotKeyRules {
 public:
  HotKeyRules(const Draft& draft, Report& report)
      : draft_(draft), streams_(draft.topology.streams), stages_(draft.topology.stages), report_(report) {}

  void check() {
    for (std::uint32_t stream = 0; stream < streams_.size(); ++stream) {
      if (streams_[stream].hot_keys != HotKeys::kSplit) continue;
      check_stream(stream);
      for (const std::uint32_t reader : draft_.streams[stream].readers) check_reader(stream, reader);
      if (report_.errors() != 0) continue;
      for (const std::uint32_t reader : draft_.streams[stream].readers) warn(stream, reader);
    }
  }

 private:
  [[nodiscard]] std::string hot_keys_of(std::uint32_t stream) const {
    return pointer_to(pointer_to(draft_.streams[stream].pointer, "partition"), "hot_keys");
  }

  void check_stream(std::uint32_t stream) {
    if (streams_[stream].external_out) {
      report_.error(hot_keys_of(stream),
                    fmt::format("programs outside read stream {}, and would not be given the records of hot keys; let "
                                "them read another stream, or leave \"hot_keys\" out",
                                in_quotes(streams_[stream].name)));
    }
    if (streams_[stream].loop) {
      report_.error(hot_keys_of(stream), fmt::format("stream {} closes a loop, whose keys cannot be split; leave "
                                                     "\"hot_keys\" out",
                                                     in_quotes(streams_[stream].name)));
    }
  }

  void check_reader(std::uint32_t stream, std::uint32_t reader) {
    const StageDraft& stage = draft_.stages[reader];
    const std::string name = in_quotes(stages_[reader].name);
    const std::string pointer = std::ranges::find(stage.inputs, stream, &Joint::stream)->pointer;
    const auto refuse = [&](const std::string& why) {
      report_.error(pointer, fmt::format("the hot keys of stream {} are split, but {}; leave its \"hot_keys\" out",
                                         in_quotes(streams_[stream].name), why));
    };
    if (stage.plugin == nullptr) return;
    if (!stage.plugin->mergeable)
      return refuse(fmt::format("plugin {} cannot merge partial results (`weir plugins --json` says which can)",
                                in_quotes(stages_[reader].plugin)));
    if (stage.order_sensitive)
      return refuse(fmt::format("the result of stage {} depends on the order of a key's records", name));
    if (stage.plugin->on_watermark)
      return refuse(fmt::format("plugin {} waits for event time (on_watermark), behind which partial results come in",
                                in_quotes(stages_[reader].plugin)));
    if (stages_[reader].then == OnErrorThen::kParkKey)
      return refuse(fmt::format("stage {} parks keys, which have to be at one place", name));
    if (stages_behind(draft_, {reader})[reader]) return refuse(fmt::format("stage {} is part of a loop", name));
  }

  void warn(std::uint32_t stream, std::uint32_t reader) {
    const std::string name = in_quotes(streams_[stream].name);
    if (std::max(stages_[reader].workers, stages_[reader].workers_max) == 1) {
      report_.warning(hot_keys_of(stream),
                      fmt::format("stage {} has one worker, among which nothing can be shared out: splitting the hot "
                                  "keys of {} costs time and brings nothing",
                                  in_quotes(stages_[reader].name), name));
    }
    const std::vector<bool> reached = stages_behind(draft_, {reader});
    for (std::uint32_t stage = 0; stage < stages_.size(); ++stage) {
      if (!reached[stage] || draft_.stages[stage].plugin == nullptr || !draft_.stages[stage].plugin->on_watermark)
        continue;
      report_.warning(
          draft_.stages[stage].pointer,
          fmt::format("stage {} waits for event time, and what stage {} emits of the hot keys of {} may come "
                      "behind it, as late records",
                      in_quotes(stages_[stage].name), in_quotes(stages_[reader].name), name));
    }
  }

  const Draft& draft_;
  const std::vector<Stream>& streams_;
  const std::vector<StageSpec>& stages_;
  Report& report_;
};

}  // namespace

void check_hot_keys(const Draft& draft, Report& report) { HotKeyRules(draft, report).check(); }

}  // namespace weir
