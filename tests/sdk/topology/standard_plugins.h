// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "sdk/topology/load.h"

namespace weir {

/// The standard plugins as their library describes itself, in the words of a stage library's description: the schemas
/// are shorter than the real ones, but use every keyword that those may use.
inline constexpr std::string_view kStandardDescription = R"json({
  "library": "/opt/weir/lib/weir/standard.so",
  "plugins": [
    {"name": "file.lines", "kind": "source", "inputs": [], "outputs": ["out"], "schema": {
      "type": "object", "additionalProperties": false, "required": ["path"],
      "properties": {
        "path": {"anyOf": [{"type": "string", "format": "path"},
                           {"type": "array", "items": {"type": "string", "format": "path"}, "minItems": 1}]},
        "follow": {"type": "boolean"},
        "line_bytes_max": {"type": "string"}},
      "x-weir-endless": {"properties": {"follow": {"const": true}}, "required": ["follow"]}}},
    {"name": "generate.sequence", "kind": "source", "inputs": [], "schema": {
      "type": "object", "additionalProperties": false,
      "properties": {"from": {"type": "integer"}, "to": {"type": "integer"}, "step": {"type": "integer"},
                     "rate": {"type": "number", "exclusiveMinimum": 0}, "key_modulo": {"type": "integer", "minimum": 1},
                     "start": {"type": "integer"}, "interval": {"type": "string"}},
      "x-weir-endless": {"not": {"required": ["to"]}}}},
    {"name": "generate.values", "kind": "source", "schema": {
      "type": "object", "additionalProperties": false,
      "properties": {"values": {"type": "array"}, "records": {"type": "array"}, "repeat": {"type": "integer", "minimum": 0},
                     "rate": {"type": "number"}},
      "x-weir-endless": {"properties": {"repeat": {"const": 0}}, "required": ["repeat"]}}},
    {"name": "text.words", "kind": "stage", "inputs": ["in"], "outputs": ["out"], "schema": {
      "type": "object", "additionalProperties": false,
      "properties": {"pattern": {"type": "string"}, "lowercase": {"type": "boolean"}}}},
    {"name": "text.json", "kind": "stage", "key_preserving": true, "schema": null},
    {"name": "text.regex", "kind": "stage", "key_preserving": true, "schema": {
      "type": "object", "additionalProperties": false, "required": ["pattern"], "properties": {"pattern": {"type": "string"}}}},
    {"name": "select", "kind": "stage", "key_preserving": true, "schema": {
      "type": "object", "additionalProperties": false, "required": ["fields"], "properties": {
        "fields": {"type": "object", "additionalProperties": {"type": "string"}},
        "missing": {"enum": ["null", "skip", "error"]}}}},
    {"name": "test.clock", "kind": "stage", "on_watermark": true, "schema": null},
    {"name": "filter", "kind": "stage", "key_preserving": true, "schema": {"type": "object"}},
    {"name": "keyed.count", "kind": "stage", "keyed": true, "key_preserving": true, "mergeable": true, "schema": {
      "type": "object", "additionalProperties": false, "properties": {"emit": {"enum": ["every", "final"]}},
      "x-weir-final": {"properties": {"emit": {"const": "final"}}, "required": ["emit"]}}},
    {"name": "keyed.sum", "kind": "stage", "keyed": true, "key_preserving": true, "mergeable": true, "schema": {
      "type": "object", "additionalProperties": false,
      "properties": {"field": {"type": "string"}, "emit": {"enum": ["every", "final"]}},
      "x-weir-final": {"properties": {"emit": {"const": "final"}}, "required": ["emit"]}}},
    {"name": "keyed.reduce", "kind": "stage", "keyed": true, "key_preserving": true, "mergeable": true, "schema": {
      "type": "object", "additionalProperties": false, "required": ["op"],
      "properties": {"op": {"enum": ["min", "max", "avg", "last"]}, "field": {"type": "string"},
                     "emit": {"enum": ["every", "final"]}},
      "x-weir-final": {"properties": {"emit": {"const": "final"}}, "required": ["emit"]},
      "x-weir-order-sensitive": {"properties": {"op": {"const": "last"}}}}},
    {"name": "join", "kind": "stage", "keyed": true, "inputs": ["left", "right"], "outputs": ["matched", "rest"],
     "schema": null},
    {"name": "file.write", "kind": "sink", "inputs": ["in"], "outputs": [], "sharing": "single", "schema": {
      "type": "object", "additionalProperties": false, "required": ["path"],
      "properties": {"path": {"type": "string", "format": "path"}, "format": {"enum": ["csv", "jsonl"]},
                     "columns": {"type": "object", "additionalProperties": {"type": "string"}}},
      "x-weir-sharing-shard": {"description": "write {shard} into path",
                               "properties": {"path": {"pattern": "\\{shard\\}"}}}}},
    {"name": "console.print", "kind": "sink", "sharing": "any", "schema": {
      "type": "object", "additionalProperties": false, "properties": {"format": {"enum": ["jsonl"]}}}}
  ]})json";

inline Plugins standard_plugins() {
  Plugins plugins;
  Result<std::vector<Plugin>> described = Plugins::parse_description(kStandardDescription, "standard.so");
  for (Plugin& plugin : described.value()) {
    const Status added = plugins.add(std::move(plugin));
    WEIR_CHECK(added.ok(), "the standard plugins have names of their own");
  }
  return plugins;
}

inline Environment variables(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

/// Loads `text` as /etc/weir/t.json, named "t.json".
inline Loaded load(std::string_view text, const std::vector<Setting>& settings = {},
                   std::map<std::string, std::string> values = {}) {
  static const Plugins kPlugins = standard_plugins();
  Loaded loaded = load_topology("/etc/weir/t.json", text, settings, kPlugins, variables(std::move(values)));
  for (Diagnostic& diagnostic : loaded.diagnostics) {
    if (diagnostic.file == "/etc/weir/t.json") diagnostic.file = "t.json";
  }
  return loaded;
}

/// All findings as they are printed, one a line.
inline std::string findings(const Loaded& loaded) {
  std::string text;
  for (const Diagnostic& diagnostic : loaded.diagnostics) text += to_text(diagnostic) + "\n";
  return text;
}

}  // namespace weir
