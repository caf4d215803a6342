/*
 * Figures and names as people read them. Pure; each writes into a buffer of the caller's. Layer 0.
 */
#ifndef REPORT_WORDS_H
#define REPORT_WORDS_H

#include <stddef.h>
#include <stdint.h>

#define WORDS_BYTES 48

/* "512 bytes", "6.4 MiB": powers of 1024, three figures. */
const char *words_bytes(uint64_t bytes, char to[WORDS_BYTES]);
/* The same with the exact figure where it was rounded: "6.25 MiB (6,555,680 bytes)". */
const char *words_exact(uint64_t bytes, char to[2 * WORDS_BYTES]);
/* Bytes a second by the minute: "2.1 MiB/min". */
const char *words_rate(double bytes_per_s, char to[WORDS_BYTES]);
/* Part of a whole: "95 %", "<1 %". */
const char *words_percent(double part, double whole, char to[WORDS_BYTES]);
/* "1,234,567". */
const char *words_count(uint64_t count, char to[WORDS_BYTES]);
/* "1 object", "1,234 objects". */
const char *words_counted(uint64_t count, const char *noun, char to[WORDS_BYTES]);
/* "0.25 s", "45 s", "5 min 45 s", "3 h 05 min", "2 d 4 h". */
const char *words_time(double seconds, char to[WORDS_BYTES]);

/* The part after the last slash. */
const char *words_base(const char *path);

/* A C++ name cut down to about `width` columns by what tells least: the spelled-out standard
   string, template arguments, parameters; at last the tail. malloc'ed. */
char *words_shorten(const char *name, size_t width);

/* A copy in which no byte can command a terminal and all is valid UTF-8: control characters become
   '?', bad bytes U+FFFD. malloc'ed. */
char *words_safe(const char *text);
/* Only the latter: for formats that have their own way to write control characters. */
char *words_utf8(const char *text);

/* A word for a shell command: as it is, or in single quotes. malloc'ed. */
char *words_shell(const char *text);

/* A newline in place of the terminator: how many bytes that makes. */
size_t words_end_line(char *text);

#endif
