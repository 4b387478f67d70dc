# fugo_test(NAME LABELS ... LIBRARIES ... SOURCES ...): tests/NAME_test.cc as one ctest program.
# A program is one line of ctest's output, with all of its cases.
set_property(GLOBAL PROPERTY FUGO_REGISTERED_TESTS "")

function(fugo_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "LABELS;LIBRARIES;SOURCES;DEFINITIONS" ${ARGN})
  if(NOT arg_LABELS)
    message(FATAL_ERROR "fugo_test(${name}): give it a label: unit, contract, property, fault or cli")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 900) # against hanging; no test waits for time
  endif()
  string(REPLACE "/" "_" target ${name})
  add_executable(${target}_test ${PROJECT_SOURCE_DIR}/tests/${name}_test.cc ${arg_SOURCES})
  target_link_libraries(${target}_test PRIVATE ${arg_LIBRARIES} GTest::gtest GTest::gtest_main
                                               GTest::gmock)
  target_compile_definitions(${target}_test PRIVATE ${arg_DEFINITIONS}
    FUGO_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data" FUGO_BINARY_DIR="${PROJECT_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${target}_test)
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
  set_property(GLOBAL APPEND PROPERTY FUGO_REGISTERED_TESTS ${name}_test.cc)
endfunction()

# fugo_device_test(NAME ...): as fugo_test, and the same program once more with each other PKCS#11
# implementation of tests/hsm/token_fixture.h, as NAME/without-ecb and NAME/nss.
function(fugo_device_test name)
  cmake_parse_arguments(arg "" "" "LABELS;LIBRARIES;SOURCES;DEFINITIONS" ${ARGN})
  fugo_test(${name} ${ARGN})
  string(REPLACE "/" "_" target ${name})
  foreach(device without-ecb nss)
    add_test(NAME ${name}/${device} COMMAND ${target}_test)
    set_tests_properties(${name}/${device} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 900
                         ENVIRONMENT FUGO_TEST_DEVICE=${device})
  endforeach()
endfunction()

# fugo_check_all_tests_registered(): a file *_test.cc that no fugo_test names ends the build.
function(fugo_check_all_tests_registered)
  file(GLOB_RECURSE found CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/tests
       ${PROJECT_SOURCE_DIR}/tests/*_test.cc)
  get_property(registered GLOBAL PROPERTY FUGO_REGISTERED_TESTS)
  foreach(file IN LISTS found)
    if(NOT file IN_LIST registered)
      message(FATAL_ERROR "tests/${file} is not registered: add a fugo_test() for it")
    endif()
  endforeach()
endfunction()
