# SPDX-License-Identifier: Apache-2.0

# weir_standard_stages(NAME SOURCES a.cc ... [LIBRARIES target ...]): one family of standard stages, as the library
# lib/weir/NAME.so. They are plugins like any other, made by the same function, and see only the public headers.
include(${CMAKE_SOURCE_DIR}/sdk/cmake/weir_add_stages.cmake)
function(weir_standard_stages name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
  set(target stages_${name})
  weir_add_stages(${target} SOURCES ${arg_SOURCES} LIBRARIES weir_options ${arg_LIBRARIES})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/weir)
  install(TARGETS ${target} LIBRARY DESTINATION lib/weir)
endfunction()
