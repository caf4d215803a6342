/*
 * Options: text to values, by the one table options.def. Pure: no global state, no system call; the
 * report program links this file too.
 */
#ifndef PP_CONFIG_H
#define PP_CONFIG_H

#include "base.h"
#include "poolprof/options.h"

enum pp_option_type { PP_TYPE_FLAG, PP_TYPE_COUNT, PP_TYPE_PERCENT, PP_TYPE_BYTES, PP_TYPE_TIME,
                      PP_TYPE_WORD, PP_TYPE_MODE, PP_TYPE_BUDGETS, PP_TYPE_TEXT,
                      PP_TYPE_PATTERN };

struct pp_option {
    const char *name;           /* without POOLPROF_ */
    const char *initial;        /* default as text */
    const char *words;
    const char *help;
    double low, high;           /* base units: bytes, seconds, number, characters */
    enum pp_option_type type;
    bool live;
    size_t offset;              /* of the field in struct pp_options */
};

/* Indexed by enum pp_option_id. */
extern const struct pp_option pp_option_table[PP_OPTION_COUNT];

/* Row of a name without POOLPROF_ (case matters), or NULL. */
const struct pp_option *pp_config_find(const char *name);

/* Sets one option from text. false: refused, nothing changed, and `why` (may be NULL) holds one line
   like: POOLPROF_DEPTH: '0' is not a count from 1 to 128 */
bool pp_config_set(struct pp_options *options, const struct pp_option *row, const char *text,
                   char *why, size_t why_bytes);

/* The next "name=BYTES" of a list, on which *list moves. false: none is left, or it is none. */
#define PP_BUDGET_NAME_BYTES 64
bool pp_config_budget(const char **list, char name[PP_BUDGET_NAME_BYTES], int64_t *bytes);

/* All rows to their defaults. */
void pp_config_defaults(struct pp_options *options);

/* Defaults, then POOLPROF_* of `envp` (NULL-terminated). `complain` gets one line, without newline,
   per bad value (naming the default used) and per unknown POOLPROF_ name; may be NULL. */
void pp_config_parse(struct pp_options *options, char *const *envp,
                     void (*complain)(const char *line));

/* Value as text in the form a user would write it (400M, 30s, exact). Returns the length. */
size_t pp_config_show(const struct pp_options *options, const struct pp_option *row, char *to,
                      size_t bytes);

/* The accepted range as words: "0 or 1", "bytes from 1M to 64T, or auto", "one of text, json, none". */
size_t pp_config_range(const struct pp_option *row, char *to, size_t bytes);

#endif
