// SPDX-License-Identifier: Apache-2.0
#include "weir/state_types.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "weir/encode.h"

namespace {

template <typename T>
std::string packed(const T& value) {
  std::string bytes;
  weir::encode(bytes, value);
  return bytes;
}

template <typename Stage, typename T>
typename weir::StateTrial<Stage>::Answer judge(weir::StateTrial<Stage>& trial, std::string_view name, const T& value) {
  const std::string bytes = packed(value);
  std::string why;
  return trial.judge(name, std::as_bytes(std::span(bytes)), why);
}

struct Declares {
  using States = weir::States<weir::State<std::int64_t>, weir::State<std::string, "names">>;
};
struct Silent {};

using Known = weir::StateTrial<Declares>::Answer;
using Guessed = weir::StateTrial<Silent>::Answer;

TEST(StateTrial, JudgesWhatAStageDeclaresByItsTypes) {
  weir::StateTrial<Declares> trial;
  EXPECT_EQ(judge(trial, "", 7), Known::kReads);
  EXPECT_EQ(judge(trial, "", "seven"), Known::kCannot);
  EXPECT_EQ(judge(trial, "names", "seven"), Known::kReads);
  EXPECT_EQ(judge(trial, "names", 7), Known::kCannot);
  EXPECT_EQ(judge(trial, "others", std::vector<int>{7}), Known::kReads) << "it does not look at them";
}

TEST(StateTrial, SaysWhatItFound) {
  weir::StateTrial<Declares> trial;
  const std::string bytes = packed("seven");
  std::string why;
  EXPECT_EQ(trial.judge("", std::as_bytes(std::span(bytes)), why), Known::kCannot);
  EXPECT_EQ(why, "expected an integer, found the string \"seven\"");
}

TEST(StateTrial, OfAStageThatDeclaresNothingAllValuesOfAStateAreOfOneTypeOfTheLibrary) {
  weir::StateTrial<Silent> nothing;
  EXPECT_EQ(judge(nothing, "", 7), Guessed::kUnknown) << "the library keeps no state";
  weir::StateTypeOf<std::int64_t>::add();
  weir::StateTypeOf<std::string>::add();
  weir::StateTrial<Silent> trial;
  EXPECT_EQ(judge(trial, "", 7), Guessed::kReads);
  EXPECT_EQ(judge(trial, "", 8), Guessed::kReads);
  EXPECT_EQ(judge(trial, "names", "seven"), Guessed::kReads);
  EXPECT_EQ(judge(trial, "", "seven"), Guessed::kCannot) << "the others were integers";
  EXPECT_EQ(judge(trial, "lists", std::vector<int>{7}), Guessed::kCannot);
}

}  // namespace
