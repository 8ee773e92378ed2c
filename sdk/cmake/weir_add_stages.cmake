# SPDX-License-Identifier: Apache-2.0
# Stage libraries and their tests, for Weir's own stages and for yours.

# weir_add_stages(NAME SOURCES a.cc ... [LIBRARIES target ...]): the stage library NAME.so, a target NAME. It exports
# nothing but what WEIR_STAGE, WEIR_LIBRARY or (in C) WEIR_EXPORT say. Sources are C++20, or C against weir/abi.h.
function(weir_add_stages name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "weir_add_stages(${name}): write it as weir_add_stages(NAME SOURCES a.cc ... [LIBRARIES target ...])")
  endif()
  add_library(${name} MODULE ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE weir::include ${arg_LIBRARIES})
  target_link_options(${name} PRIVATE LINKER:--as-needed)
  set_target_properties(${name} PROPERTIES
    PREFIX "" SUFFIX ".so" POSITION_INDEPENDENT_CODE ON
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
endfunction()

# weir_add_stage_test(NAME SOURCES a_test.cc ... STAGES TARGET [LIBRARIES target ...]): a googletest program over
# weir/testing.h, each TEST a ctest entry (call enable_testing() first). STAGES_LIBRARY is, in its sources, the path of
# the library that weir_add_stages(TARGET ...) makes. Where a target NAME exists already, such as the library under
# test, the program is NAME_test. Nothing is made where BUILD_TESTING is off.
function(weir_add_stage_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "STAGES" "SOURCES;LIBRARIES")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES OR NOT arg_STAGES)
    message(FATAL_ERROR "weir_add_stage_test(${name}): write it as weir_add_stage_test(NAME SOURCES a_test.cc ... STAGES TARGET)")
  endif()
  if(NOT TARGET ${arg_STAGES})
    message(FATAL_ERROR "weir_add_stage_test(${name}): there is no target ${arg_STAGES}; make it first with weir_add_stages")
  endif()
  if(DEFINED BUILD_TESTING AND NOT BUILD_TESTING)
    return()
  endif()
  find_package(GTest QUIET)
  if(NOT TARGET GTest::gtest_main)
    message(FATAL_ERROR "weir_add_stage_test(${name}): googletest was not found; install it (Debian: libgtest-dev), or build without the test: -DBUILD_TESTING=OFF")
  endif()
  include(GoogleTest)
  if(TARGET ${name})
    string(APPEND name _test)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE weir::testing GTest::gtest_main ${arg_LIBRARIES})
  target_compile_definitions(${name} PRIVATE STAGES_LIBRARY="$<TARGET_FILE:${arg_STAGES}>")
  add_dependencies(${name} ${arg_STAGES})
  set_target_properties(${name} PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST)
endfunction()
