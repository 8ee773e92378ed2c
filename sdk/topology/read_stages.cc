// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sdk/topology/choices.h"
#include "sdk/topology/config_schema.h"
#include "sdk/topology/read.h"
#include "sdk/topology/schema_walk.h"

namespace weir {
namespace {

using Kind = JsonNode::Kind;

constexpr std::uint64_t kRetriesMax = 1'000'000;
constexpr std::chrono::milliseconds kDeadlineMin{1};
constexpr std::uint64_t kStageMemoryBytesMin = 1U << 20;

/// Reads one stage of the file into a StageSpec and its draft.
class StageReader {
 public:
  StageReader(FieldReader fields, const ReadContext& context, Draft& draft, StageSpec& spec, StageDraft& stage)
      : fields_(std::move(fields)),
        report_(fields_.report()),
        context_(context),
        draft_(draft),
        spec_(spec),
        stage_(stage) {}

  void read() {
    read_plugin();
    const std::size_t errors_before = report_.errors();
    read_joints("input", "inputs", "in", stage_.inputs);
    read_joints("output", "outputs", "out", stage_.outputs);
    stage_.joints_known = report_.errors() == errors_before;
    for (const Joint& joint : stage_.inputs) spec_.inputs.push_back({joint.port, joint.stream});
    for (const Joint& joint : stage_.outputs) spec_.outputs.push_back({joint.port, joint.stream});
    read_workers();
    FieldReader state(fields_.field("state"), fields_.pointer("state"), FieldOwner::kState, report_,
                      context_.environment);
    read_state(state);
    spec_.memory_bytes = fields_.size("memory", kStageMemoryBytesMin).value_or(0);
    spec_.commit_after = fields_.duration("commit_after").value_or(std::chrono::microseconds(0));
    spec_.deadline = fields_.duration("deadline", kDeadlineMin).value_or(std::chrono::microseconds(0));
    read_on_error();
    read_config();
  }

 private:
  void read_state(FieldReader& state) {
    spec_.store = state.choice("store", kStores).value_or(Store::kMemory);
    if (const auto path = state.text("path"))
      spec_.state_path = absolute_path(*path, context_.folder, context_.environment);
    if (spec_.store != Store::kRocksDb) {
      if (state.has("path"))
        report_.error(state.pointer("path"), "is where a \"rocksdb\" store lies; this one has none");
      return;
    }
    if (stage_.plugin != nullptr && !stage_.plugin->keyed)
      report_.error(state.pointer("store"), fmt::format("plugin {} keeps no state", in_quotes(spec_.plugin)));
  }

  void read_plugin() {
    if (!fields_.has("plugin")) report_.error(fields_.pointer("plugin"), "is missing; every stage has a plugin");
    const auto name = fields_.text("plugin");
    if (!name) return;
    spec_.plugin = *name;
    stage_.plugin = context_.plugins.find(*name);
    if (stage_.plugin == nullptr) {
      report_.error(fields_.pointer("plugin"), no_such("plugin", *name, "plugins", context_.plugins.names()));
      return;
    }
    spec_.kind = stage_.plugin->kind;
    spec_.keyed = stage_.plugin->keyed;
    spec_.key_preserving = stage_.plugin->key_preserving;
    spec_.local = stage_.plugin->local;
    spec_.sharing = stage_.plugin->sharing;
  }

  void read_workers() {
    const JsonNode* workers = fields_.field("workers");
    const std::string pointer = fields_.pointer("workers");
    if (workers->is(Kind::kObject)) {
      FieldReader range(workers, pointer, FieldOwner::kWorkers, report_, context_.environment);
      read_workers_range(range);
    } else if (workers->is(Kind::kString) && workers->text == "auto") {
      report_.not_built(pointer, workers->text);
    } else if (const auto number = fields_.number("workers", 1, kWorkersMax)) {
      spec_.workers = static_cast<std::uint32_t>(*number);
    }
  }

  void read_workers_range(FieldReader& range) {
    if (!range.has("max")) report_.error(range.pointer("max"), "is missing; a number that follows the load has a most");
    const auto least = range.number("min", 1, kWorkersMax);
    const auto most = range.number("max", 1, kWorkersMax);
    if (!least || !most) return;
    if (*least > *most) {
      report_.error(range.pointer("max"), fmt::format("is less than \"min\", which is {}", *least));
      return;
    }
    spec_.workers = static_cast<std::uint32_t>(*least);
    spec_.workers_max = static_cast<std::uint32_t>(*most);
    if (stage_.plugin != nullptr && stage_.plugin->kind == PluginKind::kSource)
      report_.error(range.pointer(), "a source has no backlog that its workers could follow; give their number");
  }

