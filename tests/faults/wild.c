/*
 * wild SEED COUNT: a host that writes COUNT words where it should not: into its own live segment, at places of it that
 * are in use; with an odd SEED into its header only, which has the counts and the words by which the two sides talk.
 * Before, between and after it allocates; prints "done" and ends with status 6, as host.c does.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "../preload/expect.h"

NOINLINE static void *leak_before(void) { return malloc(20); }
NOINLINE static void *leak_after(void) { return malloc(90); }

static uint64_t state;
static uint64_t next(void) { /* splitmix64 */
    uint64_t x = state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The pages of the segment that have memory, up to a number. */
enum { PAGES_MOST = 4096, HEADER_PAGES = 4 };
static char *pages[PAGES_MOST];
static size_t page_count;

static void find_pages(void) {
    static unsigned char there[1 << 16];
    char line[1024];
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    while (fgets(line, sizeof line, maps)) {
        uintptr_t start, end;
        char rights[5];
        if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) != 3 || strcmp(rights, "rw-s") || !strstr(line, "poolprof") ||
            strstr(line, ".profraw")) /* counters of coverage */
            continue;
        for (; start < end && page_count < PAGES_MOST; start += sizeof there * 4096) {
            size_t bytes = end - start < sizeof there * 4096 ? end - start : sizeof there * 4096;
            if (mincore((void *)start, bytes, there) != 0) break;
            for (size_t i = 0; i < bytes / 4096 && page_count < PAGES_MOST; i++)
                if (there[i] & 1) pages[page_count++] = (char *)start + i * 4096;
        }
    }
    fclose(maps);
    CHECK(page_count > 0);
}

static void write_wild(long count) {
    static const uint64_t values[] = {0, 1, UINT32_MAX, UINT64_MAX, INT64_MAX, 4096};
    for (long i = 0; i < count; i++) {
        uint64_t *at = (uint64_t *)(pages[next() % page_count] + next() % 512 * 8);
        *at = next() % 2 ? next() : values[next() % 6];
    }
}

static void work(void) {
    for (size_t i = 0; i < 20000; i++) {
        sink = malloc(i % 3000);
        free(realloc(sink, i * 7 % 9000 + 1));
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    state = strtoul(argv[1], NULL, 10);
    long count = atol(argv[2]);
    for (int i = 0; i < 4; i++) sink = leak_before();
    work();
    find_pages();
    if (state % 2 != 0 && page_count > HEADER_PAGES) page_count = HEADER_PAGES;
    for (int round = 0; round < 3; round++) {
        write_wild(count);
        work();
        for (int i = 0; i < 2; i++) sink = leak_after();
    }
    puts("done");
    return 6;
}
