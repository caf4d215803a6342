/* See config.h. One table, one parser per type; everything else walks the table. */
#include "config.h"

#include "fmt.h"
#include "pattern.h"

#define PP_START false
#define PP_LIVE true

const struct pp_option pp_option_table[PP_OPTION_COUNT] = {
#define PP_OPTION(NAME, TYPE, DEFAULT, LOW, HIGH, WORDS, WHEN, HELP)                               \
    {.name = #NAME, .initial = DEFAULT, .words = WORDS, .help = HELP, .low = (double)(LOW),        \
     .high = (double)(HIGH), .type = PP_TYPE_##TYPE, .live = PP_##WHEN,                            \
     .offset = offsetof(struct pp_options, NAME)},
#include "poolprof/options.def"
#undef PP_OPTION
};

struct unit {
    const char *suffix;
    double scale;
};

static const struct unit byte_units[] = {{"", 1},          {"K", 1024.0},       {"M", 1048576.0},
                                         {"G", 1073741824.0}, {"T", 1099511627776.0}};
static const struct unit time_units[] = {{"", 1},     {"ms", 0.001}, {"s", 1},
                                         {"m", 60},   {"h", 3600},   {"d", 86400}};
static const struct unit plain_units[] = {{"", 1}};

static const struct unit *units_of(enum pp_option_type type, size_t *count) {
    if (type == PP_TYPE_BYTES || type == PP_TYPE_MODE) {
        *count = PP_COUNT_OF(byte_units);
        return byte_units;
    }
    if (type == PP_TYPE_TIME) {
        *count = PP_COUNT_OF(time_units);
        return time_units;
    }
    *count = 1;
    return plain_units;
}

static char *text_field(const struct pp_options *options, const struct pp_option *row) {
    return (char *)(uintptr_t)options + row->offset;
}

static _Atomic int64_t *number_field(const struct pp_options *options, const struct pp_option *row) {
    return (_Atomic int64_t *)(void *)text_field(options, row);
}

/* Position of `text` in a comma list, or -1. */
static int word_position(const char *words, const char *text) {
    size_t length = pp_text_length(text);
    for (int position = 0; *words != 0; position++) {
        size_t span = 0;
        while (words[span] != 0 && words[span] != ',') span++;
        if (span == length && span > 0) {
            size_t i = 0;
            while (i < span && words[i] == text[i]) i++;
            if (i == span) return position;
        }
        words += span;
        if (*words == ',') words++;
    }
    return -1;
}

static void word_at(const char *words, int64_t position, char *to, size_t bytes) {
    size_t used = 0;
    for (; position > 0 && *words != 0; words++)
        if (*words == ',') position--;
    while (*words != 0 && *words != ',' && used + 1 < bytes) to[used++] = *words++;
    if (bytes > 0) to[used] = 0;
}

/* "12", "0.5": digits with at most one point; the rest must be one of the type's units. */
static bool parse_number(enum pp_option_type type, const char *text, double *value) {
    double number = 0, place = 1;
    size_t count, figures = 0;
    const struct unit *units = units_of(type, &count);
    for (; *text >= '0' && *text <= '9'; text++, figures++) {
        number = number * 10 + (*text - '0');
        if (number > 1e18) return false;
    }
    if (*text == '.' && (type == PP_TYPE_BYTES || type == PP_TYPE_TIME))
        for (text++; *text >= '0' && *text <= '9'; text++, figures++) {
            place /= 10;
            number += (*text - '0') * place;
        }
    if (figures == 0) return false;
    for (size_t i = 0; i < count; i++) {
        if (!pp_text_equal(text, units[i].suffix)) continue;
        *value = number * units[i].scale;
        return true;
    }
    return false;
}

static bool set_text(struct pp_options *options, const struct pp_option *row, const char *text) {
    size_t length = pp_text_length(text);
    if (length == 0 || length > (size_t)row->high || length >= PP_OPTION_TEXT_BYTES) return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 127) return false;
    pp_text_copy(text_field(options, row), PP_OPTION_TEXT_BYTES, text);
    return true;
}

static bool set_pattern(struct pp_options *options, const struct pp_option *row, const char *text) {
    return pp_pattern_is_valid(text) && set_text(options, row, text);
}

