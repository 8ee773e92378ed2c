// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weir/config.h"
#include "weir/pointer.h"
#include "weir/record.h"

namespace weir::file {

/// Records as lines of CSV (RFC 4180): a header, fields in quotes where they need it, CRLF. A field is a string as it
/// is, a number or boolean as in JSON, nothing where the record has nothing there, and JSON text for lists and maps.
class Csv {
 public:
  /// `columns` of the configuration, or key, value and timestamp. Errors: ConfigError.
  explicit Csv(const Config& config);

  void append_header(std::string& out) const;
  /// Appends the record's line; returns how many sequences of bytes were no UTF-8. Errors: DecodeError, nothing
  /// appended.
  std::uint64_t append(std::string& out, const RecordView& record);

 private:
  enum class Part { kKey, kValue, kTimestamp };
  struct Column {
    std::string name;
    Part part;
    Pointer pointer;  ///< within the part
  };

  void add(std::string name, const std::string& pointer);
  std::uint64_t append_field(std::string& out, const Column& column, const RecordView& record);

  std::vector<Column> columns_;
  std::string json_;
};

}  // namespace weir::file