  void read_on_error() {
    FieldReader on_error(fields_.field("on_error"), fields_.pointer("on_error"), FieldOwner::kOnError, report_,
                         context_.environment);
    spec_.retries = static_cast<std::uint32_t>(on_error.number("retries", 0, kRetriesMax).value_or(0));
    spec_.then = on_error.choice("then", kOnErrors).value_or(OnErrorThen::kDeadLetter);
    spec_.dead_letter_bytes_max = on_error.size("kept_bytes_max", 1).value_or(0);
    spec_.parked_bytes_max = on_error.size("parked_bytes_max", 1).value_or(0);
  }

  /// `one` and `several` are the two forms of the field, `usual` the port that the first one means.
  void read_joints(std::string_view one, std::string_view several, const std::string& usual,
                   std::vector<Joint>& joints) {
    if (fields_.has(one) && fields_.has(several)) {
      report_.error(fields_.pointer(several),
                    fmt::format("a stage has {} or {}, not both", in_quotes(one), in_quotes(several)));
      mark_meant(*fields_.field(one), one == "input");
      mark_meant(*fields_.field(several), one == "input");
      return;
    }
    const bool is_input = one == "input";
    for (const std::string_view form : {one, several}) {
      const JsonNode* node = fields_.field(form);
      if (node == nullptr) continue;
      const std::string pointer = fields_.pointer(form);
      if (form == several && node->is(Kind::kObject)) {
        for (const JsonNode& port : node->children)
          read_port(port, pointer_to(pointer, port.name), port.name, is_input, joints);
      } else if (node->is(Kind::kString) && form == several) {
        report_.error(pointer,
                      fmt::format("must be an object of streams by port, not a string; or write {}", in_quotes(one)));
        mark_meant(*node, one == "input");
      } else {
        read_port(*node, pointer, usual, is_input, joints);
      }
    }
  }

  void read_port(const JsonNode& node, const std::string& pointer, const std::string& port, bool is_input,
                 std::vector<Joint>& joints) {
    if (!check_port(pointer, port, is_input)) {
      mark_meant(node, is_input);
      return;
    }
    if (!node.is(Kind::kArray)) {
      read_joint(node, pointer, port, is_input, joints);
    } else if (!is_input) {
      report_.error(pointer, "must be a string: a port writes to one stream");
      mark_meant(node, is_input);
    } else {
      if (node.children.empty()) report_.error(pointer, "must name at least one stream");
      for (std::size_t i = 0; i < node.children.size() && !report_.full(); ++i)
        read_joint(node.children[i], fmt::format("{}/{}", pointer, i), port, is_input, joints);
    }
  }

  /// Remembers that the streams in `node` would have had an end here, so that nobody says that they have none.
  void mark_meant(const JsonNode& node, bool is_input) {
    for (const JsonNode& child : node.children) mark_meant(child, is_input);
    if (node.is(Kind::kString)) mark_meant(node.text, is_input);
  }
  void mark_meant(std::string_view name, bool is_input) {
    for (std::size_t i = 0; i < draft_.streams.size(); ++i) {
      StreamDraft& stream = draft_.streams[i];
      if (draft_.topology.streams[i].name == name) (is_input ? stream.meant_as_input : stream.meant_as_output) = true;
    }
  }

  bool check_port(const std::string& pointer, const std::string& port, bool is_input) {
    if (stage_.plugin == nullptr) return true;
    const std::string_view side = is_input ? "input" : "output";
    const std::vector<std::string>& ports = is_input ? stage_.plugin->inputs : stage_.plugin->outputs;
    if (std::ranges::find(ports, port) != ports.end()) return true;
    if (ports.empty()) {
      report_.error(pointer, fmt::format("plugin {} is a {} and takes no {}", in_quotes(spec_.plugin),
                                         word_of(kPluginKinds, stage_.plugin->kind), side));
    } else {
      report_.error(pointer, fmt::format("plugin {} has {}", in_quotes(spec_.plugin),
                                         no_such(fmt::format("{} port", side), port, "ports", ports)));
    }
    return false;
  }

  void read_joint(const JsonNode& node, const std::string& pointer, const std::string& port, bool is_input,
                  std::vector<Joint>& joints) {
    const auto name = fields_.text_at(node, pointer);
    if (!name) return;
    const auto& streams = draft_.topology.streams;
    const auto found = std::ranges::find(streams, *name, &Stream::name);
    if (found == streams.end()) {
      std::vector<std::string> names;
      names.reserve(streams.size());
      for (const Stream& stream : streams) names.push_back(stream.name);
      report_.error(pointer, no_such("stream", *name, "streams", names));
      mark_meant(nearest(*name, names), is_input);
      return;
    }
    const auto index = static_cast<std::uint32_t>(found - streams.begin());
    const bool twice = std::ranges::any_of(joints, [&](const Joint& joint) { return joint.stream == index; });
    if (twice && is_input) {
      report_.error(pointer, fmt::format("stream {} is an input of this stage twice", in_quotes(*name)));
      return;
    }
    joints.push_back({pointer, port, index});
    auto& ends = is_input ? draft_.streams[index].readers : draft_.streams[index].writers;
    const auto stage = static_cast<std::uint32_t>(draft_.stages.size() - 1);
    if (std::ranges::find(ends, stage) == ends.end()) ends.push_back(stage);
  }

