// SPDX-License-Identifier: Apache-2.0
// Whatever the bytes: a sentence, never a crash or a hang.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "tests/sdk/topology/standard_plugins.h"

namespace weir {
namespace {

constexpr std::string_view kFile = R"({
  "name": "t", "libraries": ["x.so"], "broker": {"memory": "64MiB", "listen": "tcp://*:0"}, "http": {"listen": "[::1]:0"},
  "streams": {"a": {"key": ["/é", "/b"], "partition": {"by": "hash"}}, "b": {"transport": "fused"}},
  "stages": {
    "n": {"plugin": "generate.values", "output": "a", "config": {"values": [1, -2.5e3, null, true, "\u00e9${X:-y}"]}},
    "s": {"plugin": "keyed.sum", "input": "a", "output": "b", "on_error": {"retries": 3, "then": "skip"}},
    "p": {"plugin": "console.print", "input": ["b"]}
  }
})";

/// Findings are lines of UTF-8, and a refused file has at least one.
void expect_sane(const Loaded& loaded, std::string_view what) {
  EXPECT_EQ(loaded.topology.has_value(), !has_errors(loaded.diagnostics)) << what;
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    const std::string text = to_text(diagnostic);
    EXPECT_TRUE(is_utf8(text)) << what;
    EXPECT_EQ(text.find('\n'), std::string::npos) << what;
    EXPECT_GE(diagnostic.line, 1U);
  }
  EXPECT_LE(loaded.diagnostics.size(), 2000U);
}

TEST(Hostile, CutAtEveryByteIsRefused) {
  ASSERT_EQ(findings(load(kFile)), "");
  for (std::size_t size = 0; size + 1 < kFile.size(); ++size) {
    const Loaded loaded = load(kFile.substr(0, size));
    EXPECT_FALSE(loaded.topology) << size;
    expect_sane(loaded, kFile.substr(0, size));
  }
}

TEST(Hostile, ChangedBytesNeverCrash) {
  std::mt19937 chance(20240517);
  for (int round = 0; round < 4000; ++round) {
    std::string text(kFile);
    for (int changes = 1 + static_cast<int>(chance() % 3); changes > 0; --changes) {
      static constexpr std::string_view kBytes = "{}[]\",:0-9e.\\/$a\n\xFF\xC3\x01";
      const std::size_t at = chance() % text.size();
      switch (chance() % 3) {
        case 0:
          text[at] = kBytes[chance() % kBytes.size()];
          break;
        case 1:
          text.erase(at, 1 + chance() % 8);
          break;
        default:
          text.insert(at, text.substr(chance() % text.size(), chance() % 16));
      }
      if (text.empty()) text.push_back('{');
    }
    expect_sane(load(text), text);
  }
}

TEST(Hostile, EveryValueInPlaceOfEveryOtherNeverCrashes) {
  const JsonNode root = *parse_json(kFile).root;
  const auto each = [&](const auto& self, const JsonNode& node, const std::string& pointer) -> void {
    for (const char* value : {"null", "true", "-1", "1e300", "99999999999999999999", "\"\"", "\"${\"", "\"${X:-}\"",
                              "[]", "[[]]", "{}", R"({"":{}})", R"(["a",1,{"b":null}])"})
      expect_sane(load(kFile, {{pointer, value}}), pointer + "=" + value);
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      const JsonNode& child = node.children[i];
      self(self, child, pointer_to(pointer, node.is(JsonNode::Kind::kObject) ? child.name : std::to_string(i)));
    }
  };
  each(each, root, "");
}