bool pp_config_budget(const char **list, char name[PP_BUDGET_NAME_BYTES], int64_t *bytes) {
    const char *at = *list;
    char number[32];
    size_t name_length = 0, length = 0;
    double value;
    while (at[name_length] != 0 && at[name_length] != '=' && at[name_length] != ',') name_length++;
    if (name_length == 0 || name_length >= PP_BUDGET_NAME_BYTES || at[name_length] != '=') return false;
    for (size_t i = 0; i < name_length; i++) name[i] = at[i];
    name[name_length] = 0;
    at += name_length + 1;
    for (; at[length] != 0 && at[length] != ',' && length < sizeof number - 1; length++)
        number[length] = at[length];
    number[length] = 0;
    if (at[length] != 0 && at[length] != ',') return false;
    if (!parse_number(PP_TYPE_BYTES, number, &value) || value > 1125899906842624.0) return false;
    at += length + (at[length] == ',' && at[length + 1] != 0); /* a comma at the end is no list */
    *bytes = (int64_t)(value + 0.5);
    *list = at;
    return true;
}

static bool set_budgets(struct pp_options *options, const struct pp_option *row, const char *text) {
    char name[PP_BUDGET_NAME_BYTES];
    const char *at = text;
    int64_t bytes;
    while (!pp_text_equal(text, "none") && *at != 0)
        if (!pp_config_budget(&at, name, &bytes)) return false;
    return set_text(options, row, text);
}

/* "word:", the last of the list without the unit that it asks for. */
static void mode_prefix(const struct pp_option *row, char *to, size_t bytes) {
    const char *last = row->words;
    size_t length = 0;
    for (const char *at = last; *at != 0; at++)
        if (*at == ',') last = at + 1;
    while (last[length] != 0 && last[length++] != ':') continue;
    pp_fmt(to, bytes, "%.*s", (int)length, last);
}

static bool set_mode(struct pp_options *options, const struct pp_option *row, const char *text) {
    char prefix[32];
    double value = word_position(row->words, text);
    mode_prefix(row, prefix, sizeof prefix);
    if (pp_text_starts(text, prefix)) {
        bool number = parse_number(PP_TYPE_BYTES, text + pp_text_length(prefix), &value);
        if (!number || value < row->low || value > row->high) return false;
    }
    if (value < 0) return false;
    PP_STORE(number_field(options, row), (int64_t)(value + 0.5));
    return true;
}

static bool set_number(struct pp_options *options, const struct pp_option *row, const char *text) {
    double value;
    int word = row->words[0] != 0 ? word_position(row->words, text) : -1;
    if (row->type == PP_TYPE_WORD) {
        if (word < 0) return false;
        PP_STORE(number_field(options, row), word);
        return true;
    }
    if (word >= 0) {
        PP_STORE(number_field(options, row), -1);
        return true;
    }
    if (!parse_number(row->type, text, &value) || value < row->low || value > row->high) return false;
    if (row->type == PP_TYPE_TIME) value *= 1e9;
    PP_STORE(number_field(options, row), (int64_t)(value + 0.5));
    return true;
}

bool pp_config_set(struct pp_options *options, const struct pp_option *row, const char *text,
                   char *why, size_t why_bytes) {
    char range[160];
    bool good = row->type == PP_TYPE_TEXT      ? set_text(options, row, text)
                : row->type == PP_TYPE_PATTERN ? set_pattern(options, row, text)
                : row->type == PP_TYPE_BUDGETS ? set_budgets(options, row, text)
                : row->type == PP_TYPE_MODE    ? set_mode(options, row, text)
                                               : set_number(options, row, text);
    if (!good && why != NULL) {
        pp_config_range(row, range, sizeof range);
        pp_fmt(why, why_bytes, "POOLPROF_%s: '%.100s' is not %s", row->name, text, range);
        for (char *at = why; *at != 0; at++) /* a hostile value must not write to a terminal */
            if ((unsigned char)*at < ' ' || *at == 127) *at = '?';
    }
    return good;
}

void pp_config_defaults(struct pp_options *options) {
    for (size_t i = 0; i < PP_OPTION_COUNT; i++)
        pp_config_set(options, &pp_option_table[i], pp_option_table[i].initial, NULL, 0);
}

static const struct pp_option *find_span(const char *name, size_t length) {
    for (size_t i = 0; i < PP_OPTION_COUNT; i++) {
        const char *known = pp_option_table[i].name;
        size_t at = 0;
        while (at < length && known[at] == name[at] && known[at] != 0) at++;
        if (at == length && known[at] == 0) return &pp_option_table[i];
    }
    return NULL;
}

