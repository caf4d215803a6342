/*
 * printf-like formatting into a buffer, for code that may not call stdio. Pure; any thread.
 * Knows %s %c %d %u %x %p with l, ll and z, width, 0 and - flags, precision for %s, %%; and nothing else.
 */
#ifndef PP_FMT_H
#define PP_FMT_H

#include <stdarg.h>

#include "base.h"

/* Writes at most bytes-1 characters and a terminator; returns the length written (not wanted). */
size_t pp_fmt(char *to, size_t bytes, const char *format, ...) PP_PRINTF(3, 4);
size_t pp_fmt_list(char *to, size_t bytes, const char *format, va_list list);

/* String helpers that do not depend on the host's libc (a host may interpose those). */
size_t pp_text_length(const char *text);
bool pp_text_equal(const char *a, const char *b);
bool pp_text_starts(const char *text, const char *prefix);
const char *pp_text_base(const char *path); /* after the last slash */
bool pp_text_lists(const char *list, const char *word); /* a comma list has the word */
size_t pp_text_copy(char *to, size_t bytes, const char *from); /* truncates; returns length written */

#endif
