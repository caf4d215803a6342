/* The brief report: what the library itself prints at exit when no watcher does. */
#ifndef PP_BRIEF_H
#define PP_BRIEF_H

/* Totals and the 20 sites with most outstanding bytes as module+offset, to stderr; leaves the segment
   under the profile's name for `poolprof report`. At the end of the process only; any thread. */
void pp_brief_report(void);

/* At start, when it is known that no watcher will report: keeps a way to stderr for programs that close
   theirs before our last handler runs (all of coreutils). A close-on-exec descriptor with a high
   number; in this mode only. */
void pp_brief_prepare(void);

#endif
