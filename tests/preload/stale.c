/* Two crowds of objects in slabs of their own, of which one is touched all the time, until the standard input ends.
   Then it prints for how many milliseconds, at most, it had not come to do so. */
#include <poll.h>
#include <stdio.h>
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

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(void) {
    struct pollfd end = {.fd = 0, .events = POLLIN};
    make_touched();
    make_left();
    long last = now_ms(), longest = 0;
    for (int round = 0; poll(&end, 1, 50) == 0; round++) {
        for (int i = 0; i < COUNT; i++) ((volatile char *)touched[i])[round % BYTES]++;
        long now = now_ms();
        if (now - last > longest) longest = now - last;
        last = now;
    }
    printf("%ld\n", longest);
    return 0;
}
