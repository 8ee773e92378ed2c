// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "sdk/topology/draft.h"
#include "sdk/topology/field_reader.h"

namespace weir {

/// The steps that turn a document into a Draft: each field on its own here, what fields say together in rules.h. Every
/// finding goes into the report; what was wrong keeps its default, so that the rest can still be checked.
struct ReadContext {
  Report& report;
  const Plugins& plugins;
  const Environment& environment;
  std::filesystem::path folder;  ///< absolute: that of the file, from which relative paths count
};

/// All of the file.
Draft read_topology(const JsonNode& root, const ReadContext& context);

/// `path` as written, absolute. `text` may hold `${...}`; whether it is relative is judged by its value.
std::string absolute_path(const std::string& text, const std::filesystem::path& folder, const Environment& environment);

// Parts of read_topology.
Topology read_head(const JsonNode& root, const ReadContext& context);
/// How records of `stream` come to its shards: partition, shards, key.
void read_partition(FieldReader& fields, Stream& stream, StreamDraft& draft);
/// Who gets the records of an unkeyed stream: dispatch, priority. Behind read_partition, since a lane is a shard.
void read_dispatch(FieldReader& fields, Stream& stream, StreamDraft& draft);
void read_streams(const JsonNode& root, const ReadContext& context, Draft& draft);
void read_stages(const JsonNode& root, const ReadContext& context, Draft& draft);

}  // namespace weir
