/* The public API, include/poolprof/poolprof.h. */
#include "poolprof/poolprof.h"

#include "base.h"
#include "process.h"

PP_EXPORT int poolprof_health_now(void) { return (int)pp_process_health(); }
