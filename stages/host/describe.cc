// SPDX-License-Identifier: Apache-2.0
#include "stages/host/describe.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace weir::host {
namespace {

nlohmann::ordered_json ports(const char* const* names, const char* otherwise, bool none) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  if (names == nullptr) {
    if (!none) list.push_back(otherwise);
    return list;
  }
  for (; *names != nullptr; ++names) list.push_back(*names);
  return list;
}

}  // namespace

Result<std::string> describe(const Library& library) {
  using nlohmann::ordered_json;
  static constexpr const char* kKinds[] = {"", "source", "stage", "sink"};
  static constexpr const char* kSharings[] = {"single", "shard", "any"};
  ordered_json described = {{"library", library.path()}, {"plugins", ordered_json::array()}};
  for (const weir_descriptor& stage : library.stages()) {
    ordered_json schema = nullptr;
    if (stage.schema != nullptr) {
      schema = ordered_json::parse(stage.schema, nullptr, false);
      if (schema.is_discarded()) {
        return {Code::kRefused,
                fmt::format("{}: the schema of its stage \"{}\" is no JSON", library.path(), stage.name)};
      }
    }
    if (stage.sharing > WEIR_SHARING_ANY) {
      return {Code::kRefused,
              fmt::format("{}: the sharing of its stage \"{}\" is unknown", library.path(), stage.name)};
    }
    described["plugins"].push_back({{"name", stage.name},
                                    {"kind", kKinds[stage.kind]},
                                    {"keyed", (stage.flags & WEIR_FLAG_KEYED) != 0},
                                    {"key_preserving", (stage.flags & WEIR_FLAG_KEY_PRESERVING) != 0},
                                    {"mergeable", (stage.flags & WEIR_FLAG_MERGEABLE) != 0 && stage.merge != nullptr},
                                    {"deterministic", (stage.flags & WEIR_FLAG_NONDETERMINISTIC) == 0},
                                    {"on_watermark", stage.on_watermark != nullptr},
                                    {"local", (stage.flags & WEIR_FLAG_LOCAL) != 0},
                                    {"sharing", kSharings[stage.sharing]},
                                    {"inputs", ports(stage.inputs, "in", stage.kind == WEIR_KIND_SOURCE)},
                                    {"outputs", ports(stage.outputs, "out", stage.kind == WEIR_KIND_SINK)},
                                    {"schema", std::move(schema)}});
  }
  return described.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace weir::host
