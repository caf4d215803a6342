/*
 * The options in force: one field per row of options.def, in the segment's header so that every part
 * reads the same values. Bytes are int64_t, times are nanoseconds (int64_t), words are their position
 * in the row's list, a mode is a word's position or its bytes, texts are NUL-terminated. Written at start
 * and, for LIVE rows, by the watcher.
 */
#ifndef POOLPROF_OPTIONS_H
#define POOLPROF_OPTIONS_H

#include <stdatomic.h>
#include <stdint.h>

#define PP_OPTION_TEXT_BYTES 512

#define PP_FIELD_FLAG(name) _Atomic int64_t name;
#define PP_FIELD_COUNT(name) _Atomic int64_t name;
#define PP_FIELD_PERCENT(name) _Atomic int64_t name;
#define PP_FIELD_BYTES(name) _Atomic int64_t name;
#define PP_FIELD_TIME(name) _Atomic int64_t name;
#define PP_FIELD_WORD(name) _Atomic int64_t name;
#define PP_FIELD_MODE(name) _Atomic int64_t name;
#define PP_FIELD_BUDGETS(name) char name[PP_OPTION_TEXT_BYTES];
#define PP_FIELD_TEXT(name) char name[PP_OPTION_TEXT_BYTES];
#define PP_FIELD_PATTERN(name) char name[PP_OPTION_TEXT_BYTES];

struct pp_options {
#define PP_OPTION(name, type, def, low, high, words, when, help) PP_FIELD_##type(name)
#include "poolprof/options.def"
#undef PP_OPTION
};

enum pp_option_id {
#define PP_OPTION(name, type, def, low, high, words, when, help) PP_OPTION_##name,
#include "poolprof/options.def"
#undef PP_OPTION
    PP_OPTION_COUNT
};

/* TRACK=sample:BYTES is the number of bytes, which is above these. */
enum { PP_TRACK_EXACT, PP_TRACK_OFF };
enum { PP_REPORT_TEXT, PP_REPORT_JSON, PP_REPORT_NONE };
enum { PP_LOG_DEBUG, PP_LOG_INFO, PP_LOG_WARN, PP_LOG_ERROR };
enum { PP_CHILDREN_EXEC, PP_CHILDREN_OFF, PP_CHILDREN_ALL };
enum { PP_ON_ERROR_REPORT, PP_ON_ERROR_ABORT };
enum { PP_LEAK_CHECK_EXIT, PP_LEAK_CHECK_OFF };

#endif
