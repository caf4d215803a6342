/* See pattern.h. */
#include "pattern.h"

#include "fmt.h"

/* Civil date from days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date
   Algorithms"): proleptic Gregorian calendar, years from 1970 on. */
static void date_of(int64_t days, int *year, int *month, int *day) {
    days += 719468;
    int64_t era = days / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static size_t expand_one(char letter, const struct pp_pattern *with, char *to, size_t bytes) {
    int year, month, day;
    const char *name = with->program;
    switch (letter) {
    case 'n':
        for (const char *at = name; *at != 0; at++)
            if (*at == '/' && at[1] != 0) name = at + 1;
        return pp_text_copy(to, bytes, *name != 0 ? name : "unknown");
    case 'p': return pp_fmt(to, bytes, "%u", with->pid);
    case 'h': return pp_text_copy(to, bytes, with->host);
    case '%': return pp_text_copy(to, bytes, "%");
    case 't':
        date_of(with->started_s / 86400, &year, &month, &day);
        return pp_fmt(to, bytes, "%04d%02d%02d-%02d%02d%02d", year, month, day,
                      (int)(with->started_s / 3600 % 24), (int)(with->started_s / 60 % 60),
                      (int)(with->started_s % 60));
    default: return 0;
    }
}

bool pp_pattern_is_valid(const char *pattern) {
    const char *at = pattern;
    for (; *at != 0; at++)
        if (*at == '%') {
            at++;
            if (*at != 'n' && *at != 'p' && *at != 'h' && *at != 't' && *at != '%') return false;
        }
    return at != pattern && at[-1] != '/';
}

bool pp_pattern_expand(const char *pattern, const struct pp_pattern *with, char *to, size_t bytes) {
    size_t used = 0;
    if (pattern[0] != '/' && with->directory != NULL && with->directory[0] != 0)
        used = pp_fmt(to, bytes, "%s/", pp_text_equal(with->directory, "/") ? "" : with->directory);
    for (; *pattern != 0; pattern++) {
        if (used + 1 >= bytes) return false;
        if (*pattern != '%') {
            to[used++] = *pattern;
            continue;
        }
        size_t length = expand_one(*++pattern, with, to + used, bytes - used);
        used += length;
        if (length == 0 || used + 1 >= bytes) return false; /* it may have been cut */
    }
    to[used] = 0;
    return used > 0;
}
