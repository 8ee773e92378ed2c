// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sdk/topology/choices.h"
#include "sdk/topology/names.h"

namespace weir {
namespace {

std::string workers_text(const StageSpec& stage) {
  if (stage.workers_max == 0) return std::to_string(stage.workers);
  return fmt::format("{} to {}", stage.workers, stage.workers_max);
}

/// Checks one draft; each rule is one function.
class Rules {
 public:
  Rules(Draft& draft, Report& report)
      : draft_(draft), streams_(draft.topology.streams), stages_(draft.topology.stages), report_(report) {}

  void check() {
    check_ends();
    check_ports();
    check_cycles();
    check_loops();
    check_fused_streams();
    find_hosts();
    for (std::uint32_t i = 0; i < stages_.size(); ++i) {
      check_keyed(i);
      check_agreement(i);
      check_sharing(i);
      check_following(i);
    }
    check_fused_sinks();
    check_stores();
    if (report_.errors() == 0) check_direct_streams(draft_, report_);
    if (report_.errors() == 0) check_hot_keys(draft_, report_);
    if (report_.errors() == 0) check_learned_boundaries(draft_, report_);
  }

 private:
  [[nodiscard]] bool is_fused(std::uint32_t stream) const { return streams_[stream].transport == Transport::kFused; }
  [[nodiscard]] bool is_keyed(std::uint32_t stream) const { return streams_[stream].partition != PartitionBy::kNone; }

  [[nodiscard]] std::string names_of(const std::vector<std::uint32_t>& stages) const {
    std::vector<std::string_view> names;
    names.reserve(stages.size());
    for (const std::uint32_t stage : stages) names.push_back(stages_[stage].name);
    return fmt::format("{}", fmt::join(names, ", "));
  }

  /// Every stream comes from somewhere and leads somewhere.
  void check_ends() {
    if (stages_.empty()) return;
    for (std::size_t i = 0; i < streams_.size(); ++i) {
      const StreamDraft& stream = draft_.streams[i];
      if (stream.writers.empty() && !stream.meant_as_output && !streams_[i].external_in) {
        report_.error(stream.pointer, fmt::format("no stage writes stream {}; make it the output of one, or write "
                                                  "\"external\": \"in\" if its records come from outside",
                                                  in_quotes(streams_[i].name)));
      }
      if (stream.readers.empty() && !stream.meant_as_input && !streams_[i].external_out) {
        report_.error(stream.pointer, fmt::format("no stage reads stream {}; make it the input of one, or write "
                                                  "\"external\": \"out\" if programs outside read it",
                                                  in_quotes(streams_[i].name)));
      }
    }
  }

  /// Every port that a plugin has is bound.
  void check_ports() {
    for (std::size_t i = 0; i < stages_.size(); ++i) {
      const StageDraft& stage = draft_.stages[i];
      if (stage.plugin == nullptr || !stage.joints_known) continue;
      check_side(stage, stage.plugin->inputs, stage.inputs, "input", "in");
      check_side(stage, stage.plugin->outputs, stage.outputs, "output", "out");
    }
  }
  void check_side(const StageDraft& stage, const std::vector<std::string>& ports, const std::vector<Joint>& joints,
                  const std::string& side, std::string_view usual) {
    for (const std::string& port : ports) {
      if (std::ranges::find(joints, port, &Joint::port) != joints.end()) continue;
      const bool short_form = port == usual && ports.size() == 1;
      report_.error(pointer_to(stage.pointer, side),
                    fmt::format("port {} of plugin {} is joined to no stream; write {}", in_quotes(port),
                                in_quotes(stage.plugin->name),
                                short_form ? fmt::format("\"{}\": \"STREAM\"", side)
                                           : fmt::format("\"{}s\": {{\"{}\": \"STREAM\"}}", side, port)));
    }
  }

