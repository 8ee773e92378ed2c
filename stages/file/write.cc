// SPDX-License-Identifier: Apache-2.0
#include "stages/file/write.h"

#include "weir/json.h"

namespace weir::file {
namespace {

std::string with_shard(std::string path, std::uint32_t shard) {
  constexpr std::string_view kPlace = "{shard}";
  const std::string number = std::to_string(shard);
  for (std::size_t at = path.find(kPlace); at != std::string::npos; at = path.find(kPlace, at + number.size())) {
    path.replace(at, kPlace.size(), number);
  }
  return path;
}

}  // namespace

Write::Write(const Config& config) : path_(config.get<std::string>("/path")) {
  const auto format = config.get<std::string>("/format", path_.ends_with(".csv") ? "csv" : "jsonl");
  if (format == "csv") {
    csv_.emplace(config);
  } else if (config.contains("/columns")) {
    throw ConfigError("/columns: is for CSV; add \"format\": \"csv\"");
  }
}

void Write::open(const Target& target) {
  const std::string path = with_shard(path_, target.shard());
  files_.erase(target.shard());
  const auto [place, added] =
      files_.emplace(target.shard(), target.fresh() ? OutputFile::replace(path)
                                                    : OutputFile::go_on(path, target.position<std::uint64_t>()));
  OutputFile& opened = place->second;
  if (csv_ && opened.length() == 0) csv_->append_header(opened.buffer());
}

void Write::write(const RecordView& in) {
  OutputFile& target = file(context().shard());
  const std::size_t start = target.buffer().size();
  try {
    if (append(target.buffer(), in) > 0) context().count("utf8");
  } catch (...) {
    target.buffer().resize(start);  // no part of a line stays of what failed
    throw;
  }
  target.write_out_if_large();
}

std::uint64_t Write::append(std::string& to, const RecordView& in) {
  if (csv_) return csv_->append(to, in);
  JsonWriter writer(to);
  if (!writer.record(in.key_bytes(), in.value_bytes(), in.timestamp())) {
    throw DecodeError("the record is no MessagePack, or nested too deeply");
  }
  to.push_back('\n');
  return writer.replaced();
}

void Write::flush() {
  OutputFile& target = file(context().shard());
  target.sync();
  set_position(target.length());
}

void Write::close(std::uint32_t shard) { files_.erase(shard); }

OutputFile& Write::file(std::uint32_t shard) {
  const auto found = files_.find(shard);
  if (found == files_.end()) throw Fatal("file.write was not given the file of shard " + std::to_string(shard));
  return found->second;
}

}  // namespace weir::file
