// SPDX-License-Identifier: Apache-2.0
// Streams whose boundaries are learned: what does not bear that they move.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "sdk/topology/names.h"
#include "sdk/topology/rules.h"

namespace weir {
namespace {

class LearnedBoundaryRules {
 public:
  LearnedBoundaryRules(const Draft& draft, Report& report)
      : draft_(draft), streams_(draft.topology.streams), stages_(draft.topology.stages), report_(report) {}

  void check() {
    for (std::uint32_t stream = 0; stream < streams_.size(); ++stream) {
      if (!streams_[stream].learns_boundaries) continue;
      check_stream(stream);
      for (const std::uint32_t reader : draft_.streams[stream].readers) check_reader(stream, reader);
    }
  }

 private:
  void check_stream(std::uint32_t stream) {
    const Stream& spec = streams_[stream];
    const std::string name = in_quotes(spec.name);
    const auto refuse = [&](std::string_view field, const std::string& why) {
      report_.error(pointer_to(draft_.streams[stream].pointer, field),
                    fmt::format("the boundaries of stream {} are \"auto\", but {}; write the boundaries down, or leave "
                                "\"{}\" out",
                                name, why, field));
    };
    if (spec.external_out)
      refuse("external", "programs outside read it shard by shard, and would see a key in two of them at once");
    if (spec.loop) refuse("loop", "it closes a loop, in which boundaries stay where they are");
    if (spec.retains())
      refuse("retention", "nothing of it can be replayed: what is kept lies in shards that were other ones then");
  }

  void check_reader(std::uint32_t stream, std::uint32_t reader) {
    const StageDraft& stage = draft_.stages[reader];
    const std::string pointer = std::ranges::find(stage.inputs, stream, &Joint::stream)->pointer;
    const auto refuse = [&](const std::string& why) {
      report_.error(pointer, fmt::format("the boundaries of stream {} are \"auto\", but {}; write the boundaries down, "
                                         "or partition by \"hash\"",
                                         in_quotes(streams_[stream].name), why));
    };
    const std::string name = in_quotes(stages_[reader].name);
    const bool alone = std::ranges::all_of(stage.inputs, [&](const Joint& joint) { return joint.stream == stream; });
    if (!alone) return refuse(fmt::format("stage {} has another input, whose shards would not move with them", name));
    for (const StageSpec& member : stages_) {
      if (member.host != reader || member.then != OnErrorThen::kParkKey) continue;
      return refuse(fmt::format("stage {} parks keys, and what is parked stays in its shard", in_quotes(member.name)));
    }
  }

  const Draft& draft_;
  const std::vector<Stream>& streams_;
  const std::vector<StageSpec>& stages_;
  Report& report_;
};

}  // namespace

void check_learned_boundaries(const Draft& draft, Report& report) { LearnedBoundaryRules(draft, report).check(); }

}  // namespace weir
