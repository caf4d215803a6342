/* See words.h. */
#include "words.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

const char *words_bytes(uint64_t bytes, char to[WORDS_BYTES]) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(to, WORDS_BYTES, "%" PRIu64 " byte%s", bytes, bytes == 1 ? "" : "s");
        return to;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    /* 1023.96 would be shown as 1024.0: that is the next unit's 1.00. */
    while (value >= 999.5 && unit < sizeof units / sizeof *units - 1) {
        value /= 1024;
        unit++;
    }
    snprintf(to, WORDS_BYTES, "%.*f %s",
             value < 9.995   ? 2
             : value < 99.95 ? 1
                             : 0,
             value, units[unit]);
    return to;
}

const char *words_count(uint64_t count, char to[WORDS_BYTES]) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, count), used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) to[used++] = ',';
        to[used++] = digits[i];
    }
    to[used] = 0;
    return to;
}

const char *words_exact(uint64_t bytes, char to[2 * WORDS_BYTES]) {
    char rounded[WORDS_BYTES], exact[WORDS_BYTES];
    words_bytes(bytes, rounded);
    if (bytes < 1024) snprintf(to, 2 * WORDS_BYTES, "%s", rounded);
    else snprintf(to, 2 * WORDS_BYTES, "%.40s (%.40s bytes)", rounded, words_count(bytes, exact));
    return to;
}

const char *words_rate(double bytes_per_s, char to[WORDS_BYTES]) {
    double per_min = bytes_per_s * 60;
    words_bytes(per_min > 0 && per_min < 0x1p62 ? (uint64_t)per_min : 0, to);
    size_t used = strlen(to);
    snprintf(to + used, WORDS_BYTES - used, "/min");
    return to;
}

const char *words_percent(double part, double whole, char to[WORDS_BYTES]) {
    double percent = whole > 0 ? 100 * part / whole : 0;
    if (percent > 0 && percent < 1) snprintf(to, WORDS_BYTES, "<1 %%");
    else snprintf(to, WORDS_BYTES, "%.0f %%", percent);
    return to;
}

const char *words_counted(uint64_t count, const char *noun, char to[WORDS_BYTES]) {
    char number[WORDS_BYTES];
    snprintf(to, WORDS_BYTES, "%.28s %.16s%s", words_count(count, number), noun,
             count == 1 ? "" : "s");
    return to;
}

const char *words_time(double seconds, char to[WORDS_BYTES]) {
    if (!(seconds > 0)) seconds = 0;
    if (seconds > 1e12) seconds = 1e12;
    uint64_t whole = (uint64_t)(seconds + 0.5), minutes = whole / 60, hours = minutes / 60;
    if (seconds < 9.995) snprintf(to, WORDS_BYTES, "%.2f s", seconds);
    else if (whole < 60) snprintf(to, WORDS_BYTES, "%.1f s", seconds);
    else if (hours == 0)
        snprintf(to, WORDS_BYTES, "%" PRIu64 " min %02" PRIu64 " s", minutes, whole % 60);
    else if (hours < 48)
        snprintf(to, WORDS_BYTES, "%" PRIu64 " h %02" PRIu64 " min", hours, minutes % 60);
    else snprintf(to, WORDS_BYTES, "%" PRIu64 " d %" PRIu64 " h", hours / 24, hours % 24);
    return to;
}

const char *words_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != 0 ? slash + 1 : path;
}

/* ---- C++ names ---- */

static char *copy_of(const char *text) {
    char *copy = NULL;
    model_set(&copy, text);
    return copy;
}

static void replace_all(char *text, const char *what, const char *by) {
    size_t what_length = strlen(what), by_length = strlen(by);
    for (char *at = text; (at = strstr(at, what)) != NULL; at += by_length) {
        memcpy(at, by, by_length);
        memmove(at + by_length, at + what_length, strlen(at + what_length) + 1);
    }
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Length of an operator's name at `at`, whose brackets are none: operator<<, operator->,
 * operator(). */
static size_t operator_length(const char *text, const char *at) {
    static const char *const names[] = {"<<=", ">>=", "<=>", "->*", "()", "->",
                                        "<<",  ">>",  "<=",  ">=",  "<",  ">"}; /* longest first */
    if (strncmp(at, "operator", 8) != 0 || (at > text && is_name(at[-1]))) return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(at + 8, names[i], strlen(names[i])) == 0) return 8 + strlen(names[i]);
    return 0; /* seldom covered: no such name follows */
}

