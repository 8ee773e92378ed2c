// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sdk/topology/diagnostic.h"
#include "sdk/topology/json_document.h"

namespace weir {

/// Gathers the findings about one document and gives each the line that its pointer leads to. After
/// `kFindingsMax` it takes no more, so that no file makes us print for ever. Lifetime: `root` must outlive it.
class Report {
 public:
  static constexpr std::size_t kFindingsMax = 200;

  Report(std::string file, const JsonNode& root) : file_(std::move(file)), root_(root) {}

  void error(std::string_view pointer, std::string message) { add(Severity::kError, pointer, std::move(message)); }
  void warning(std::string_view pointer, std::string message) { add(Severity::kWarning, pointer, std::move(message)); }
  /// `"auto" is not built in this version of Weir`.
  void not_built(std::string_view pointer, std::string_view what);
  [[nodiscard]] bool full() const { return found_.size() >= kFindingsMax; }
  [[nodiscard]] std::size_t errors() const { return errors_; }
  [[nodiscard]] const JsonNode& root() const { return root_; }
  std::vector<Diagnostic> take() { return std::move(found_); }

 private:
  void add(Severity severity, std::string_view pointer, std::string message);

  std::string file_;
  const JsonNode& root_;
  std::vector<Diagnostic> found_;
  std::size_t errors_ = 0;
};

}  // namespace weir
