// SPDX-License-Identifier: Apache-2.0
#include "stages/file/csv.h"

#include <optional>

#include "weir/json.h"

namespace weir::file {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

void append_quoted(std::string& out, std::string_view field) {
  if (field.find_first_of(",\"\r\n") == std::string_view::npos) {
    out.append(field);
    return;
  }
  out.push_back('"');
  for (const char byte : field) {
    if (byte == '"') out.push_back('"');
    out.push_back(byte);
  }
  out.push_back('"');
}

/// `text` with every sequence that is no UTF-8 replaced by U+FFFD; returns how many there were.
std::uint64_t mend(std::string_view text, std::string& mended) {
  std::uint64_t replaced = 0;
  mended.clear();
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (step.valid) {
      mended.append(text.substr(0, step.size));
    } else {
      mended.append("\xef\xbf\xbd");
      ++replaced;
    }
    text.remove_prefix(step.size);
  }
  return replaced;
}

}  // namespace

Csv::Csv(const Config& config) {
  const auto columns = config.find("/columns");
  if (!columns) {
    for (const char* name : {"key", "value", "timestamp"}) add(name, std::string("/") + name);
    return;
  }
  TokenReader reader(columns->bytes());
  Token map;
  reader.next(map);
  for (std::uint32_t i = 0; i < map.count; ++i) {
    Token name;
    Token pointer;
    reader.next(name);
    reader.next(pointer);
    add(std::string(name.text), std::string(pointer.text));
  }
}

void Csv::add(std::string name, const std::string& pointer) {
  const auto below = [&](std::string_view part) -> std::optional<Pointer> {
    const std::string_view text = pointer;
    if (!text.starts_with(part) || (text.size() > part.size() && text[part.size()] != '/')) return std::nullopt;
    return Pointer(text.substr(part.size()));
  };
  if (auto in_key = below("/key")) {
    columns_.push_back({std::move(name), Part::kKey, *std::move(in_key)});
  } else if (auto in_value = below("/value")) {
    columns_.push_back({std::move(name), Part::kValue, *std::move(in_value)});
  } else if (pointer == "/timestamp") {
    columns_.push_back({std::move(name), Part::kTimestamp, Pointer("")});
  } else {
    throw ConfigError("/columns/" + name + ": \"" + pointer +
                      "\" leads nowhere; it begins with /key or /value, or is /timestamp");
  }
}

void Csv::append_header(std::string& out) const {
  for (const Column& column : columns_) {
    if (&column != &columns_.front()) out.push_back(',');
    append_quoted(out, column.name);
  }
  out.append(kLineEnd);
}

std::uint64_t Csv::append(std::string& out, const RecordView& record) {
  const std::size_t start = out.size();
  std::uint64_t replaced = 0;
  try {
    for (const Column& column : columns_) {
      if (&column != &columns_.front()) out.push_back(',');
      replaced += append_field(out, column, record);
    }
  } catch (...) {
    out.resize(start);
    throw;
  }
  out.append(kLineEnd);
  return replaced;
}

std::uint64_t Csv::append_field(std::string& out, const Column& column, const RecordView& record) {
  if (column.part == Part::kTimestamp) {
    JsonWriter(out).integer(record.timestamp());
    return 0;
  }
  const auto found = column.pointer.find(column.part == Part::kKey ? record.key() : record.value());
  if (!found || found->is_nil()) return 0;
  const Token token = found->token();
  if (token.kind == Token::Kind::kText) {
    if (is_well_formed_utf8(token.text)) {
      append_quoted(out, token.text);
      return 0;
    }
    const std::uint64_t replaced = mend(token.text, json_);
    append_quoted(out, json_);
    return replaced;
  }
  json_.clear();
  JsonWriter writer(json_);
  if (!writer.value(found->bytes()))
    throw DecodeError("column " + column.name + " is no MessagePack, or nested too deeply");
  if (json_ != "null") append_quoted(out, json_);
  return writer.replaced();
}

}  // namespace weir::file
