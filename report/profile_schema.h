/*
 * The schema of a profile, shared by profile.c (writes) and profile_load.c (reads).
 *
 * meta          format = "poolprof.profile", version, written_by; figures that are about the file.
 *               nonce: with the pid, which process it was (core dumps);
 *               sampling_bytes, if there: POOLPROF_TRACK=sample:BYTES, and what sites, ages, peak_sites, tags
 *               and frame_sites say are estimates
 * processes     one row: what ran, how it ended, totals. argv is a JSON array; marks: how many times a new
 *               generation was begun (poolprof ctl PID mark), the last time at marked_s
 * modules       mapped objects; start, end: addresses in memory; bias: memory minus file;
 *               build_id: hexadecimal; id 0 is "no module"
 * frames        distinct code locations after symbolising; address: in the module's file; inlined = 1:
 *               this frame was inlined into the next one outwards. NULL: not known
 * stacks        tree: a row is a frame and the frames outwards of it (parent; NULL at the outer end).
 *               A stack is named by its innermost row
 * sites         (kind, stack, tag) with what is outstanding; stack NULL: not known; truncated = 1: outer
 *               frames are missing; makers: bits 2 malloc, 4 new, 8 new[], 16 reported by the program;
 *               growth_bytes_per_s: of the stack, 0: it does not grow; growth_confidence: 0 to 1;
 *               recent_objects, recent_bytes: allocated since the last mark, where there was one
 * ages          a site's objects and bytes by age: younger than under_s, not younger than the row before
 * roots         what objects are reached from: variables, stacks, ...; those on a site's way, and those that
 *               retain most; retained: what only they hold. kind "named": poolprof_root of the program;
 *               reached: all that can be reached from it. address: of a region that the program has registered
 * root_counts   what a named root reaches, by site, and by class
 * steps         a site's way from its root to its largest object: the objects between, from the root on;
 *               holder: the site of each; objects 0: the middle of a long way is left out here
 * classes       C++ classes of the objects, most bytes first
 * snapshots     moments at which resident memory was critical: those with most of it; objects and bytes: of all sites
 * peak_sites    (stack, tag) at the moment of the kept peak (snapshot NULL), and the largest ones at a snapshot
 * pools         object pools; kind "class" or "named"; capacity, live, peak, window_peak: objects; missed:
 *               requests that another allocator served; grown, shrunk: slabs
 * slabs         one row: slabs with live objects, sparse ones (at most a quarter full), unused bytes in those
 * pins          sparse slabs that the objects of one stack alone keep
 * tags          what each tag holds and held at most; budget_bytes 0: none
 * frame_figures allocations per frame of the program (poolprof_frame): one row
 * worst_frames  those with most allocations; id: as in frame_sites, where the stacks are
 * samples       the process's memory over time
 * costs         processor time that the watcher has taken for the process, by duty
 * alerts, children, blind_spots   as in the JSON report
 *
 * Ids are dense and start at 1 (modules: 0), a stack's parent is older than itself. For people:
 *   SELECT s.bytes, s.objects, f.function, f.file, f.line FROM sites s
 *     JOIN stacks k ON k.id = s.stack JOIN frames f ON f.id = k.frame ORDER BY s.bytes DESC;
 *   WITH RECURSIVE up(id, parent, frame) AS (SELECT * FROM stacks WHERE id = ?
 *     UNION ALL SELECT k.* FROM stacks k JOIN up ON k.id = up.parent)
 *   SELECT function, file, line FROM up JOIN frames f ON f.id = up.frame;
 */
#ifndef REPORT_PROFILE_SCHEMA_H
#define REPORT_PROFILE_SCHEMA_H

#define PROFILE_FORMAT "poolprof.profile"
#define PROFILE_VERSION 6
#define PROFILE_APPLICATION_ID 0x706f6f6c /* "pool": file(1) shows it */

/* Columns are listed once: the names, and how many there are. */
#define PROFILE_PROCESS_COLUMNS                                                                    \
    "pid, parent, exe, argv, started_realtime_ns, duration_s, end, status, cwd, host, scan, "      \
    "tracked, allocations, frees, bytes_allocated, outstanding_objects, outstanding_bytes, "       \
    "peak_bytes, peak_error_bytes, pool_allocations, backing_allocations, temporary_allocations, " \
    "peak_s, peak_kept_bytes, tracker_bytes, leak_age_s, invalid_frees, mismatched_frees, misuses, marks, marked_s"
