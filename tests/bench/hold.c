/* Holds argv[1] objects of 16 bytes for argv[2] seconds, from 16 places in the code, and goes on making and
   freeing a few: for samples.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PLACE(n) static void *__attribute__((noinline)) make_##n(void) { void *made = malloc(16); __asm__("" : "+r"(made)); return made; }
#define FOUR(a) PLACE(a##0) PLACE(a##1) PLACE(a##2) PLACE(a##3)
FOUR(0) FOUR(1) FOUR(2) FOUR(3)

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
#define NAMES(a) make_##a##0, make_##a##1, make_##a##2, make_##a##3
    static void *(*const makers[])(void) = {NAMES(0), NAMES(1), NAMES(2), NAMES(3)};
    size_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000, places = sizeof makers / sizeof *makers;
    void **held = malloc(count * sizeof *held);
    if (!held) return 1;
    for (size_t i = 0; i < count; i++) held[i] = makers[i % places]();
    double until_s = now_s() + (argc > 2 ? atof(argv[2]) : 10);
    while (now_s() < until_s) {
        for (int i = 0; i < 1000; i++) free(makers[i % (int)places]());
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    printf("%zu objects\n", count);
    return 0;
}
