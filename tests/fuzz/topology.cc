// SPDX-License-Identifier: Apache-2.0
// Topologies: the file that a person writes (first byte 0), the resolved file that the launcher hands on (1), and what
// a library says of its plugins (2). A file without a topology has an error that says where; what is taken is written
// and read the same.
#include "sdk/topology/topology.h"

#include <fmt/format.h>

#include <algorithm>

#include "sdk/topology/graph.h"
#include "sdk/topology/load.h"
#include "sdk/topology/plugins.h"
#include "sdk/topology/resolved_file.h"
#include "sdk/topology/revise.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_bound.h"

namespace weir::fuzz {
namespace {

constexpr std::string_view kDescription = R"({"library": "/lib/seed.so", "plugins": [
 {"name": "file.lines", "kind": "source", "outputs": ["out"], "local": true,
  "schema": {"type": "object", "properties": {"path": {"type": "string", "format": "path"}, "line_bytes_max": {"type": "string"}},
             "required": ["path"], "additionalProperties": false}},
 {"name": "text.words", "kind": "stage", "inputs": ["in"], "outputs": ["out"], "schema": null},
 {"name": "keyed.count", "kind": "stage", "keyed": true, "inputs": ["in"], "outputs": ["out"], "key_preserving": true,
  "mergeable": true, "deterministic": true, "on_watermark": true, "schema": {"type": "object", "properties": {"emit": {"enum": ["every", "final"]}}}},
 {"name": "file.write", "kind": "sink", "sharing": "shard", "inputs": ["in"], "schema": {"type": "object"}}]})";

constexpr std::string_view kFile = R"({
  "$schema": "x", "description": "${NAME:-d}",
  "name": "wordcount", "libraries": ["a.so"], "engine": {"type": "broker"},
  "broker": {"data_dir": "d", "listen": "tcp://127.0.0.1:0", "durability": "interval", "interval": "20ms",
             "segment_size": "1MiB", "memory": "64MiB", "transaction_bytes_max": "256KiB"},
  "http": {"listen": "127.0.0.1:0"},
  "streams": {
    "lines":  {"retention": {"time": "1h", "size": "1GiB"}, "external": "in", "durability": "fsync"},
    "words":  {"partition": {"by": "hash"}, "shards": 32, "key": ["/a", "/b"], "max_backlog": "1GiB"},
    "counts": {"transport": "fused"}, "last": {"dispatch": "round_robin"}
  },
  "stages": {
    "read":  {"plugin": "file.lines", "output": "lines", "config": {"path": "${HOME}"}},
    "split": {"plugin": "text.words", "input": "lines", "outputs": {"out": "words"}, "workers": 2, "commit_after": "5ms"},
    "count": {"plugin": "keyed.count", "input": "words", "output": "counts", "workers": 2, "deadline": "1m",
              "on_error": {"retries": 2, "then": "park_key", "parked_bytes_max": "1MiB"}, "state": {"store": "memory"}},
    "again": {"plugin": "keyed.count", "input": "counts", "output": "last", "workers": 2},
    "write": {"plugin": "file.write", "inputs": {"in": ["last"]}, "config": {}}
  }
})";

const Plugins& plugins() {
  static const Plugins all = [] {
    Plugins known;
    const auto list = Plugins::parse_description(kDescription, "seed");
    WEIR_CHECK(list.ok(), list.error().message);
    for (const Plugin& plugin : *list) WEIR_CHECK(known.add(plugin).ok(), "each is there once");
    return known;
  }();
  return all;
}

std::optional<std::string> environment(const std::string& name) {
  if (name == "HOME") return "/home";
  return std::nullopt;
}

Loaded load(std::string_view text) { return load_topology("t.json", text, {}, plugins(), environment); }

void check_round_trip(const Topology& topology) {
  const std::string encoded = encode_resolved(topology);
  const auto again = decode_resolved(encoded);
  WEIR_CHECK(again.ok(), "a resolved file is refused: " + again.error().message);
  WEIR_CHECK(encode_resolved(*again) == encoded, "a resolved file is not what was written into it");
  WEIR_CHECK(decode_resolved(encode_resolved_briefly(topology)).ok(), "in one line it is refused");
}

void check_file(std::string_view text) {
  std::optional<Loaded> loaded;
  {
    const MemoryBound bound((8 << 20) + 4096 * text.size());
    loaded = load(text);
  }
  WEIR_CHECK(loaded->topology.has_value() != has_errors(loaded->diagnostics), "a topology, or errors");
  for (const Diagnostic& found : loaded->diagnostics) {
    WEIR_CHECK(!found.message.empty() && found.line >= 1, "a finding has a sentence and a line");
    WEIR_CHECK(found.line <= 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')),
               "a line is one of the file's");
  }
  (void)to_json(loaded->diagnostics);
  if (!loaded->topology) return;
  check_round_trip(*loaded->topology);
  WEIR_CHECK(revise(*loaded->topology, *loaded->topology).ok(), "a topology may go on as it is");
  (void)to_mermaid(*loaded->topology);
  (void)to_dot(*loaded->topology);
  // What people are shown as resolved is a file again, and the same.
  const Loaded again = load(loaded->resolved);
  WEIR_CHECK(again.topology.has_value(), "what a file resolves to is no file");
  WEIR_CHECK(encode_resolved(*again.topology) == encode_resolved(*loaded->topology),
             "what a file resolves to is another");
}

void check_resolved(std::string_view text) {
  std::optional<Result<Topology>> decoded;
  {
    const MemoryBound bound((1 << 20) + 256 * text.size());
    decoded = decode_resolved(text);
  }
  if (decoded->ok()) check_round_trip(**decoded);
}

void check_description(std::string_view text) {
  const MemoryBound bound((1 << 20) + 256 * text.size());
  const auto list = Plugins::parse_description(text, "lib.so");
  if (!list.ok()) return WEIR_CHECK(!list.error().message.empty(), "a refusal says why");
  for (const Plugin& plugin : *list) WEIR_CHECK(!plugin.name.empty(), "a plugin has a name");
}

}  // namespace

std::vector<Bytes> seeds() {
  const Loaded loaded = load(kFile);
  WEIR_CHECK(loaded.topology.has_value(), loaded.diagnostics.empty() ? "?" : to_text(loaded.diagnostics.front()));
  return {chosen(0, as_bytes(kFile)), chosen(1, as_bytes(encode_resolved(*loaded.topology))),
          chosen(1, as_bytes(encode_resolved_briefly(*loaded.topology))), chosen(2, as_bytes(kDescription))};
}

}  // namespace weir::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = weir::as_text(weir::fuzz::input_of(bytes + 1, size - 1));
  switch (bytes[0] % 3) {
    case 0:
      weir::fuzz::check_file(text);
      break;
    case 1:
      weir::fuzz::check_resolved(text);
      break;
    default:
      weir::fuzz::check_description(text);
  }
  return 0;
}
