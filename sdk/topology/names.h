// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// Whether `text` may name a topology, stage, stream or port: [a-z][a-z0-9_-]{0,62}.
bool is_name(std::string_view text);

/// `text` in quotation marks, cut where it is very long.
std::string in_quotes(std::string_view text);

/// The one of `options` that a person who wrote `wrong` most likely meant, or "": at most a third of its letters
/// inserted, deleted, changed or swapped with the next one.
std::string nearest(std::string_view wrong, const std::vector<std::string>& options);

/// `no stream "wrods"; did you mean "words"? (streams: counts, lines, words)`.
std::string no_such(std::string_view noun, std::string_view wrong, std::string_view plural,
                    std::vector<std::string> options);

}  // namespace weir