TEST(Hostile, DeepNestingIsRefused) {
  for (const char* open : {"[", "{\"a\":"}) {
    std::string text = "{\"name\": \"t\", \"stages\": ";
    for (int i = 0; i < 200'000; ++i) text += open;
    const Loaded loaded = load(text);
    EXPECT_NE(findings(loaded).find("nested deeper than 64"), std::string::npos);
  }
}

TEST(Hostile, NumbersBeyondAllTypesAreRefused) {
  for (const char* number : {"1e999", "-1e999", "1e-999", "123456789012345678901234567890", "0.1e+400", "01", "+1",
                             "NaN", "Infinity", "0x10"}) {
    const Loaded loaded = load(
        fmt::format(R"({{"name": "t", "stages": {{"n": {{"plugin": "console.print", "workers": {}}}}}}})", number));
    EXPECT_FALSE(loaded.topology) << number;
    expect_sane(loaded, number);
  }
}

TEST(Hostile, BytesThatAreNoUtf8AreRefused) {
  for (const char* bytes : {"\x80", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF", "\xE2\x82"}) {
    const Loaded loaded = load(fmt::format(R"({{"name": "{}", "stages": {{}}}})", bytes));
    EXPECT_FALSE(loaded.topology);
    expect_sane(loaded, "utf8");
  }
}

TEST(Hostile, ControlCharactersStayInOneLine) {
  const Loaded loaded = load("{\"na\\nme\": 1, \"name\": \"t\\u0000\\u001b[31m\", \"stages\": {\"a\\r\\nb\": {}}}");
  EXPECT_FALSE(loaded.topology);
  expect_sane(loaded, "control");
}

TEST(Hostile, ThousandsOfMistakesEndSoon) {
  std::string text = R"({"name": "t", "streams": {)";
  for (int i = 0; i < 4000; ++i) text += fmt::format("\"s{}\": {{\"shards\": 0}}, ", i);
  text += R"("z": {}}, "stages": {)";
  for (int i = 0; i < 4000; ++i)
    text += fmt::format("\"x{}\": {{\"plugin\": \"keyed.cuont\", \"input\": \"stream{}\", \"nope{}\": 1}}, ", i, i, i);
  text += "\"z\": {}}}";
  const auto start = std::chrono::steady_clock::now();
  const Loaded loaded = load(text);
  EXPECT_FALSE(loaded.topology);
  EXPECT_LE(loaded.diagnostics.size(), 300U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(Hostile, AChainOfThousandsOfFusedStagesIsChecked) {
  std::string streams;
  std::string stages = R"("n": {"plugin": "generate.sequence", "output": "s0", "config": {"to": 1}})";
  for (int i = 0; i < 2000; ++i) {
    streams += i == 0 ? R"("s0": {})" : fmt::format(R"(, "s{}": {{"transport": "fused"}})", i);
    if (i > 0)
      stages += fmt::format(R"(, "f{}": {{"plugin": "text.json", "input": "s{}", "output": "s{}"}})", i, i - 1, i);
  }
  stages += R"(, "p": {"plugin": "console.print", "input": "s1999"})";
  const Loaded loaded = load(fmt::format(R"({{"name": "t", "streams": {{{}}}, "stages": {{{}}}}})", streams, stages));
  ASSERT_TRUE(loaded.topology) << findings(loaded);
  EXPECT_EQ(loaded.topology->find_stage("p")->host, 1U);
}

TEST(Hostile, MoreStreamsThanAnyoneWritesAreRefused) {
  std::string text = R"({"name": "t", "streams": {"a": {})";
  for (int i = 0; i < 5000; ++i) text += fmt::format(", \"s{}\": {{}}", i);
  EXPECT_EQ(findings(load(text + "}, \"stages\": {\"p\": {\"plugin\": \"console.print\", \"input\": \"a\"}}}")),
            "t.json:1: /streams: holds more than 4096 streams\n"
            "t.json:1: /stages/p/input: no stream \"a\" (streams: none)\n");
}

TEST(Hostile, AnUnusableSchemaOfAPluginIsReported) {
  Plugins plugins;
  Plugin plugin;
  plugin.name = "bad";
  plugin.kind = PluginKind::kSource;
  plugin.outputs = {};
  for (const char* schema : {"{", R"({"$ref": "#/nowhere"})", R"({"type": 7})",
                             R"({"properties": {"a": {"$ref": "#"}}, "minItems": "x"})", R"({"pattern": "("})"}) {
    plugin.schema = schema;
    Plugins one;
    ASSERT_TRUE(one.add(plugin).ok());
    const Loaded loaded = load_topology(
        "t.json", R"({"name": "t", "stages": {"n": {"plugin": "bad", "config": {"a": 1}}}})", {}, one, variables({}));
    expect_sane(loaded, schema);
  }
}

}  // namespace
}  // namespace weir
