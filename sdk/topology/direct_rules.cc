// SPDX-License-Identifier: Apache-2.0
// Streams that go from worker to worker: what may be at their ends, and what weakens behind them.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sdk/topology/choices.h"
#include "sdk/topology/names.h"
#include "sdk/topology/rules.h"

namespace weir {
namespace {

class DirectRules {
 public:
  DirectRules(const Draft& draft, Report& report)
      : draft_(draft), streams_(draft.topology.streams), stages_(draft.topology.stages), report_(report) {}

  void check() {
    for (std::uint32_t stream = 0; stream < streams_.size(); ++stream) {
      if (!is_direct(streams_[stream].transport)) continue;
      check_readers(stream);
      if (streams_[stream].transport == Transport::kPubSub) check_last_values(stream);
      if (report_.errors() == 0) warn_behind(stream);
    }
  }

 private:
  [[nodiscard]] std::string word(std::uint32_t stream) const {
    return std::string(word_of(kTransports, streams_[stream].transport));
  }

  [[nodiscard]] const Joint& joint_of(std::uint32_t stage, std::uint32_t stream) const {
    return *std::ranges::find(draft_.stages[stage].inputs, stream, &Joint::stream);
  }

  void check_readers(std::uint32_t stream) {
    const std::vector<std::uint32_t>& readers = draft_.streams[stream].readers;
    if (readers.size() != 1 && streams_[stream].transport != Transport::kPubSub) {
      report_.error(draft_.streams[stream].pointer,
                    fmt::format("a {} stream leads to one stage, but {} read this one; let them read a queue",
                                word(stream), readers.size()));
      return;
    }
    for (const std::uint32_t reader : readers) check_reader(stream, reader);
  }

  void check_reader(std::uint32_t stream, std::uint32_t reader) {
    const Joint& joint = joint_of(reader, stream);
    const auto sink = std::ranges::find_if(
        stages_, [&](const StageSpec& stage) { return stage.host == reader && stage.kind == PluginKind::kSink; });
    if (sink != stages_.end()) {
      report_.error(joint.pointer,
                    fmt::format("sink {} takes whole shards in order, which a {} stream does not have; put a \"queue\" "
                                "stream in front of it",
                                in_quotes(sink->name), word(stream)));
    }
    if (stages_behind(draft_, {reader})[reader]) {
      report_.error(joint.pointer,
                    fmt::format("stage {} is part of a loop, which takes nothing new while it is full, "
                                "and a {} stream keeps nothing; make {} a queue",
                                in_quotes(stages_[reader].name), word(stream), in_quotes(streams_[stream].name)));
    }
  }

  /// What a writer keeps for readers that come later is part of its memory.
  void check_last_values(std::uint32_t stream) {
    for (std::uint32_t stage = 0; stage < stages_.size(); ++stage) {
      const auto writes = [&](const Joint& joint) { return joint.stream == stream; };
      if (std::ranges::none_of(draft_.stages[stage].outputs, writes)) continue;
      const std::uint64_t memory = stages_[stages_[stage].host].memory_bytes;
      if (streams_[stream].last_values_bytes <= memory / 4) continue;
      report_.error(pointer_to(draft_.streams[stream].pointer, "last_values"),
                    fmt::format("is more than a quarter of the \"memory\" of stage {}, which keeps them; raise that, "
                                "or keep less",
                                in_quotes(stages_[stages_[stage].host].name)));
    }
  }

  /// Totals over what may have been lost, or have come twice, say something else than they seem to.
  void warn_behind(std::uint32_t stream) {
    std::vector<bool> reached(stages_.size(), false);
    for (const std::uint32_t reader : draft_.streams[stream].readers) {
      const std::vector<bool> more = stages_behind(draft_, {reader});
      for (std::uint32_t stage = 0; stage < stages_.size(); ++stage) reached[stage] = reached[stage] || more[stage];
    }
    for (std::uint32_t stage = 0; stage < stages_.size(); ++stage) {
      if (!reached[stage] || !stages_[stage].keyed) continue;
      if (streams_[stream].transport == Transport::kPubSub) {
        report_.warning(draft_.stages[stage].pointer,
                        fmt::format("stage {} keeps state of records that came over the pub_sub stream {}: each is in "
                                    "it as often as workers read that stream, and those that a kill loses on the way "
                                    "(weir_stream_lost_records_total) are missing",
                                    in_quotes(stages_[stage].name), in_quotes(streams_[stream].name)));
        continue;
      }
      if (streams_[stream].transport == Transport::kSendReceive) {
        report_.warning(draft_.stages[stage].pointer,
                        fmt::format("stage {} keeps state of records that came over the send_receive stream {}: those "
                                    "that a kill brings again are in it twice",
                                    in_quotes(stages_[stage].name), in_quotes(streams_[stream].name)));
        continue;
      }
      report_.warning(draft_.stages[stage].pointer,
                      fmt::format("stage {} keeps state of records that came over the {} stream {}: those that a kill "
                                  "loses on the way (weir_stream_lost_records_total) are missing in it",
                                  in_quotes(stages_[stage].name), word(stream), in_quotes(streams_[stream].name)));
    }
  }

  const Draft& draft_;
  const std::vector<Stream>& streams_;
  const std::vector<StageSpec>& stages_;
  Report& report_;
};

}  // namespace

void check_direct_streams(const Draft& draft, Report& report) { DirectRules(draft, report).check(); }

}  // namespace weir