#define PROFILE_PROCESS_COUNT 31
#define PROFILE_MODULE_COLUMNS "id, path, start, end, bias, build_id, flags"
#define PROFILE_MODULE_COUNT 7
#define PROFILE_FRAME_COLUMNS "id, function, file, line, module, address, inlined"
#define PROFILE_FRAME_COUNT 7
#define PROFILE_STACK_COLUMNS "id, parent, frame"
#define PROFILE_STACK_COUNT 3
#define PROFILE_SITE_COLUMNS                                                                       \
    "id, kind, stack, truncated, tag, type, thread, objects, bytes, oldest_s, newest_s, "          \
    "allocations, bytes_allocated, temporary, stale_objects, retained_bytes, "                     \
    "suspect_objects, suspect_bytes, makers, growth_bytes_per_s, growth_confidence, root, "        \
    "recent_objects, recent_bytes"
#define PROFILE_SITE_COUNT 24
#define PROFILE_ROOT_COLUMNS                                                                       \
    "id, kind, name, thread, module, retained_objects, retained_bytes, reached_objects, reached_bytes, " \
    "address"
#define PROFILE_ROOT_COUNT 10
#define PROFILE_COUNT_COLUMNS "root, site, class, objects, bytes"
#define PROFILE_COUNT_COUNT 5
#define PROFILE_STEP_COLUMNS "site, holder, objects, bytes"
#define PROFILE_STEP_COUNT 4
#define PROFILE_CLASS_COLUMNS "name, objects, bytes, lost_objects, lost_bytes"
#define PROFILE_CLASS_COUNT 5
#define PROFILE_AGE_COLUMNS "site, bucket, under_s, objects, bytes"
#define PROFILE_AGE_COUNT 5
#define PROFILE_SNAPSHOT_COLUMNS "id, t_s, rss_bytes, objects, bytes"
#define PROFILE_SNAPSHOT_COUNT 5
#define PROFILE_PEAK_COLUMNS "snapshot, stack, truncated, tag, objects, bytes"
#define PROFILE_PEAK_COUNT 6
#define PROFILE_POOL_COLUMNS                                                                          \
    "name, kind, object_bytes, capacity, live, peak, window_peak, served, missed, efficiency, grown, "  \
    "shrunk"
#define PROFILE_POOL_COUNT 12
#define PROFILE_SLABS_COLUMNS "slabs, sparse, shared, unused_bytes"
#define PROFILE_SLABS_COUNT 4
#define PROFILE_PIN_COLUMNS "stack, truncated, slabs, objects, unused_bytes"
#define PROFILE_PIN_COUNT 5
#define PROFILE_TAG_COLUMNS "name, objects, bytes, peak_bytes, budget_bytes"
#define PROFILE_TAG_COUNT 5
#define PROFILE_LAPS_COLUMNS "count, least, median, p99, most"
#define PROFILE_LAPS_COUNT 5
#define PROFILE_LAP_COLUMNS "id, number, t_s, allocations"
#define PROFILE_LAP_COUNT 4
#define PROFILE_LAP_SITE_COLUMNS "frame, stack, truncated, allocations"
#define PROFILE_LAP_SITE_COUNT 4
#define PROFILE_SAMPLE_COLUMNS "t_s, rss_bytes, heap_bytes, objects, interval_s"
#define PROFILE_SAMPLE_COUNT 5
#define PROFILE_ALERT_COLUMNS "t_s, rule, level, state, value, threshold, next_s, subject"
#define PROFILE_ALERT_COUNT 8
#define PROFILE_COST_COLUMNS "duty, count, total_s, most_s"
#define PROFILE_COST_COUNT 4
#define PROFILE_CHILD_COLUMNS "pid, exe, end, status, lost_bytes, profile"
#define PROFILE_CHILD_COUNT 6
#define PROFILE_BLIND_COLUMNS "what, count, detail"
#define PROFILE_BLIND_COUNT 3

