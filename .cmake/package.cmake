# What is installed besides library, program, header and man page (their folders install those): so that builds find
# the header, shells complete, and the licences of what is linked in are at hand.
include(CMakePackageConfigHelpers)
set(from ${CMAKE_CURRENT_LIST_DIR}/package)
set(to ${CMAKE_CURRENT_BINARY_DIR}/package)
configure_file(${from}/poolprof.pc.in ${to}/poolprof.pc @ONLY)
configure_package_config_file(${from}/poolprof-config.cmake.in ${to}/poolprof-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/poolprof PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${to}/poolprof-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${to}/poolprof.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${to}/poolprof-config.cmake ${to}/poolprof-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/poolprof)
install(FILES ${from}/completion.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME poolprof)
install(FILES ${from}/completion.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _poolprof)
install(FILES ${from}/licences.txt DESTINATION ${CMAKE_INSTALL_DOCDIR})
