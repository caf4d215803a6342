/*
 * The model of a process as it runs, for commands: what its segment says and what the watcher remembers of it.
 * Any thread. Layer 4.
 */
#ifndef REPORT_LIVE_H
#define REPORT_LIVE_H

#include "control.h"
#include "model.h"
#include "scanner.h"

/* Not symbolised; leaks.scan is `scan`. NULL: it cannot be read any more. The call is released. */
struct model *live_model(struct control_call *call, const char *scan);

/* After a leak scan, symbolised and suppressed; without samples and alerts. The call is released before the scan. */
struct model *live_leaks(struct control_call *call);

/* Functions and lines. */
void live_symbols(struct model *model);

#endif
