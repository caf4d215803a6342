/* Allocates, and then does nothing that changes a figure until its standard input ends: so what is served and
   what is reported can be compared. "child": it starts itself once more; "grow": it is not still, but grows. STILL_ITEMS: so many
   blocks more, for tests/bench/scrapes.py. A line that begins with x has it start itself anew, in its own place. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <poolprof/poolprof.h>

void *kept[4000], *last;

void *make_item(size_t bytes) { return memset(malloc(bytes), 1, bytes); }
void make_items(void) {
    for (int i = 0; i < 3000; i++)
        kept[i] = make_item(40 + (size_t)(i % 5) * 100);
}
void make_tagged(void) {
    POOLPROF_TAG("level");
    for (int i = 3000; i < 3500; i++)
        kept[i] = make_item(64);
}
void make_pooled(void) {
    struct poolprof_pool *pool = poolprof_pool_create("<script>alert(1)</script>", 48, 100);
    for (int i = 3500; i < 3600; i++)
        kept[i] = poolprof_pool_acquire(pool);
}

void lose_items(void) {
    for (int i = 0; i < 20; i++)
        last = make_item(24);
}

void make_many(const char *count) {
    for (long i = count != NULL ? atol(count) : 0; i > 0; i--)
        last = make_item(16 + (size_t)(i % 8) * 16);
}

void grow(void) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (poll(&input, 1, 20) == 0)
        last = make_item(4000);
}

int main(int argc, char **argv) {
    char line[16];
    make_many(getenv("STILL_ITEMS"));
    make_items();
    lose_items();
    make_tagged();
    make_pooled();
    if (argc > 1 && !strcmp(argv[1], "child") && fork() == 0) execl(argv[0], argv[0], NULL);
    if (write(STDOUT_FILENO, "still\n", 6) != 6) return 1;
    if (argc > 1 && !strcmp(argv[1], "grow")) grow();
    while (read(STDIN_FILENO, line, sizeof line) > 0)
        if (line[0] == 'x') execl(argv[0], argv[0], NULL);
    return 0;
}
