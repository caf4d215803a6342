/* The other end of the control socket: asks the watcher of a process. Layer 3. */
#ifndef REPORT_CALLER_H
#define REPORT_CALLER_H

#include <stddef.h>
#include <stdint.h>

/* The reply to a request (request.h), malloc'ed: one line without its end. NULL: nobody answers, and `why` holds
   one line. Waits for as long as the command takes. */
char *caller_ask(uint32_t pid, const char *request, char *why, size_t why_bytes);

#endif
