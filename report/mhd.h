/*
 * libmicrohttpd, loaded when something is to be served: it draws in GnuTLS and ten more libraries, which each
 * watcher would carry otherwise, 3 MB of it, and nearly none of them serves. http.c calls its functions as
 * mhd.start_daemon(...) instead of MHD_start_daemon(...). Layer 4.
 */
#ifndef REPORT_MHD_H
#define REPORT_MHD_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#define MHD_CALLS(CALL)                                                                                         \
    CALL(add_response_header) CALL(create_response_from_buffer) CALL(create_response_from_callback)             \
    CALL(destroy_response) CALL(get_connection_info) CALL(get_connection_values) CALL(lookup_connection_value)  \
    CALL(queue_response) CALL(resume_connection) CALL(start_daemon) CALL(stop_daemon) CALL(suspend_connection)

struct mhd {
#define CALL(name) __typeof__(MHD_##name) *name;
    MHD_CALLS(CALL)
#undef CALL
};
extern struct mhd mhd; /* read-only once mhd_load has returned true */

/* Before any call; again does no harm. false: `why` says what is missing. Not from two threads at once. */
bool mhd_load(char *why, size_t why_bytes);

#endif
