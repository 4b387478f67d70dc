# What `cmake --install` puts where, in four components: library, development,
# daemon, agency.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS fugo_library EXPORT fugo
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development)

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/fugo)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/api/include/fugo
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(EXPORT fugo NAMESPACE fugo:: FILE fugoTargets.cmake
  DESTINATION ${package_directory} COMPONENT development)
configure_package_config_file(${PROJECT_SOURCE_DIR}/packaging/fugoConfig.cmake.in
  ${PROJECT_BINARY_DIR}/packaging/fugoConfig.cmake INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/packaging/fugoConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
# The package may be moved: pkg-config finds the prefix from where fugo.pc is.
file(RELATIVE_PATH FUGO_PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${PROJECT_SOURCE_DIR}/packaging/fugo.pc.in ${PROJECT_BINARY_DIR}/packaging/fugo.pc
  @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/packaging/fugoConfig.cmake
              ${PROJECT_BINARY_DIR}/packaging/fugoConfigVersion.cmake
  DESTINATION ${package_directory} COMPONENT development)
install(FILES ${PROJECT_BINARY_DIR}/packaging/fugo.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
install(FILES ${PROJECT_SOURCE_DIR}/man/libfugo.3
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT development)

install(TARGETS fugo fugod RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT daemon)
install(FILES ${FUGO_REFERENCE}/fugo.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT daemon)
install(FILES ${PROJECT_SOURCE_DIR}/man/fugo.toml.5
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man5 COMPONENT daemon)
install(FILES ${PROJECT_SOURCE_DIR}/man/fugod.8
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man8 COMPONENT daemon)
install(FILES ${FUGO_REFERENCE}/fugo.bash RENAME fugo
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT daemon)
install(FILES ${PROJECT_SOURCE_DIR}/daemon/seeing/fugo-alerts.yml
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fugo COMPONENT daemon)
# An agency has them without the rest.
install(PROGRAMS ${PROJECT_SOURCE_DIR}/examples/agency/keep-symbols.sh
                 ${PROJECT_SOURCE_DIR}/examples/agency/move-symbols.sh
                 ${PROJECT_SOURCE_DIR}/examples/agency/open-answer.sh
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fugo/agency COMPONENT agency)
install(FILES ${PROJECT_SOURCE_DIR}/examples/agency/answer.sh
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fugo/agency COMPONENT agency)
install(FILES ${PROJECT_SOURCE_DIR}/daemon/systemd/fugo.sysusers RENAME fugo.conf
  DESTINATION lib/sysusers.d COMPONENT daemon)
# The unit names the program where it is installed, which only the installation knows.
install(CODE "
  get_filename_component(prefix \"\${CMAKE_INSTALL_PREFIX}\" ABSOLUTE)
  set(FUGO_BINDIR \"\${prefix}/${CMAKE_INSTALL_BINDIR}\")
  set(unit \"\${prefix}/lib/systemd/system/fugod.service\")
  message(STATUS \"Installing: \$ENV{DESTDIR}\${unit}\")
  configure_file(\"${PROJECT_SOURCE_DIR}/daemon/systemd/fugod.service.in\"
    \"\$ENV{DESTDIR}\${unit}\" @ONLY)
  list(APPEND CMAKE_INSTALL_MANIFEST_FILES \"\${unit}\")" COMPONENT daemon)

# Debian packages: cpack --config build/CPackConfig.cmake
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "fugo <fugo@localhost>" CACHE STRING "Maintainer of the packages")
set(CPACK_PACKAGE_VENDOR fugo)
set(CPACK_COMPONENTS_ALL library development daemon agency)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_SET_DESTDIR ON) # the unit is given the path that it will have
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libfugo0)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS tzdata)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libfugo-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libfugo0 (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_DAEMON_PACKAGE_NAME fugo)
set(CPACK_DEBIAN_DAEMON_PACKAGE_DEPENDS tzdata)
set(CPACK_DEBIAN_DAEMON_PACKAGE_SUGGESTS "softhsm2, prometheus")
set(CPACK_DEBIAN_DAEMON_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/packaging/debian/postinst ${PROJECT_SOURCE_DIR}/packaging/debian/prerm
  ${PROJECT_SOURCE_DIR}/packaging/debian/postrm)
set(CPACK_DEBIAN_AGENCY_PACKAGE_NAME fugo-agency)
set(CPACK_DEBIAN_AGENCY_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_AGENCY_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_AGENCY_PACKAGE_DEPENDS openssl)
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "linking in a process of its own, with an HSM (library)")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
  "linking in a process of its own, with an HSM (headers and documentation)")
set(CPACK_COMPONENT_DAEMON_DESCRIPTION
  "issues, keeps and links symbols of people, derived inside an HSM")
set(CPACK_COMPONENT_AGENCY_DESCRIPTION "opens what a site answers an agency, and keeps its symbols")
include(CPack)
