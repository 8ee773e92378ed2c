// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string_view>

namespace weir::launcher {

/// One file of the folder that `weir new-stage` writes. @NAME@, @CLASS@ and @PREFIX@ stand for the stage's name, its
/// C++ class and where Weir is installed, in names as in texts.
struct TemplateFile {
  std::string_view name;
  std::string_view text;
};

inline constexpr std::array kStageTemplate = {
    TemplateFile{"CMakeLists.txt", R"(cmake_minimum_required(VERSION 3.25)
project(@NAME@ LANGUAGES CXX)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_package(weir REQUIRED HINTS "@PREFIX@")
enable_testing()

weir_add_stages(@NAME@ SOURCES @NAME@.cc)
weir_add_stage_test(@NAME@_test SOURCES @NAME@_test.cc STAGES @NAME@)
)"},
    TemplateFile{"@NAME@.cc", R"(#include <weir/stage.h>

// Lets through the records whose value is above a threshold.
class @CLASS@ final : public weir::Stage {
 public:
  static constexpr bool kKeyed = false;
  static constexpr std::string_view kSchema = R"json({
    "type": "object",
    "properties": {"above": {"type": "number"}},
    "required": ["above"],
    "additionalProperties": false
  })json";

  explicit @CLASS@(const weir::Config& config) : above_(config.get<double>("/above")) {}

  void process(const weir::RecordView& in, weir::Context& out) override {
    if (in.value<double>() > above_) out.emit(in.key(), in.value());
  }

 private:
  double above_;
};
WEIR_STAGE(@CLASS@, "@NAME@");
)"},
    TemplateFile{"@NAME@_test.cc", R"(#include <gtest/gtest.h>
#include <weir/testing.h>

TEST(@CLASS@, LetsThroughWhatIsAboveTheThreshold) {
  weir::testing::Harness stage(STAGES_LIBRARY, "@NAME@", R"json({"above": 2})json");
  stage.feed("a", 1);
  stage.feed("a", 3);
  ASSERT_EQ(stage.outputs().size(), 1U);
  EXPECT_EQ(stage.outputs()[0].value<int>(), 3);
}

TEST(@CLASS@, MakesWhatIsNoNumberADeadLetter) {
  weir::testing::Harness stage(STAGES_LIBRARY, "@NAME@", R"json({"above": 2})json");
  stage.feed("a", "three");
  EXPECT_EQ(stage.dead_letters().size(), 1U);
}
)"},
    TemplateFile{"@NAME@.json", R"({
  "name": "@NAME@",
  "libraries": ["build/@NAME@.so"],
  "streams": { "numbers": {}, "high": {} },
  "stages": {
    "count": { "plugin": "generate.sequence", "output": "numbers", "config": { "from": 1, "to": 100 } },
    "only":  { "plugin": "@NAME@", "input": "numbers", "output": "high", "config": { "above": 95 } },
    "show":  { "plugin": "console.print", "input": "high" }
  }
}
)"},
    TemplateFile{"README.md", R"(# @NAME@

A stage for Weir: `@NAME@.cc` is the stage, `@NAME@_test.cc` tests it, `@NAME@.json` runs it.

    cmake -B build && cmake --build build     # makes build/@NAME@.so
    ctest --test-dir build                    # tests it without a broker (needs libgtest-dev)
    weir run @NAME@.json                      # prints five records: 96 to 100

`find_package(weir)` looks into @PREFIX@ first; `-DCMAKE_PREFIX_PATH=...` names another place.
)"},
};

}  // namespace weir::launcher
