// SPDX-License-Identifier: Apache-2.0
#include "stages/select/select.h"

#include <stdexcept>

namespace weir::select {

Select::Select(const Config& config) {
  const auto missing = config.get<std::string>("/missing", "null");
  missing_ = missing == "skip" ? Missing::kSkip : missing == "error" ? Missing::kError : Missing::kNull;
  const auto fields = config.find("/fields");
  if (!fields) throw ConfigError("/fields: is missing");
  TokenReader reader(fields->bytes());
  Token map;
  reader.next(map);
  for (std::uint32_t i = 0; i < map.count; ++i) {
    Token name;
    Token pointer;
    reader.next(name);
    reader.next(pointer);
    Field field{"", Pointer(pointer.text)};
    encode_text(field.name, name.text);
    fields_.push_back(std::move(field));
  }
}

void Select::process(const RecordView& in, Context& out) {
  found_.clear();
  for (const Field& field : fields_) {
    if (const auto value = field.pointer.find(in.value())) {
      found_.emplace_back(&field, *value);
    } else if (missing_ == Missing::kNull) {
      found_.emplace_back(&field, ValueView());
    } else if (missing_ == Missing::kError) {
      throw std::runtime_error("the field \"" + field.pointer.text() + "\" is missing");
    }
  }
  map_.clear();
  encode_map_head(map_, static_cast<std::uint32_t>(found_.size()));
  for (const auto& [field, value] : found_) {
    map_.append(field->name);
    encode(map_, value);
  }
  out.emit(in.key(), ValueView(std::as_bytes(std::span(map_))));
}

}  // namespace weir::select
