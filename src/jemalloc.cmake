# Debian's static, position-independent jemalloc under names of our own, so that a program that brings
# its own jemalloc and we never meet. Member jemalloc_cpp (operator new, libstdc++) is dropped; the
# names that jemalloc takes from outside and that would let the host in (environment, /etc) or draw in
# libraries are pointed at pp_stub_* in src/backing.c.
find_library(PP_JEMALLOC_PIC NAMES libjemalloc_pic.a REQUIRED)
set(jemalloc ${CMAKE_CURRENT_BINARY_DIR}/libpp_jemalloc.a)
add_custom_command(OUTPUT ${jemalloc}
  COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/jemalloc_rename.sh ${PP_JEMALLOC_PIC} ${jemalloc}
  DEPENDS ${PP_JEMALLOC_PIC} ${CMAKE_CURRENT_SOURCE_DIR}/jemalloc_rename.sh
  VERBATIM)
add_custom_target(pp_jemalloc_build DEPENDS ${jemalloc})
add_library(pp_jemalloc STATIC IMPORTED GLOBAL)
set_target_properties(pp_jemalloc PROPERTIES IMPORTED_LOCATION ${jemalloc})
add_dependencies(pp_jemalloc pp_jemalloc_build)
