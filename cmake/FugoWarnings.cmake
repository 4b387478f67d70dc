# One interface target carries warnings, hardening and sanitizers for every target of ours.
add_library(fugo_flags INTERFACE)
target_compile_options(fugo_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow)
if(FUGO_WERROR)
  target_compile_options(fugo_flags INTERFACE -Werror)
endif()
target_include_directories(fugo_flags INTERFACE ${PROJECT_SOURCE_DIR})
if(FUGO_SANITIZE)
  target_compile_options(fugo_flags INTERFACE -fsanitize=${FUGO_SANITIZE} -fno-omit-frame-pointer
                                              -fno-sanitize-recover=all)
  target_link_options(fugo_flags INTERFACE -fsanitize=${FUGO_SANITIZE})
elseif(CMAKE_BUILD_TYPE MATCHES "Rel")
  target_compile_options(fugo_flags INTERFACE -fstack-protector-strong -D_FORTIFY_SOURCE=2)
  target_link_options(fugo_flags INTERFACE -Wl,-z,relro,-z,now)
endif()

if(FUGO_FUZZ)
  target_compile_options(fugo_flags INTERFACE -fsanitize=fuzzer-no-link -gline-tables-only -O1)
endif()

# fugo_layer(NAME SOURCES ... APART ... PUBLIC ... PRIVATE ...): one layer, a static library
# fugo_NAME. With FUGO_TOGETHER several sources are compiled as one, which takes a quarter of the
# time: headers are read, and their templates made, once for all of them. Sources APART are compiled
# by themselves, for they have a name of their own that another source has too.
function(fugo_layer name)
  cmake_parse_arguments(arg "" "" "SOURCES;APART;PUBLIC;PRIVATE" ${ARGN})
  add_library(fugo_${name} STATIC ${arg_SOURCES} ${arg_APART})
  target_link_libraries(fugo_${name} PUBLIC fugo_flags ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
  set_target_properties(fugo_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON
    UNITY_BUILD ${FUGO_TOGETHER} UNITY_BUILD_BATCH_SIZE 8)
  set_source_files_properties(${arg_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
