/* Leaks a block each millisecond for half a second per line read, at a site of its own each time, among many
   that are freed; then prints the clock that the watcher keeps in the program's segment. See clock.py. */
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

int main(void) {
    static void *(*const sites[])(void) = {leak_kept, leak_stopped, leak_again, leak_after_pause};
    const struct pp_segment_header *segment = own_segment();
    char line[16];
    for (unsigned i = 0; fgets(line, sizeof line, stdin) && i < 4; i++) {
        int64_t begun = now_ms(), last = 0;
        for (int64_t passed = 0; passed < 500; passed = now_ms() - begun) {
            free(sites[i]());
            if (passed != last) sink = sites[i]();
            last = passed;
        }
        printf("%u\n", segment ? atomic_load(&segment->clock) : 0);
        fflush(stdout);
    }
    return 0;
}
