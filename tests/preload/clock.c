/* Leaks a block each millisecond for half a second per line read, at a site of its own each time, among many
   that are freed, and on for up to ten seconds until the clock that the watcher keeps in the program's segment is
   as it should be; then prints that clock, and the milliseconds between the first leak and the last. See clock.py. */
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "expect.h"
#include "poolprof/segment.h"

NOINLINE static void *leak_kept(void) { return malloc(48); }
NOINLINE static void *leak_stopped(void) { return malloc(48); }
NOINLINE static void *leak_again(void) { return malloc(48); }
NOINLINE static void *leak_after_pause(void) { return malloc(48); }

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const struct pp_segment_header *own_segment(void) {
    char line[512], access[8];
    unsigned long start, end, offset;
    FILE *maps = fopen("/proc/self/maps", "r");
    const struct pp_segment_header *found = NULL;
    CHECK(maps);
    while (!found && fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %7s %lx", &start, &end, access, &offset) == 4 && access[0] == 'r' &&
            access[3] == 's' && offset == 0 && memcmp((void *)start, "poolprof", 8) == 0)
            found = (const struct pp_segment_header *)start;
    fclose(maps);
    return found;
}

enum { KEPT, STOPPED, AGAIN, AFTER_PAUSE };
static bool is_as_it_should(unsigned phase, uint32_t clock) {
    return phase == AGAIN || (phase == STOPPED ? clock == 0 : clock != 0);
}

int main(void) {
    static void *(*const sites[])(void) = {leak_kept, leak_stopped, leak_again, leak_after_pause};
    const struct pp_segment_header *segment = own_segment();
    CHECK(segment);
    char line[16];
    for (unsigned i = 0; fgets(line, sizeof line, stdin) && i < 4; i++) {
        int64_t begun = now_ms(), first = -1, last = 0;
        for (int64_t passed = 0; passed < 500 || (passed < 10000 && !is_as_it_should(i, atomic_load(&segment->clock)));
             passed = now_ms() - begun) {
            free(sites[i]());
            if (passed == last) continue;
            sink = sites[i]();
            if (first < 0) first = passed;
            last = passed;
        }
        printf("%u %d\n", atomic_load(&segment->clock), (int)(last - first));
        fflush(stdout);
    }
    return 0;
}
