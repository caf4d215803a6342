/* See fmt.h. Small on purpose: messages and the brief report need no more. */
#include "fmt.h"

struct sink {
    char *to;
    size_t room; /* without the terminator */
    size_t used;
};

static void put(struct sink *sink, char c) {
    if (sink->used < sink->room) sink->to[sink->used++] = c;
}

static void put_padded(struct sink *sink, const char *text, size_t length, size_t width, bool left,
                       char fill) {
    size_t pad = width > length ? width - length : 0;
    if (!left)
        while (pad-- > 0) put(sink, fill);
    for (size_t i = 0; i < length; i++) put(sink, text[i]);
    if (left)
        for (pad = width > length ? width - length : 0; pad > 0; pad--) put(sink, ' ');
}

/* Digits of value in `base`, written backwards from `end`; returns the first character. */
static char *digits(char *end, unsigned long long value, unsigned base) {
    do {
        *--end = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    return end;
}

struct spec {
    size_t width, precision;
    bool left, zero;
    int length; /* 0 int, 1 long, 2 long long */
};

static const char *parse_spec(const char *at, struct spec *spec, va_list *list) {
    *spec = (struct spec){.precision = SIZE_MAX};
    for (;; at++) {
        if (*at == '-') spec->left = true;
        else if (*at == '0') spec->zero = true;
        else break;
    }
    for (; *at >= '0' && *at <= '9'; at++) spec->width = spec->width * 10 + (size_t)(*at - '0');
    if (*at == '.') {
        at++;
        spec->precision = 0;
        if (*at == '*') {
            int precision = va_arg(*list, int);
            spec->precision = precision < 0 ? 0 : (size_t)precision;
            at++;
        }
        for (; *at >= '0' && *at <= '9'; at++)
            spec->precision = spec->precision * 10 + (size_t)(*at - '0');
    }
    for (; *at == 'l' || *at == 'z'; at++) spec->length++;
    return at;
}

static void put_number(struct sink *sink, char kind, const struct spec *spec, va_list *list) {
    char text[32], *end = text + sizeof text, *at;
    unsigned long long value;
    bool negative = false;
    if (kind == 'p') {
        value = (uintptr_t)va_arg(*list, void *);
    } else if (kind == 'd') {
        long long number = spec->length == 0   ? va_arg(*list, int)
                           : spec->length == 1 ? va_arg(*list, long)
                                               : va_arg(*list, long long);
        negative = number < 0;
        value = negative ? 0ull - (unsigned long long)number : (unsigned long long)number;
    } else {
        value = spec->length == 0   ? va_arg(*list, unsigned)
                : spec->length == 1 ? va_arg(*list, unsigned long)
                                    : va_arg(*list, unsigned long long);
    }
    at = digits(end, value, kind == 'x' || kind == 'p' ? 16 : 10);
    if (kind == 'p') {
        *--at = 'x';
        *--at = '0';
    }
    if (negative) *--at = '-';
    put_padded(sink, at, (size_t)(end - at), spec->width, spec->left, spec->zero ? '0' : ' ');
}

static void put_text(struct sink *sink, const struct spec *spec, va_list *list) {
    const char *text = va_arg(*list, const char *);
    size_t length = 0;
    if (text == NULL) text = "(null)";
    while (length < spec->precision && text[length] != 0) length++;
    put_padded(sink, text, length, spec->width, spec->left, ' ');
}

size_t pp_fmt_list(char *to, size_t bytes, const char *format, va_list list) {
    struct sink sink = {.to = to, .room = bytes > 0 ? bytes - 1 : 0};
    va_list args;
    va_copy(args, list);
    for (const char *at = format; *at != 0; at++) {
        struct spec spec;
        if (*at != '%') {
            put(&sink, *at);
            continue;
        }
        at = parse_spec(at + 1, &spec, &args);
        if (*at == 0) break;
        if (*at == 's') {
            put_text(&sink, &spec, &args);
        } else if (*at == 'c') {
            char c = (char)va_arg(args, int);
            put_padded(&sink, &c, 1, spec.width, spec.left, ' ');
        } else if (*at == '%') {
            put(&sink, '%');
        } else {
            put_number(&sink, *at, &spec, &args);
        }
    }
    va_end(args);
    if (bytes > 0) to[sink.used] = 0;
    return sink.used;
}

size_t pp_fmt(char *to, size_t bytes, const char *format, ...) {
    va_list list;
    va_start(list, format);
    size_t length = pp_fmt_list(to, bytes, format, list);
    va_end(list);
    return length;
}

size_t pp_text_length(const char *text) {
    size_t length = 0;
    while (text[length] != 0) length++;
    return length;
}

bool pp_text_equal(const char *a, const char *b) {
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

bool pp_text_starts(const char *text, const char *prefix) {
    while (*prefix != 0)
        if (*text++ != *prefix++) return false;
    return true;
}

size_t pp_text_copy(char *to, size_t bytes, const char *from) {
    size_t length = 0;
    if (bytes == 0) return 0;
    while (length + 1 < bytes && from[length] != 0) {
        to[length] = from[length];
        length++;
    }
    to[length] = 0;
    return length;
}

const char *pp_text_base(const char *path) {
    const char *base = path;
    for (; *path != 0; path++)
        if (*path == '/') base = path + 1;
    return base;
}

bool pp_text_lists(const char *list, const char *word) {
    size_t length = pp_text_length(word);
    for (const char *at = list; length > 0; at++) {
        size_t span = 0;
        while (at[span] != 0 && at[span] != ',') span++;
        if (span == length && __builtin_memcmp(at, word, span) == 0) return true;
        at += span;
        if (*at == 0) break;
    }
    return false;
}