  /// No stage feeds itself but over a "loop" stream. Each stream that closes a cycle is named; the search is iterative,
  /// since a file may hold a chain as long as it likes.
  void check_cycles() {
    enum class Seen { kNot, kOnPath, kDone };
    struct Step {
      std::uint32_t stage;
      std::size_t output = 0;
      std::size_t reader = 0;
    };
    std::vector<Seen> seen(stages_.size(), Seen::kNot);
    for (std::uint32_t start = 0; start < stages_.size(); ++start) {
      if (seen[start] != Seen::kNot) continue;
      std::vector<Step> path = {{start}};
      seen[start] = Seen::kOnPath;
      while (!path.empty()) {
        Step& at = path.back();
        const std::vector<Joint>& outputs = draft_.stages[at.stage].outputs;
        if (at.output == outputs.size()) {
          seen[at.stage] = Seen::kDone;
          path.pop_back();
          continue;
        }
        const std::uint32_t stream = outputs[at.output].stream;
        const std::vector<std::uint32_t>& readers = draft_.streams[stream].readers;
        if (streams_[stream].loop || at.reader == readers.size()) {
          ++at.output;
          at.reader = 0;
          continue;
        }
        const std::uint32_t next = readers[at.reader++];
        if (seen[next] == Seen::kNot) {
          seen[next] = Seen::kOnPath;
          path.push_back({next});
        } else if (seen[next] == Seen::kOnPath) {
          std::vector<std::uint32_t> cycle;
          const auto first = std::ranges::find(path, next, &Step::stage);
          for (auto step = first; step != path.end(); ++step) cycle.push_back(step->stage);
          has_cycle_ = true;
          report_.error(
              draft_.streams[stream].pointer,
              fmt::format("stream {} closes a cycle of the stages {}; if its records are to come round again, "
                          "write \"loop\": true",
                          in_quotes(streams_[stream].name), names_of(cycle)));
        }
      }
    }
  }

  /// A "loop" stream leads back to a stage before it, and what goes round does so before the loop has ended.
  void check_loops() {
    for (std::uint32_t i = 0; i < streams_.size(); ++i) {
      if (!streams_[i].loop || draft_.streams[i].readers.empty() || draft_.streams[i].writers.empty()) continue;
      const std::vector<bool> reached = stages_behind(draft_, draft_.streams[i].readers);
      const auto closes = [&](std::uint32_t writer) { return reached[writer]; };
      if (std::ranges::none_of(draft_.streams[i].writers, closes)) {
        report_.error(pointer_to(draft_.streams[i].pointer, "loop"),
                      fmt::format("stream {} closes no cycle: nothing that its readers emit comes back to {}",
                                  in_quotes(streams_[i].name), names_of(draft_.streams[i].writers)));
        continue;
      }
      for (const std::uint32_t stage : draft_.streams[i].writers) {
        if (!draft_.stages[stage].final || !reached[stage]) continue;
        report_.error(pointer_to(draft_.stages[stage].pointer, "config"),
                      fmt::format("stage {} emits when its input has ended, but the loop over stream {} ends only when "
                                  "nothing goes round any more",
                                  in_quotes(stages_[stage].name), in_quotes(streams_[i].name)));
      }
    }
  }

  /// A chain of fused streams is a line: each joins one stage to one other.
  void check_fused_streams() {
    for (std::uint32_t i = 0; i < streams_.size(); ++i) {
      const StreamDraft& stream = draft_.streams[i];
      if (!is_fused(i)) continue;
      if (stream.writers.size() > 1) {
        report_.error(stream.pointer, fmt::format("a fused stream joins one stage to one other, but {} write this one",
                                                  names_of(stream.writers)));
      }
      if (stream.readers.size() > 1) {
        report_.error(stream.pointer, fmt::format("a fused stream joins one stage to one other, but {} read this one",
                                                  names_of(stream.readers)));
      }
      if (stream.writers.size() == 1 && stream.readers.size() == 1) {
        const StageSpec& writer = stages_[stream.writers.front()];
        const StageSpec& reader = stages_[stream.readers.front()];
        if (writer.workers != reader.workers || writer.workers_max != reader.workers_max) {
          report_.error(pointer_to(draft_.stages[stream.readers.front()].pointer, "workers"),
                        fmt::format("stages {} and {} are one worker, since stream {} is fused, but ask for {} and {} "
                                    "workers; give both the same number",
                                    in_quotes(writer.name), in_quotes(reader.name), in_quotes(streams_[i].name),
                                    workers_text(writer), workers_text(reader)));
        }
      }
    }
    for (const StageDraft& stage : draft_.stages) {
      const auto fused = [&](const Joint& joint) { return is_fused(joint.stream); };
      const auto input = std::ranges::find_if(stage.inputs, fused);
      if (input != stage.inputs.end() && stage.inputs.size() > 1)
        report_.error(input->pointer, "a stage behind a fused stream takes no other input");
      const auto output = std::ranges::find_if(stage.outputs, fused);
      if (output == stage.outputs.end()) continue;
      if (const auto second = std::find_if(output + 1, stage.outputs.end(), fused); second != stage.outputs.end()) {
        report_.error(second->pointer, fmt::format("a stage has one fused output at most; stream {} is fused already",
                                                   in_quotes(streams_[output->stream].name)));
      }
    }
  }