/* Empties each outermost pair of brackets whose inside is long: <...>. In place. */
static void empty_brackets(char *text, char open, char close) {
    char *from = text, *to = text;
    while (*from != 0) {
        size_t length = operator_length(text, from), depth = 1;
        char *end = from + 1;
        if (length > 0 || *from != open) {
            length = length > 0 ? length : 1;
            memmove(to, from, length);
            from += length;
            to += length;
            continue;
        }
        for (; *end != 0 && depth > 0; end++)
            depth += *end == open ? 1 : *end == close && end[-1] != '-' ? -1 : 0;
        length = (size_t)(end - from);
        if (depth == 0 && length > 6) {
            *to++ = open;
            memcpy(to, "...", 3);
            to += 3;
            *to++ = close;
        } else {
            memmove(to, from, length);
            to += length;
        }
        from = end;
    }
    *to = 0;
}

char *words_shorten(const char *name, size_t width) {
    char *text = copy_of(name);
    replace_all(text,
                "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >",
                "std::string");
    replace_all(text, "std::__cxx11::", "std::");
    replace_all(text, "(anonymous namespace)::", "{anon}::");
    if (strlen(text) > width) empty_brackets(text, '<', '>');
    if (strlen(text) > width) empty_brackets(text, '(', ')');
    size_t length = strlen(text);
    if (length > width && width > 3) {
        size_t cut = width - 3;
        while (cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80)
            cut--;
        strcpy(text + cut, "...");
    }
    return text;
}

/* ---- safety ---- */

/* Length of the valid UTF-8 sequence at `at`, 0 if there is none (overlong and surrogates are
 * none). */
static size_t sequence_length(const unsigned char *at) {
    size_t length = at[0] < 0x80                    ? 1
                    : at[0] >= 0xc2 && at[0] < 0xe0 ? 2
                    : (at[0] & 0xf0) == 0xe0        ? 3
                    : at[0] >= 0xf0 && at[0] < 0xf5 ? 4
                                                    : 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    if (at[0] == 0xe0 && at[1] < 0xa0) return 0;
    if (at[0] == 0xed && at[1] > 0x9f) return 0;
    if (at[0] == 0xf0 && at[1] < 0x90) return 0;
    if (at[0] == 0xf4 && at[1] > 0x8f) return 0;
    return length;
}

static char *clean(const char *text, bool controls) {
    char *safe = model_alloc(strlen(text) * 3 + 1, 1), *to = safe;
    for (const unsigned char *at = (const unsigned char *)text; *at != 0;) {
        size_t length = sequence_length(at);
        if (length == 0) {
            memcpy(to, "\xef\xbf\xbd", 3);
            to += 3;
            at++;
        } else if (!controls && (*at < ' ' || *at == 127 || (at[0] == 0xc2 && at[1] < 0xa0))) {
            *to++ = '?'; /* C0, DEL, C1 */
            at += length;
        } else {
            memcpy(to, at, length);
            to += length;
            at += length;
        }
    }
    return safe;
}

char *words_safe(const char *text) { return clean(text, false); }
char *words_utf8(const char *text) { return clean(text, true); }

char *words_shell(const char *text) {
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+,:=@%";
    if (text[0] != 0 && text[strspn(text, plain)] == 0) return copy_of(text);
    char *quoted = model_alloc(strlen(text) * 4 + 3, 1), *to = quoted;
    *to++ = '\'';
    for (; *text != 0; text++) {
        if (*text != '\'') {
            *to++ = *text;
            continue;
        }
        memcpy(to, "'\\''", 4);
        to += 4;
    }
    *to = '\'';
    return quoted;
}

size_t words_end_line(char *text) {
    size_t bytes = strlen(text);
    text[bytes] = '\n';
    return bytes + 1;
}
