// SPDX-License-Identifier: Apache-2.0
// topologies/topology.schema.json and the parser's own list of fields say the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "sdk/topology/choices.h"
#include "sdk/topology/config_schema.h"
#include "sdk/topology/schema_walk.h"
#include "tests/sdk/topology/standard_plugins.h"

namespace weir {
namespace {

const std::filesystem::path kTopologies = std::filesystem::path(WEIR_SOURCE_DIR) / "topologies";

JsonNode read_json(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return parse_json_strictly(text.str()).value();
}

const JsonNode& schema() {
  static const JsonNode kSchema = read_json(kTopologies / "topology.schema.json");
  return kSchema;
}

/// Where the schema describes the objects that `owner` means.
SchemaView view_of(FieldOwner owner) {
  SchemaView root(&schema());
  SchemaView stage = root.member("stages").member("any");
  SchemaView stream = root.member("streams").member("any");
  switch (owner) {
    case FieldOwner::kTopology:
      return root;
    case FieldOwner::kEngine:
      return root.member("engine");
    case FieldOwner::kBroker:
      return root.member("broker");
    case FieldOwner::kHttp:
      return root.member("http");
    case FieldOwner::kStage:
      return stage;
    case FieldOwner::kWorkers:
      return stage.member("workers");
    case FieldOwner::kState:
      return stage.member("state");
    case FieldOwner::kOnError:
      return stage.member("on_error");
    case FieldOwner::kStream:
      return stream;
    case FieldOwner::kPartition:
      return stream.member("partition");
    case FieldOwner::kPriority:
      return stream.member("priority");
    case FieldOwner::kRetention:
      return stream.member("retention");
  }
  return root;
}

constexpr std::array kOwners = {FieldOwner::kTopology,  FieldOwner::kEngine,   FieldOwner::kBroker,
                                FieldOwner::kHttp,      FieldOwner::kStage,    FieldOwner::kWorkers,
                                FieldOwner::kState,     FieldOwner::kOnError,  FieldOwner::kStream,
                                FieldOwner::kPartition, FieldOwner::kPriority, FieldOwner::kRetention};

TEST(Schema, HasExactlyTheFieldsThatTheParserTakes) {
  for (const FieldOwner owner : kOwners) {
    std::set<std::string> known;
    for (const Field& field : kFields) {
      if (field.owner == owner && field.built) known.emplace(field.name);
    }
    const std::vector<std::string> fields = view_of(owner).fields();
    EXPECT_EQ(std::set<std::string>(fields.begin(), fields.end()), known) << static_cast<int>(owner);
  }
}

TEST(Schema, HasTheDefaultsOfTheParserAndADescriptionOfEachField) {
  for (const Field& field : kFields) {
    if (!field.built) continue;
    const SchemaView view = view_of(field.owner).member(field.name);
    EXPECT_TRUE(view.annotation("description") != nullptr) << field.name;
    const JsonNode* fallback = view.annotation("default");
    EXPECT_EQ(fallback == nullptr ? "" : to_text(*fallback), field.fallback) << field.name;
  }
}

template <typename T, std::size_t N>
void expect_words(FieldOwner owner, std::string_view name, const std::array<Choice<T>, N>& choices) {
  std::set<std::string> built;
  for (const Choice<T>& choice : choices) {
    if (choice.built) built.emplace(choice.word);
  }
  std::set<std::string> offered;
  for (const JsonNode* word : view_of(owner).member(name).choices()) offered.insert(word->text);
  EXPECT_EQ(offered, built) << name;
}

TEST(Schema, OffersExactlyTheWordsThatTheParserTakes) {
  expect_words(FieldOwner::kEngine, "type", kEngines);
  expect_words(FieldOwner::kBroker, "durability", kDurabilities);
  expect_words(FieldOwner::kState, "store", kStores);
  expect_words(FieldOwner::kOnError, "then", kOnErrors);
  expect_words(FieldOwner::kStream, "transport", kTransports);
  expect_words(FieldOwner::kStream, "dispatch", kDispatches);
  expect_words(FieldOwner::kStream, "retention", kRetentions);
  expect_words(FieldOwner::kStream, "compression", kCompressions);
  expect_words(FieldOwner::kStream, "durability", kDurabilities);
  expect_words(FieldOwner::kStream, "external", kExternals);
  expect_words(FieldOwner::kPartition, "by", kPartitions);
}

std::string problems_of(const JsonNode& document) {
  std::string text;
  for (const ConfigProblem& problem : check_config(document, schema()))
    text += problem.pointer + ": " + problem.message + "\n";
  return text;
}

TEST(Schema, AcceptsEveryExampleAlsoAsResolved) {
  for (const auto& entry : std::filesystem::directory_iterator(kTopologies / "examples")) {
    if (entry.path().extension() != ".json") continue;
    const JsonNode example = read_json(entry.path());
    EXPECT_EQ(problems_of(example), "") << entry.path();
    const Loaded loaded = load_topology(entry.path().string(), to_text(example), {}, standard_plugins(), variables({}));
    ASSERT_TRUE(loaded.topology) << findings(loaded);
    EXPECT_EQ(problems_of(parse_json_strictly(loaded.resolved).value()), "") << entry.path();
  }
}

TEST(Schema, RefusesWhatTheParserRefuses) {
  for (const auto& [pointer, value] : std::vector<std::pair<const char*, const char*>>{
           {"/nome", "1"},
           {"/name", "X"},
           {"/broker/memory", "1GB"},
           {"/broker/durability", "fsyn"},
           {"/stages/read/workers", "0"},
           {"/stages/read/plugins", "x"},
           {"/streams/Lines", "{}"},
           {"/streams/lines/partition/by", "rangs"},
           {"/streams/lines/priority", R"({"weights": [0, 0]})"},
           {"/streams/lines/partition", R"({"by": "range", "boundaries": []})"},
           {"/streams/lines/partition", R"({"by": "range", "boundaries": [null]})"},
           {"/streams/lines/partition", R"({"by": "range", "boundaries": "automatic"})"},
           {"/stages/read/commit_after", "5"},
           {"/http", "7"},
           {"/streams/lines/loop", "1"},
           {"/stages/read/on_error/then", "park"},
           {"/stages", "{}"}}) {
    JsonNode document = read_json(kTopologies / "examples/wordcount.json");
    ASSERT_TRUE(apply_settings(document, {{pointer, value}}).empty());
    EXPECT_NE(problems_of(document), "") << pointer;
    EXPECT_FALSE(load(to_text(document)).topology) << pointer;
  }
}

}  // namespace
}  // namespace weir
