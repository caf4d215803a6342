/*
 * Suppressions, in LeakSanitizer's syntax: a line "leak:PATTERN" takes sites out of the lost ones whose
 * stack has a frame with a function, source file or module that matches. Lines that start with # are
 * comments, empty ones are nothing. A pattern matches anywhere in a name; * stands for any text, ^ at
 * its start and $ at its end for the name's. Lines of other sanitizers are refused by name. Layer 1.
 */
#ifndef REPORT_SUPPRESS_H
#define REPORT_SUPPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"

struct suppression {
    char *pattern;
    uint64_t objects, bytes;    /* it has taken out */
    bool built_in;
};

struct suppressions {
    struct suppression *items;  /* the first that matches counts */
    size_t count, room;
};

/* Pure: true if the pattern occurs in the name. */
bool suppress_matches(const char *pattern, const char *name);

/* Adds the lines of a text. Each line that is none is told to `complain` with its number, and left out. */
void suppress_parse(struct suppressions *to, const char *text, bool built_in,
                    void (*complain)(void *context, unsigned line, const char *what), void *context);
/* Of a file. false: it cannot be read, and `why` holds one line. */
bool suppress_read(struct suppressions *to, const char *path,
                   void (*complain)(void *context, unsigned line, const char *what), void *context,
                   char *why, size_t why_bytes);
/* The list that comes with poolprof: what libraries leave behind at exit by intent. */
void suppress_add_built_in(struct suppressions *to);
void suppress_fini(struct suppressions *suppressions);

/* Lost, indirect and possible sites that match become suppressed; how many, by which pattern, is a
   blind spot. The model is symbolised. Sites stay sorted. */
void suppress_apply(struct suppressions *suppressions, struct model *model);

/* A line for a site of the model: its innermost frame that has a name, of the program's own code if
   there is one. Malloc'ed; NULL: it has none. */
char *suppress_line(const struct model *model, const struct model_site *site);

#endif
