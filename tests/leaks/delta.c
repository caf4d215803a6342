/* Leaks in two generations, for acts.py: a line on standard output after each, then it waits for one on its standard
   input, or that one's end. valgrind is asked for what was added by the second. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_DO_LEAK_CHECK (void)0
#define VALGRIND_DO_ADDED_LEAK_CHECK (void)0
#endif

#include "cases.h"

static void *volatile held[64];
static int held_count;

NOINLINE static void wipe_stack(void) {
    volatile char room[32768];
    memset((char *)room, 0, sizeof room);
}

NOINLINE static void hold(int count, size_t bytes) {
    while (count-- > 0) held[held_count++] = memset(malloc(bytes), 1, bytes);
}

NOINLINE static void lose(int count, size_t bytes) {
    while (count-- > 0) memset(malloc(bytes), 1, bytes);
}

/* One leads the others. */
NOINLINE static void lose_list(int count) {
    void *volatile *last = NULL;
    while (count-- > 0) {
        void *volatile *block = calloc(6, sizeof *block);
        block[0] = (void *)last;
        last = block;
    }
}

static void wait_for_a_line(const char *line) {
    char byte = 0;
    wipe_stack();
    if (write(1, line, strlen(line)) < 0) _exit(97);
    while (read(0, &byte, 1) == 1 && byte != '\n') continue;
}

int main(void) {
    lose(2, 100);
    hold(5, 48);
    lose_list(2);
    held[63] = (char *)malloc(200) + 50;
    wait_for_a_line("one\n");
    VALGRIND_DO_LEAK_CHECK;
    lose(3, 40);
    hold(2, 60);
    lose_list(3);
    held[62] = (char *)malloc(300) + 50;
    free(held[0]);
    wait_for_a_line("two\n");
    VALGRIND_DO_ADDED_LEAK_CHECK;
    return 0;
}
