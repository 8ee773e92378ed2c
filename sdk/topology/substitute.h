// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "sdk/base/result.h"
#include "sdk/topology/json_document.h"

namespace weir {

/// Looks a variable up; a file's author sees the process environment, a test what it likes.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// The environment of this process. Not for use beside setenv.
Environment process_environment();

/// `text` with `${NAME}` and `${NAME:-default}` replaced by their values and `$${` by `${`. A variable that is set to
/// nothing counts as a value for `${NAME}`, but not for `${NAME:-default}`, as in a shell.
/// Errors: kInvalid: a form that is none of these, no value and no default, a value that is no UTF-8.
Result<std::string> expand(std::string_view text, const Environment& environment);

/// Whether `text` is one `${...}` and nothing else.
bool is_one_variable(std::string_view text);

/// `text` so that expand() gives it back.
std::string escape_variables(std::string_view text);

/// A stage's configuration, as text, with every `${...}` replaced: what a worker does with StageSpec::config when it
/// starts. A string that is one `${...}` becomes a number or boolean where `schema` (JSON Schema, or "") asks for one.
/// Errors: kInvalid, with the pointer.
Result<std::string> substitute(std::string_view config, std::string_view schema, const Environment& environment);

/// What was wrong with one string of a configuration.
struct SubstitutionProblem {
  std::string pointer;
  std::string message;
};

/// The same on a tree, in place; strings that cannot be replaced stay and are returned. `pointer` is where `config` is.
std::vector<SubstitutionProblem> substitute(JsonNode& config, std::string_view pointer, const JsonNode* schema,
                                            const Environment& environment);

}  // namespace weir
