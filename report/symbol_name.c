/*
 * Names as people write them. The demangler is libstdc++'s (__cxa_demangle), kept in step with
 * GCC's mangling. Rust's legacy names are Itanium-mangled paths with a hash at the end and
 * punctuation spelled $LT$; its newer `_R` names are left as they are: no library that we could
 * link knows them.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "symbol.h"

/* Beyond this a name says nothing and the demangler's recursion could exhaust the stack. */
#define MANGLED_MAX 16384u

/* From libstdc++; <cxxabi.h> is C++ only. */
char *__cxa_demangle(const char *mangled, char *buffer, size_t *length, int *status);

static bool is_hash(const char *text) {
    return strlen(text) == 17 && text[0] == 'h' && strspn(text + 1, "0123456789abcdef") == 16;
}

static const char *const escapes[][2] = {
    {"$SP$", "@"},  {"$BP$", "*"},  {"$RF$", "&"},  {"$LT$", "<"},  {"$GT$", ">"},
    {"$LP$", "("},  {"$RP$", ")"},  {"$C$", ","},   {"$u20$", " "}, {"$u27$", "'"},
    {"$u5b$", "["}, {"$u5d$", "]"}, {"$u7b$", "{"}, {"$u7d$", "}"}, {"$u7e$", "~"},
    {"$u3b$", ";"}, {"$u2b$", "+"}, {"$u22$", "\""}};

/* "_$LT$alloc..vec..Vec$GT$": in place, it only gets shorter. */
static void clean_rust(char *name) {
    char *from = name, *to = name;
    while (*from != 0) {
        const char *by = NULL;
        size_t length = 0;
        if (from[0] == '_' && from[1] == '$' && (from == name || from[-1] == ':')) from++;
        for (size_t i = 0; by == NULL && i < sizeof escapes / sizeof *escapes; i++) {
            length = strlen(escapes[i][0]);
            if (strncmp(from, escapes[i][0], length) == 0) by = escapes[i][1];
        }
        if (by == NULL && strncmp(from, "..", 2) == 0) {
            by = "::";
            length = 2;
        }
        if (by == NULL) {
            *to++ = *from++;
            continue;
        }
        from += length;
        memmove(to, by, strlen(by));
        to += strlen(by);
    }
    *to = 0;
}

char *symbol_demangle(const char *name) {
    char *readable = NULL;
    int status = -1;
    if (name[0] == '_' && name[1] == 'Z' && strnlen(name, MANGLED_MAX) < MANGLED_MAX)
        readable = __cxa_demangle(name, NULL, NULL, &status);
    if (status != 0 || readable == NULL) {
        readable = NULL;
        model_set(&readable, name);
        return readable;
    }
    char *last = strrchr(readable, ':');
    if (last != NULL && last > readable + 1 && last[-1] == ':' && is_hash(last + 1)) {
        last[-1] = 0;
        clean_rust(readable);
    }
    return readable;
}