  /// The stage before `stage` in its chain; null if it is fused to none.
  [[nodiscard]] const std::uint32_t* before(std::uint32_t stage) const {
    for (const Joint& joint : draft_.stages[stage].inputs) {
      const std::vector<std::uint32_t>& writers = draft_.streams[joint.stream].writers;
      if (is_fused(joint.stream) && !writers.empty()) return &writers.front();
    }
    return nullptr;
  }

  void find_hosts() {
    if (has_cycle_) return;
    for (std::uint32_t i = 0; i < stages_.size(); ++i) {
      std::uint32_t head = i;
      while (const std::uint32_t* previous = before(head)) head = *previous;
      stages_[i].host = head;
    }
  }

  /// Where a sink stands is told with the first state of a shard, before what lies on disk is known.
  void check_stores() {
    if (report_.errors() != 0) return;
    for (std::uint32_t i = 0; i < stages_.size(); ++i) {
      if (stages_[i].store != Store::kRocksDb) continue;
      const auto sink = std::ranges::find_if(stages_, [&](const StageSpec& stage) {
        return stage.host == stages_[i].host && stage.kind == PluginKind::kSink;
      });
      if (sink == stages_.end()) continue;
      report_.error(pointer_to(draft_.stages[i].pointer, "state"),
                    fmt::format("a \"rocksdb\" store cannot be in one worker with the sink {}; put a \"queue\" stream "
                                "between them",
                                in_quotes(sink->name)));
    }
  }

  /// A sink sees only what is durable, so that a target outside never has what a crash takes back.
  void check_fused_sinks() {
    if (report_.errors() != 0) return;
    for (std::uint32_t i = 0; i < stages_.size(); ++i) {
      const StageSpec& head = stages_[stages_[i].host];
      if (stages_[i].kind != PluginKind::kSink || stages_[i].host == i || head.kind != PluginKind::kSource) continue;
      report_.error(
          draft_.stages[i].pointer,
          "a sink sees only records that are durable, and a source's become so in a \"queue\" stream; put one "
          "between them");
    }
  }

  /// State per key needs all records of a key at one place, and so does what parks keys.
  void check_keyed(std::uint32_t index) {
    if (has_cycle_) return;
    const StageSpec& stage = stages_[index];
    if (stage.keyed) {
      check_keyed(index, fmt::format("plugin {} keeps state per key", in_quotes(stage.plugin)));
    } else if (stage.then == OnErrorThen::kParkKey) {
      check_keyed(index, fmt::format("\"park_key\" of stage {} keeps records per key", in_quotes(stage.name)));
    }
  }
  void check_keyed(std::uint32_t index, const std::string& need) {
    for (const Joint& joint : draft_.stages[index].inputs) {
      if (is_fused(joint.stream)) {
        check_keyed_in_chain(index, joint, need);
      } else if (is_direct(streams_[joint.stream].transport)) {
        report_.error(joint.pointer,
                      fmt::format("{}, but a {} stream is not keyed; make {} a queue with \"partition\": {{\"by\": "
                                  "\"hash\"}}",
                                  need, word_of(kTransports, streams_[joint.stream].transport),
                                  in_quotes(streams_[joint.stream].name)));
      } else if (!is_keyed(joint.stream) && draft_.streams[joint.stream].partition_known) {
        report_.error(joint.pointer,
                      fmt::format("{}, but stream {} is not keyed; give it \"partition\": {{\"by\": \"hash\"}}", need,
                                  in_quotes(streams_[joint.stream].name)));
      }
    }
  }
  void check_keyed_in_chain(std::uint32_t index, const Joint& joint, const std::string& need) {
    const auto refuse = [&](const std::string& why) {
      report_.error(joint.pointer, fmt::format("{} behind a fused stream, but {}", need, why));
    };
    for (const std::uint32_t* stage = before(index); stage != nullptr; stage = before(*stage)) {
      const StageDraft& draft = draft_.stages[*stage];
      if (draft.plugin == nullptr) return;
      const std::string name = in_quotes(stages_[*stage].name);
      const bool is_source = stages_[*stage].kind == PluginKind::kSource;
      if (!is_source && !stages_[*stage].key_preserving)
        return refuse(fmt::format("stage {} before it does not keep the key", name));
      if (before(*stage) != nullptr) continue;
      const bool keyed = std::ranges::all_of(draft.inputs, [&](const Joint& input) {
        return is_keyed(input.stream) || !draft_.streams[input.stream].partition_known;
      });
      if (is_source) return refuse(fmt::format("the chain begins with the source {}, not with a keyed stream", name));
      if (!keyed) return refuse(fmt::format("the chain begins with {}, whose input is not keyed", name));
    }
  }

