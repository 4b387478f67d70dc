# A file *_test.cc that nobody registered must end the configuration, with its name.
# cmake -DMODULES=<folder of FugoTest.cmake> -DSCRATCH=<folder to use> -P unregistered_test.cmake
file(REMOVE_RECURSE ${SCRATCH})
file(WRITE ${SCRATCH}/CMakeLists.txt "
cmake_minimum_required(VERSION 3.25)
project(tiny LANGUAGES NONE)
list(APPEND CMAKE_MODULE_PATH ${MODULES})
include(FugoTest)
set_property(GLOBAL APPEND PROPERTY FUGO_REGISTERED_TESTS base/known_test.cc)
fugo_check_all_tests_registered()
")
file(WRITE ${SCRATCH}/tests/base/known_test.cc "")

# configure leaves the exit code and all output of configuring the tiny project.
macro(configure)
  execute_process(COMMAND ${CMAKE_COMMAND} -G Ninja -S ${SCRATCH} -B ${SCRATCH}/build
                  RESULT_VARIABLE exit_code OUTPUT_VARIABLE output ERROR_VARIABLE output)
endmacro()

configure()
if(NOT exit_code EQUAL 0)
  message(FATAL_ERROR "a project whose tests are registered was refused:\n${output}")
endif()
file(WRITE ${SCRATCH}/tests/base/forgotten_test.cc "")
configure()
if(exit_code EQUAL 0)
  message(FATAL_ERROR "tests/base/forgotten_test.cc was not missed:\n${output}")
endif()
string(REGEX REPLACE "[ \n]+" " " output "${output}")  # cmake breaks the lines of its messages
if(NOT output MATCHES "tests/base/forgotten_test.cc is not registered: add a fugo_test")
  message(FATAL_ERROR "the message does not say which test:\n${output}")
endif()
file(REMOVE_RECURSE ${SCRATCH})
