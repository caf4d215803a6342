/*
 * The planted leaks: which are switched on, and the exact count of what each has left behind.
 * The counts are made where the mistake is made, from the sizes asked of malloc, so that a test can
 * compare them with what a profiler finds. Main thread only.
 */
#include "game.h"

#include <stdio.h>
#include <string.h>

static const char *const kind_names[LEAK_KINDS] = {
    "text", "bullets", "casings", "inventory", "listeners", "cache", "streams",
};
static const char *const class_names[LEAK_CLASSES] = {"lost", "indirect", "possible", "reachable"};

static bool planned[LEAK_KINDS];
static struct { long objects, bytes; } counts[LEAK_KINDS][LEAK_CLASSES];

bool leak_choose(const char *list)
{
    while (*list) {
        size_t length = strcspn(list, ",");
        bool all = length == 3 && !strncmp(list, "all", 3);
        bool known = all || (length == 4 && !strncmp(list, "none", 4));
        for (int kind = 0; kind < LEAK_KINDS; kind++) {
            bool named = length == strlen(kind_names[kind]) &&
                         !strncmp(list, kind_names[kind], length);
            planned[kind] |= all || named;
            known |= named;
        }
        if (!known)
            return false;
        list += length;
        list += *list == ',';
    }
    return true;
}

bool leak_planned(enum leak_kind kind)
{
    return planned[kind];
}

void leak_count(enum leak_kind kind, enum leak_class class, long objects, long bytes)
{
    counts[kind][class].objects += objects;
    counts[kind][class].bytes += bytes;
}

/* "truth KIND CLASS OBJECTS BYTES", a line per kind and class that is not empty; then totals. */
void leak_print_truth(void)
{
    long objects[LEAK_CLASSES] = {0}, bytes[LEAK_CLASSES] = {0};

    for (int kind = 0; kind < LEAK_KINDS; kind++)
        for (int class = 0; class < LEAK_CLASSES; class++) {
            if (!counts[kind][class].objects)
                continue;
            objects[class] += counts[kind][class].objects;
            bytes[class] += counts[kind][class].bytes;
            printf("truth %s %s %ld %ld\n", kind_names[kind], class_names[class],
                   counts[kind][class].objects, counts[kind][class].bytes);
        }
    for (int class = 0; class < LEAK_CLASSES; class++)
        printf("truth total %s %ld %ld\n", class_names[class], objects[class], bytes[class]);
}

void leak_print_kinds(void)
{
    for (int kind = 0; kind < LEAK_KINDS; kind++)
        printf("%s%s", kind ? "," : "", kind_names[kind]);
}