#define PROFILE_SCHEMA                                                                             \
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"                                \
    "CREATE TABLE processes(" PROFILE_PROCESS_COLUMNS ");"                                         \
    "CREATE TABLE modules(id INTEGER PRIMARY KEY, path TEXT, start INTEGER, end INTEGER, "         \
    "bias INTEGER, build_id TEXT, flags INTEGER);"                                                 \
    "CREATE TABLE frames(id INTEGER PRIMARY KEY, function TEXT, file TEXT, line INTEGER, "         \
    "module INTEGER REFERENCES modules, address INTEGER, inlined INTEGER);"                        \
    "CREATE TABLE stacks(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES stacks, "               \
    "frame INTEGER REFERENCES frames);"                                                            \
    "CREATE TABLE sites(id INTEGER PRIMARY KEY, kind TEXT, stack INTEGER REFERENCES stacks, "      \
    "truncated INTEGER, tag TEXT, type TEXT, thread TEXT, objects INTEGER, bytes INTEGER, "        \
    "oldest_s REAL, newest_s REAL, allocations INTEGER, bytes_allocated INTEGER,"                  \
    "temporary INTEGER, stale_objects INTEGER, retained_bytes INTEGER, "                           \
    "suspect_objects INTEGER, suspect_bytes INTEGER, makers INTEGER, growth_bytes_per_s REAL, "      \
    "growth_confidence REAL, root INTEGER REFERENCES roots, recent_objects INTEGER, "              \
    "recent_bytes INTEGER);"                                                                       \
    "CREATE TABLE roots(id INTEGER PRIMARY KEY, kind TEXT, name TEXT, thread TEXT, "               \
    "module INTEGER REFERENCES modules, retained_objects INTEGER, retained_bytes INTEGER, "             \
    "reached_objects INTEGER, reached_bytes INTEGER, address INTEGER);"                           \
    "CREATE TABLE root_counts(root INTEGER REFERENCES roots, site INTEGER REFERENCES sites, "      \
    "class TEXT, objects INTEGER, bytes INTEGER);"                                                 \
    "CREATE TABLE steps(site INTEGER REFERENCES sites, holder INTEGER REFERENCES sites, "          \
    "objects INTEGER, bytes INTEGER);"                                                             \
    "CREATE TABLE classes(name TEXT, objects INTEGER, bytes INTEGER, lost_objects INTEGER, "       \
    "lost_bytes INTEGER);"                                                                         \
    "CREATE TABLE ages(site INTEGER REFERENCES sites, bucket INTEGER, under_s REAL, "              \
    "objects INTEGER, bytes INTEGER);"                                                             \
    "CREATE TABLE snapshots(id INTEGER PRIMARY KEY, t_s REAL, rss_bytes INTEGER, objects INTEGER, " \
    "bytes INTEGER);"                                                                              \
    "CREATE TABLE peak_sites(snapshot INTEGER REFERENCES snapshots, "                              \
    "stack INTEGER REFERENCES stacks, "                                                            \
    "truncated INTEGER, tag TEXT, objects INTEGER, bytes INTEGER);"                                \
    "CREATE TABLE pools(name TEXT, kind TEXT, object_bytes INTEGER, capacity INTEGER, "            \
    "live INTEGER, peak INTEGER, window_peak INTEGER, served INTEGER, missed INTEGER, "            \
    "efficiency REAL, grown INTEGER, shrunk INTEGER);"                                             \
    "CREATE TABLE slabs(" PROFILE_SLABS_COLUMNS ");"                                               \
    "CREATE TABLE pins(" PROFILE_PIN_COLUMNS ");"                                                  \
    "CREATE TABLE tags(name TEXT, objects INTEGER, bytes INTEGER, peak_bytes INTEGER, "            \
    "budget_bytes INTEGER);"                                                                       \
    "CREATE TABLE frame_figures(" PROFILE_LAPS_COLUMNS ");"                                        \
    "CREATE TABLE worst_frames(" PROFILE_LAP_COLUMNS ");"                                          \
    "CREATE TABLE frame_sites(" PROFILE_LAP_SITE_COLUMNS ");"                                      \
    "CREATE TABLE samples(" PROFILE_SAMPLE_COLUMNS ");"                                            \
    "CREATE TABLE alerts(" PROFILE_ALERT_COLUMNS ");"                                              \
    "CREATE TABLE costs(" PROFILE_COST_COLUMNS ");"                                                \
    "CREATE TABLE children(" PROFILE_CHILD_COLUMNS ");"                                            \
    "CREATE TABLE blind_spots(" PROFILE_BLIND_COLUMNS ");"

#endif
