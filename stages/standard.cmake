# SPDX-License-Identifier: Apache-2.0

# weir_standard_stages(NAME SOURCES a.cc ... [LIBRARIES target ...]): one family of standard stages, as the library
# lib/weir/NAME.so. They are plugins like any other and see only the public headers.
function(weir_standard_stages name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
  set(target stages_${name})
  add_library(${target} MODULE ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE weir_options weir_include ${arg_LIBRARIES})
  set_target_properties(${target} PROPERTIES PREFIX "" SUFFIX ".so" OUTPUT_NAME ${name}
                        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/weir)
  install(TARGETS ${target} LIBRARY DESTINATION lib/weir)
endfunction()
