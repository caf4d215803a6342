/*
 * Programs that leak on purpose. A case leaves objects behind and says what a leak scan at its end must
 * find: expect(kind, objects, bytes), each kind of its own objects once; the driver compares with
 * poolprof's report and with valgrind's.
 */
#ifndef TESTS_LEAKS_CASES_H
#define TESTS_LEAKS_CASES_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct leak_case {
    const char *name;
    void (*run)(void);
};
extern const struct leak_case leak_cases[];
extern const size_t leak_case_count;

void expect(const char *kind, unsigned long objects, unsigned long bytes);

/* Hides a pointer from every scan, and brings it back. */
static inline unsigned long hidden(const void *block) { return ~(unsigned long)block; }
static inline void *shown(unsigned long word) { return (void *)~word; }

#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone))
#endif

#ifdef __cplusplus
}
#endif
#endif