const struct pp_option *pp_config_find(const char *name) {
    return find_span(name, pp_text_length(name));
}

static void parse_one(struct pp_options *options, const char *entry,
                      void (*complain)(const char *line)) {
    char why[320], line[480];
    const char *name = entry + sizeof "POOLPROF_" - 1;
    size_t length = 0;
    while (name[length] != 0 && name[length] != '=') length++;
    if (name[length] == 0) return;
    const struct pp_option *row = find_span(name, length);
    if (row == NULL) {
        pp_fmt(line, sizeof line, "POOLPROF_%.*s: no such option; `poolprof options` lists them",
               (int)(length < 60 ? length : 60), name);
    } else if (pp_config_set(options, row, name + length + 1, why, sizeof why)) {
        return;
    } else {
        pp_fmt(line, sizeof line, "%s; using %s", why, row->initial);
    }
    if (complain != NULL) complain(line);
}

void pp_config_parse(struct pp_options *options, char *const *envp,
                     void (*complain)(const char *line)) {
    pp_config_defaults(options);
    for (; envp != NULL && *envp != NULL; envp++)
        if (pp_text_starts(*envp, "POOLPROF_")) parse_one(options, *envp, complain);
}

/* Largest unit that leaves a whole number. */
static size_t show_number(enum pp_option_type type, double value, char *to, size_t bytes) {
    size_t count;
    const struct unit *units = units_of(type, &count), *best = &units[0];
    if (type == PP_TYPE_TIME) best = &units[2];
    for (size_t i = 0; i < count; i++) {
        double scaled = value / units[i].scale;
        if (value > 0 && units[i].scale > best->scale && scaled == (double)(uint64_t)scaled)
            best = &units[i];
    }
    if (type == PP_TYPE_TIME && value > 0 && value != (double)(uint64_t)value) best = &units[1];
    return pp_fmt(to, bytes, "%llu%s", (unsigned long long)(value / best->scale + 0.5),
                  best->suffix);
}

size_t pp_config_show(const struct pp_options *options, const struct pp_option *row, char *to,
                      size_t bytes) {
    if (row->type >= PP_TYPE_BUDGETS) return pp_text_copy(to, bytes, text_field(options, row));
    int64_t value = PP_LOAD(number_field(options, row));
    if (row->type == PP_TYPE_WORD || (row->type == PP_TYPE_MODE && (double)value < row->low)) {
        word_at(row->words, value, to, bytes);
        return pp_text_length(to);
    }
    if (row->type == PP_TYPE_MODE) {
        mode_prefix(row, to, bytes);
        size_t used = pp_text_length(to);
        return used + show_number(row->type, (double)value, to + used, bytes - used);
    }
    if (value < 0) return pp_text_copy(to, bytes, row->words);
    return show_number(row->type, row->type == PP_TYPE_TIME ? (double)value / 1e9 : (double)value, to,
                       bytes);
}

size_t pp_config_range(const struct pp_option *row, char *to, size_t bytes) {
    static const char *const nouns[] = {"0 or 1", "a count", "a percentage", "bytes", "a time",
                                        "one of", "one of", "a list", "a text", "a pattern"};
    char low[32], high[32];
    if (row->type == PP_TYPE_FLAG) return pp_fmt(to, bytes, "0 or 1");
    if (row->type == PP_TYPE_WORD) return pp_fmt(to, bytes, "one of %s", row->words);
    if (row->type == PP_TYPE_BUDGETS) return pp_fmt(to, bytes, "a list like ui=4M,audio=16M, or none");
    if (row->type == PP_TYPE_PATTERN)
        return pp_fmt(to, bytes, "a file's name, in which %%n, %%p, %%t, %%h and %%%% stand for others");
    if (row->type == PP_TYPE_TEXT)
        return pp_fmt(to, bytes, "a text of 1 to %u printable characters", (unsigned)row->high);
    show_number(row->type, row->low, low, sizeof low);
    show_number(row->type, row->high, high, sizeof high);
    if (row->type == PP_TYPE_MODE)
        return pp_fmt(to, bytes, "one of %s with BYTES from %s to %s", row->words, low, high);
    return pp_fmt(to, bytes, "%s from %s to %s%s%s", nouns[row->type], low, high,
                  row->words[0] != 0 ? ", or " : "", row->words);
}
