// SPDX-License-Identifier: Apache-2.0
#include "stages/text/words.h"

#include <array>

#include "stages/text/pattern.h"

namespace weir::text {
namespace {

constexpr std::string_view kLetters = "[A-Za-z]+";

constexpr auto kIsLetter = [] {
  std::array<bool, 256> is_letter{};
  for (unsigned letter = 'a'; letter <= 'z'; ++letter) is_letter[letter] = is_letter[letter - 'a' + 'A'] = true;
  return is_letter;
}();

bool is_letter(char byte) { return kIsLetter[static_cast<unsigned char>(byte)]; }

}  // namespace

Words::Words(const Config& config) : lowercase_(config.get<bool>("/lowercase", true)) {
  const auto pattern = config.get<std::string>("/pattern", std::string(kLetters));
  if (pattern != kLetters) pattern_ = compile("/pattern", pattern);
}

void Words::process(const RecordView& in, Context& out) {
  const auto text = in.value<std::string_view>();
  if (pattern_ == nullptr) {
    for (std::size_t at = 0; at < text.size();) {
      if (!is_letter(text[at])) {
        ++at;
        continue;
      }
      const std::size_t start = at;
      while (at < text.size() && is_letter(text[at])) ++at;
      emit(text.substr(start, at - start), out);
    }
    return;
  }
  re2::StringPiece word;
  const re2::StringPiece whole(text.data(), text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (!pattern_->Match(whole, at, text.size(), re2::RE2::UNANCHORED, &word, 1)) break;
    const auto start = static_cast<std::size_t>(word.data() - text.data());
    if (!word.empty()) emit({word.data(), word.size()}, out);
    at = start + (word.empty() ? 1 : word.size());
  }
}

void Words::emit(std::string_view word, Context& out) {
  if (lowercase_) {
    lowered_.assign(word);
    for (char& letter : lowered_) {
      if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter | 0x20);
    }
    word = lowered_;
  }
  out.emit(word, 1);
}

}  // namespace weir::text
