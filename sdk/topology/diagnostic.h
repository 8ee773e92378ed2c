// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weir {

enum class Severity : std::uint8_t { kError, kWarning };

/// One finding about a topology file.
struct Diagnostic {
  Severity severity = Severity::kError;
  std::string file;        ///< as given, or "--set" where the value came from the command line
  std::uint32_t line = 1;  ///< of the key; of "--set", which of them, from 1
  std::string pointer;     ///< JSON Pointer, "" for the whole text
  std::string message;     ///< a sentence
};

/// "FILE:LINE: POINTER: sentence", or "FILE:LINE: POINTER: warning: sentence"; always one line of UTF-8. Without a
/// pointer that part is left out.
std::string to_text(const Diagnostic& diagnostic);

/// The array that `weir validate --json` prints: [{"severity","file","line","pointer","message"}].
std::string to_json(const std::vector<Diagnostic>& diagnostics);

/// Whether any of them is an error.
bool has_errors(const std::vector<Diagnostic>& diagnostics);

}  // namespace weir
