/* Temporary is what is freed before its thread's next allocation, whatever serves it: pools, in place or moving,
   or the allocator behind them. What realloc resizes lives on. Driver: totals.py. */
#include "expect.h"

enum { ROUNDS = 500 };

int main(void) {
    for (int i = 0; i < ROUNDS; i++) {
        for (size_t bytes = 24; bytes < 100000; bytes *= 8) {
            free(malloc(bytes));                 /* temporary */
            char *block = malloc(bytes);
            block = realloc(block, bytes + 1);   /* in place, most of the time */
            block = realloc(block, bytes * 5);   /* elsewhere */
            free(block);                         /* temporary */
            block = malloc(bytes);
            sink = malloc(bytes);
            free(block);
            free(sink);                          /* temporary */
        }
    }
    EXPECT("count temporary=%d", 3 * 5 * ROUNDS);
    return 0;
}
