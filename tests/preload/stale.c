/* Two crowds of objects in slabs of their own, of which one is touched all the time. */
#include <poolprof/poolprof.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT 6400
#define BYTES 1000

static char *touched[COUNT], *left[COUNT];

static void __attribute__((noinline)) make_touched(void) {
    for (int i = 0; i < COUNT; i++) memset(touched[i] = malloc(BYTES), 1, BYTES);
}

static void __attribute__((noinline)) make_left(void) {
    for (int i = 0; i < COUNT; i++) memset(left[i] = malloc(BYTES), 1, BYTES);
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 60;
    make_touched();
    make_left();
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < COUNT; i++) ((volatile char *)touched[i])[round % BYTES]++;
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    }
    return 0;
}
