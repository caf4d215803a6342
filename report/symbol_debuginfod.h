/*
 * libdebuginfod, which fetches debug files from servers, is loaded only if it is asked for. libdwfl of elfutils
 * before 0.190 loads it for each module without debug information, to learn then that no server is named: some 40
 * libraries (curl, TLS, Kerberos, LDAP) in the watcher of each program. dlopen is therefore defined here: it refuses
 * that one library until symbol_debuginfod_load was called, and passes all else on. Layer 1.
 */
#ifndef REPORT_SYMBOL_DEBUGINFOD_H
#define REPORT_SYMBOL_DEBUGINFOD_H

#include <stdbool.h>

/* Before the first symbol is looked up: libdwfl tries once. false: it is not installed. */
bool symbol_debuginfod_load(void);

#endif