  /// Shard i of both takes the same keys.
  [[nodiscard]] bool agree(const Stream& a, const Stream& b) const {
    if (a.partition != b.partition) return false;
    if (a.partition == PartitionBy::kNone) return true;
    return a.shards == b.shards && !a.learns_boundaries && !b.learns_boundaries &&
           std::ranges::equal(a.boundaries, b.boundaries, [](const auto& x, const auto& y) {
             return compare(ordinal_of(x), ordinal_of(y)) == std::weak_ordering::equivalent;
           });
  }

  [[nodiscard]] static std::string boundaries(const Stream& stream) {
    constexpr std::size_t kShown = 8;
    std::vector<std::string> shown;
    for (const Boundary& boundary : stream.boundaries) {
      if (shown.size() == kShown) {
        shown.emplace_back("...");
        break;
      }
      shown.push_back(to_json_text(boundary));
    }
    if (stream.learns_boundaries) return " that it learns";
    return shown.empty() ? "" : fmt::format(" at [{}]", fmt::join(shown, ", "));
  }

  [[nodiscard]] std::string partitioning(std::uint32_t stream) const {
    return fmt::format("{} is partitioned by {} into {} shard{}", in_quotes(streams_[stream].name),
                       word_of(kPartitions, streams_[stream].partition), streams_[stream].shards,
                       streams_[stream].shards == 1 ? "" : "s") +
           boundaries(streams_[stream]);
  }

  /// Shard i of all inputs is one lease, so they must mean the same keys by it.
  void check_agreement(std::uint32_t index) {
    const std::vector<Joint>& inputs = draft_.stages[index].inputs;
    for (std::size_t k = 1; k < inputs.size(); ++k) {
      const std::uint32_t a = inputs.front().stream;
      const std::uint32_t b = inputs[k].stream;
      if (is_fused(a) || is_fused(b) || !draft_.streams[a].partition_known || !draft_.streams[b].partition_known)
        continue;
      if (stages_[index].keyed && (!is_keyed(a) || !is_keyed(b))) continue;  // said already
      if (agree(streams_[a], streams_[b])) continue;
      const bool learn = streams_[a].learns_boundaries || streams_[b].learns_boundaries;
      report_.error(
          inputs[k].pointer,
          fmt::format("the inputs of a stage must agree: {}, {}{}", partitioning(a), partitioning(b),
                      learn ? "; what learns its boundaries is the only input of each stage that reads it" : ""));
    }
  }

  /// A number of workers follows what waits, and only the broker knows that.
  void check_following(std::uint32_t index) {
    const StageDraft& stage = draft_.stages[index];
    if (stages_[index].workers_max == 0 || stage.inputs.empty()) return;
    const bool direct = std::ranges::all_of(
        stage.inputs, [&](const Joint& joint) { return is_direct(streams_[joint.stream].transport); });
    if (!direct) return;
    report_.error(pointer_to(stage.pointer, "workers"),
                  "a stage that is sent records past the broker has no backlog that its workers could follow; give "
                  "their number");
  }

  /// Several workers of a sink need a target that can be shared.
  void check_sharing(std::uint32_t index) {
    const StageSpec& stage = stages_[index];
    const std::uint32_t most = std::max(stage.workers, stage.workers_max);
    if (stage.kind != PluginKind::kSink || most == 1 || stage.sharing != Sharing::kSingle) return;
    const std::string& hint = draft_.stages[index].sharing_hint;
    report_.error(pointer_to(draft_.stages[index].pointer, "workers"),
                  fmt::format("plugin {} takes one worker here, since its target cannot be shared{}{}",
                              in_quotes(stage.plugin), hint.empty() ? "" : "; for more, ", hint));
  }

  Draft& draft_;
  const std::vector<Stream>& streams_;
  std::vector<StageSpec>& stages_;
  Report& report_;
  bool has_cycle_ = false;
};

}  // namespace

void check_rules(Draft& draft, Report& report) {
  Rules(draft, report).check();
  if (report.errors() == 0) check_warnings(draft, report);
}

}  // namespace weir