  void read_config() {
    const JsonNode& written = *fields_.field("config");
    const std::string pointer = fields_.pointer("config");
    spec_.config = "{}";
    if (!written.is(Kind::kObject)) {
      report_.error(pointer, fmt::format("must be an object, not {}", kind_name(written)));
      return;
    }
    if (stage_.plugin == nullptr) return;
    if (stage_.plugin->schema.empty()) {
      if (!written.children.empty())
        report_.error(pointer, fmt::format("plugin {} takes no configuration", in_quotes(spec_.plugin)));
      return;
    }
    const Result<JsonNode> schema = parse_json_strictly(stage_.plugin->schema);
    if (!schema) {
      report_.error(fields_.pointer("plugin"), fmt::format("the schema of plugin {} is unusable: {}",
                                                           in_quotes(spec_.plugin), schema.error().message));
      return;
    }
    JsonNode value = written;
    const auto unset = substitute(value, pointer, &*schema, context_.environment);
    for (const SubstitutionProblem& problem : unset) report_.error(problem.pointer, problem.message);
    if (!unset.empty()) return;
    const auto problems = check_config(value, *schema);
    for (const ConfigProblem& problem : problems) report_.error(pointer + problem.pointer, problem.message);
    if (!problems.empty()) return;
    read_promises(value, *schema);
    JsonNode kept = written;
    kept.name.clear();
    make_paths_absolute(kept, SchemaView(&*schema));
    spec_.config = to_text(kept);
  }

  /// The keywords by which a schema says what some configurations mean: each holds a schema that those obey.
  void read_promises(const JsonNode& config, const JsonNode& schema) {
    const auto holds = [&](std::string_view keyword) {
      const JsonNode* condition = schema.find(keyword);
      return condition != nullptr && config_matches(config, *condition);
    };
    stage_.endless = holds("x-weir-endless");
    stage_.final = holds("x-weir-final");
    stage_.order_sensitive = holds("x-weir-order-sensitive");
    if (holds("x-weir-sharing-shard")) spec_.sharing = Sharing::kShard;
    const JsonNode* shard = schema.find("x-weir-sharing-shard");
    const JsonNode* described = shard != nullptr ? shard->find("description") : nullptr;
    if (described != nullptr) stage_.sharing_hint = described->text;
  }

  void make_paths_absolute(JsonNode& node, const SchemaView& view) {
    if (node.is(Kind::kString) && view.is_path())
      node.text = absolute_path(node.text, context_.folder, context_.environment);
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      JsonNode& child = node.children[i];
      make_paths_absolute(child, node.is(Kind::kObject) ? view.member(child.name) : view.element(i));
    }
  }

  FieldReader fields_;
  Report& report_;
  const ReadContext& context_;
  Draft& draft_;
  StageSpec& spec_;
  StageDraft& stage_;
};

}  // namespace

void read_stages(const JsonNode& root, const ReadContext& context, Draft& draft) {
  const JsonNode* stages = root.find("stages");
  if (stages == nullptr) {
    context.report.error("/stages", "is missing; a topology has at least one stage");
    return;
  }
  if (!stages->is(Kind::kObject)) {
    context.report.error("/stages", fmt::format("must be an object of stages by name, not {}", kind_name(*stages)));
    return;
  }
  if (stages->children.empty()) context.report.error("/stages", "is empty; a topology has at least one stage");
  if (stages->children.size() > kPartsMax) {
    context.report.error("/stages", fmt::format("holds more than {} stages", kPartsMax));
    return;
  }
  for (const JsonNode& node : stages->children) {
    if (context.report.full()) return;
    StageDraft& stage = draft.stages.emplace_back();
    stage.pointer = pointer_to("/stages", node.name);
    StageSpec& spec = draft.topology.stages.emplace_back();
    spec.name = node.name;
    spec.host = static_cast<std::uint32_t>(draft.stages.size() - 1);
    if (!is_name(node.name)) {
      context.report.error(stage.pointer,
                           fmt::format("{} is no name; a name is [a-z][a-z0-9_-]{{0,62}}", in_quotes(node.name)));
    }
    StageReader(FieldReader(&node, stage.pointer, FieldOwner::kStage, context.report, context.environment), context,
                draft, spec, stage)
        .read();
  }
}

}  // namespace weir
