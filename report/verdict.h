/*
 * From a symbolised model with kinds to the verdict: suppressions by the options in force. Used when a
 * process has ended and for a check while it runs. Layer 2.
 */
#ifndef REPORT_VERDICT_H
#define REPORT_VERDICT_H

#include "model.h"
#include "poolprof/options.h"

/* `directory` is where relative names count from. What is wrong with the file of suppressions, or with the
   program's own (__lsan_default_suppressions), is told to `warn`, a line each. Nothing happens to a model
   without a scan. */
void verdict_suppress(struct model *model, const struct pp_options *options, const char *directory,
                      void (*warn)(void *context, const char *line), void *context);

#endif
