# room(NAME USES room...): one folder of src/ as one static library.
#
#   *.cc          the room            *_test.cc   GoogleTest, one binary for the room
#   *_bench.cc    Google Benchmark    *_fuzz.cc   libFuzzer, one binary for each file
#
# A room may only use rooms declared above it, so the order of the room() lines is the
# layering and a cycle cannot be written down. tools/tidy.py holds #include lines to it.
function(room name)
  cmake_parse_arguments(arg "" "" "USES;LIBS" ${ARGN})
  foreach(used ${arg_USES})
    if(NOT TARGET onebox_${used})
      message(FATAL_ERROR "room ${name} uses ${used}, which is not declared above it")
    endif()
  endforeach()
  list(TRANSFORM arg_USES PREPEND onebox_ OUTPUT_VARIABLE uses)

  file(GLOB all CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cc)
  file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.h)
  set(sources ${all})
  list(FILTER sources EXCLUDE REGEX "_(test|bench|fuzz)\\.cc$")
  list(FILTER sources EXCLUDE REGEX "/(main|module)\\.cc$")  # a program's, not the room's
  set(tests ${all})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  set(benches ${all})
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")
  set(fuzzers ${all})
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")

  set(scope PUBLIC)
  if(sources)
    add_library(onebox_${name} STATIC ${sources})
    target_link_libraries(onebox_${name} PRIVATE onebox_flags)
    target_compile_options(onebox_${name} PRIVATE  # GoogleTest needs them; rooms do not
      $<$<CXX_COMPILER_ID:Clang>:-Wglobal-constructors>)
  else()
    add_library(onebox_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  # A header compiles by itself because its .cc includes it first (tidy.py); the others are built alone.
  foreach(header ${headers})
    string(REGEX REPLACE "h$" "cc" source ${header})
    if(source IN_LIST sources)
      list(REMOVE_ITEM headers ${header})
    endif()
  endforeach()
  target_sources(onebox_${name} ${scope} FILE_SET HEADERS
    BASE_DIRS ${CMAKE_CURRENT_SOURCE_DIR} FILES ${headers})
  target_link_libraries(onebox_${name} ${scope} ${uses} ${arg_LIBS})
  set_target_properties(onebox_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)

  if(ONEBOX_TESTED_ROOMS AND NOT name IN_LIST ONEBOX_TESTED_ROOMS)
    set(tests "")
    set(benches "")
  endif()
  if(ONEBOX_DEVELOPER AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE onebox_${name} onebox_flags GTest::gmock_main)
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}."
                         WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}  # they read fuzz/ and docs/
                         PROPERTIES LABELS unit TIMEOUT 60)
  endif()
  if(ONEBOX_DEVELOPER AND benches)
    add_executable(${name}_bench ${benches})
    target_link_libraries(${name}_bench PRIVATE onebox_${name} onebox_flags benchmark::benchmark_main)
  endif()
  if(ONEBOX_FUZZ)
    foreach(file ${fuzzers})
      get_filename_component(fuzzer ${file} NAME_WE)
      add_executable(${fuzzer} ${file})
      target_link_libraries(${fuzzer} PRIVATE onebox_${name} onebox_flags)
      target_link_options(${fuzzer} PRIVATE -fsanitize=fuzzer)
      add_dependencies(fuzzers ${fuzzer})
      set(found ${CMAKE_BINARY_DIR}/corpus/${fuzzer})  # libFuzzer writes into the first folder
      file(MAKE_DIRECTORY ${found})
      set(seeds ${PROJECT_SOURCE_DIR}/fuzz/${fuzzer})
      if(NOT IS_DIRECTORY ${seeds})
        set(seeds "")
      endif()
      add_test(NAME fuzz.${fuzzer}
               COMMAND ${fuzzer} -runs=20000 -max_total_time=20 ${found} ${seeds})
      set_tests_properties(fuzz.${fuzzer} PROPERTIES LABELS fuzz)
    endforeach()
  endif()
endfunction()
