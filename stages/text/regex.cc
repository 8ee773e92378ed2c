// SPDX-License-Identifier: Apache-2.0
#include "stages/text/regex.h"

#include <stdexcept>

#include "stages/text/pattern.h"

namespace weir::text {

Regex::Regex(const Config& config) : pattern_(compile("/pattern", config.get<std::string>("/pattern"))) {
  for (const auto& [number, name] : pattern_->CapturingGroupNames()) groups_.push_back({name, number});
  if (groups_.empty()) throw ConfigError("/pattern: has no named group; write one as (?P<name>...)");
  found_.resize(static_cast<std::size_t>(pattern_->NumberOfCapturingGroups()) + 1);
}

void Regex::process(const RecordView& in, Context& out) {
  const auto text = in.value<std::string_view>();
  if (!pattern_->Match({text.data(), text.size()}, 0, text.size(), re2::RE2::UNANCHORED, found_.data(),
                       static_cast<int>(found_.size()))) {
    throw std::runtime_error("the pattern does not match " + in.value().describe());
  }
  map_.clear();
  encode_map_head(map_, static_cast<std::uint32_t>(groups_.size()));
  for (const Group& group : groups_) {
    const re2::StringPiece& part = found_[static_cast<std::size_t>(group.number)];
    encode_text(map_, group.name);
    encode_text(map_, {part.data(), part.size()});
  }
  out.emit(in.key(), ValueView(std::as_bytes(std::span(map_))));
}

}  // namespace weir::text
