/* Holds five blocks and then, by its argument, dies of a signal or waits to be looked at. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *volatile kept[5];

static void hold(void) {
    for (int i = 0; i < 5; i++) kept[i] = memset(malloc(1000), 'A', 1000);
}

int main(int argc, char **argv) {
    hold();
    if (argc > 1 && strcmp(argv[1], "wait") == 0) {
        if (write(1, "ready\n", 6) != 6) return 1;
        char byte;
        while (read(0, &byte, 1) > 0) {}
        return 0;
    }
    abort();
}
